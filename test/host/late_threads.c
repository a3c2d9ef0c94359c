/* late_threads -- has one thread at first, as libc's fast paths know; then more, of libc's making
 * and not. Forks from each of them, before and after, and loads libraries with thread-local data
 * of their own from threads.  Prints libc's flag and what the children say. */
#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread char own[200] = "initialised";

static void use_libc(void)
{
	FILE *f = tmpfile();

	for (size_t i = 0; i < 300; i++) {
		void *p = malloc(64 + 100 * i);

		pthread_mutex_lock(&mutex);
		p = realloc(p, 128 + 200 * i);
		putc('x', f);
		pthread_mutex_unlock(&mutex);
		free(p);
	}
	fclose(f);
}

static void *in_new_thread(void *arg)
{
	use_libc();
	return strcmp(own, "initialised") == 0 && arg != own ? arg : NULL;
}

/* A child that uses libc, makes a thread of its own, and ends. */
static void fork_from(const char *where)
{
	int status = -1, single = __libc_single_threaded;
	pid_t pid = fork();

	if (pid == 0) {
		void *result = NULL;
		pthread_t t;

		use_libc();
		if (pthread_create(&t, NULL, in_new_thread, own) == 0)
			pthread_join(t, &result);
		use_libc();
		exit(result == own ? 10 + single : 1);
	}
	waitpid(pid, &status, 0);
	dprintf(1, "%s: alone %d, child %d\n", where, single, status >> 8);
}

static void *worker(void *unused)
{
	use_libc();
	fork_from("from a thread");
	return unused;
}

/* On the thread-local data of main, which waits: as runtimes with threads of their own do. */
static int unknown_thread(void *unused)
{
	(void)unused;
	fork_from("from an unknown thread");
	return 0;
}

static int gone;

static void run_unknown(void)
{
	size_t bytes = 1 << 18;
	char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	gone = 1;
	if (clone(unknown_thread, stack + bytes,
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
			  CLONE_CHILD_CLEARTID, NULL, NULL, NULL, &gone) < 0)
		return;
	while (__atomic_load_n(&gone, __ATOMIC_ACQUIRE) != 0)
		syscall(SYS_futex, &gone, FUTEX_WAIT, 1, NULL, NULL, 0);
	munmap(stack, bytes);
}

static void *load(void *name)
{
	void *handle = dlopen(name, RTLD_NOW);
	int *(*counter)(void) = handle != NULL ? (int *(*)(void))dlsym(handle, "tls_counter") : NULL;

	for (int i = 0; counter != NULL && i < 1000; i++)
		++*counter();
	return (void *)(intptr_t)(counter != NULL ? *counter() : handle != NULL);
}

/* Each library from four threads at once; every thread has its own counter. */
static void load_from_threads(const char *name)
{
	pthread_t t[4];
	void *result;
	long sum = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, load, (void *)name);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &result);
		sum += (intptr_t)result;
	}
	dprintf(1, "%s: %ld\n", strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name, sum);
}

static void end_of_input(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	static const char *const libraries[] = { "libm.so.6", "libstdc++.so.6", "libgomp.so.1" };
	pthread_t t;

	setvbuf(stdout, NULL, _IONBF, 0);
	use_libc();
	fork_from("before");
	pthread_create(&t, NULL, worker, NULL);
	pthread_join(t, NULL);
	fork_from("after");
	run_unknown();
	fork_from("at last");
	for (int i = 1; i < argc; i++)
		load_from_threads(argv[i]);
	for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++)
		load_from_threads(libraries[i]);
	use_libc();
	end_of_input();
	return 0;
}
