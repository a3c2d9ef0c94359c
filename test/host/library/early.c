/* early -- a library that the program needs, so its constructor runs before those of preloads.  EARLY
 * says what it does there. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static void *kept[2000];
static int   stop;
static pthread_t thread;

static int is(const char *what)
{
	const char *mode = getenv("EARLY");

	return mode != NULL && strcmp(mode, what) == 0;
}

/* A megabyte in blocks of all sizes, some of them given back at once. */
static void take_many(void)
{
	for (unsigned i = 0; i < 2000; i++) {
		kept[i] = malloc(i);
		memset(kept[i], (int)i, i);
		kept[i] = realloc(kept[i], i + 100);
		free(calloc(i, 3));
	}
}

static int give_many(void)
{
	int good = 0;

	for (unsigned i = 1; i < 2000; i++) {
		const unsigned char *p = kept[i];

		good += p != NULL && p[0] == (unsigned char)i && p[i - 1] == (unsigned char)i;
		free(kept[i]);
		kept[i] = NULL;
	}
	return good;
}

static void *churn(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		void *volatile p = malloc(3000);

		free(p);
	}
	return unused;
}

__attribute__((constructor)) static void early(void)
{
	static char one[] = "ONLY=one", *own[] = { one, NULL };

	if (is("many") || is("many-thread"))
		take_many();
	if (is("thread") || is("many-thread"))
		pthread_create(&thread, NULL, churn, NULL);
	if (is("error"))
		(void)dlsym(RTLD_DEFAULT, "there_is_no_such_function");
	if (is("environ-null"))
		environ = NULL;
	else if (is("environ-other"))
		environ = own;
	else if (is("clearenv"))
		clearenv();
	else if (is("setenv"))
		for (char name[16] = "A"; name[0] <= 'Z'; name[0]++)
			setenv(name, "a new value", 1);
}

int early_end(void);
int early_end(void)
{
	int had = kept[1] != NULL ? give_many() : 0;

	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	if (thread != 0)
		pthread_join(thread, NULL);
	return had;
}
