/* own_functions -- a program with its own malloc family, getenv and sigaction, as bash, emacs and statically
 * linked allocators have: everybody's calls come here, its libraries' too. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "serve.h"

static _Alignas(16) char heap[64 << 20];
static volatile size_t used, taken, foreign;
static volatile int    asked_environment, asked_signals;

struct head { size_t size, unused; };

void *malloc(size_t n)
{
	size_t bytes = (n + sizeof(struct head) + 15) & ~(size_t)15;
	size_t at = __atomic_fetch_add(&used, bytes, __ATOMIC_RELAXED);

	if (n > sizeof(heap) || at + bytes > sizeof(heap)) {
		errno = ENOMEM;
		return NULL;
	}
	taken++;
	((struct head *)(void *)(heap + at))->size = n;
	return heap + at + sizeof(struct head);
}

void free(void *p)
{
	if (p == NULL)
		return;
	foreign += (char *)p < heap || (char *)p >= heap + sizeof(heap);
}

void *calloc(size_t n, size_t size) { return malloc(n * size); }

void *realloc(void *p, size_t n)
{
	void *q = malloc(n);

	if (p != NULL && q != NULL) {
		size_t had = ((struct head *)p)[-1].size;

		memcpy(q, p, n < had ? n : had);
	}
	free(p);
	return q;
}

/* As bash's: nothing before main, then its own table. */
char *getenv(const char *name)
{
	asked_environment++;
	return strcmp(name, "MINE") == 0 ? (char *)(uintptr_t)"my own" : NULL;
}

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	static int (*next)(int, const struct sigaction *, struct sigaction *);

	asked_signals++;
	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "sigaction");
	return next(sig, act, old);
}

static volatile int seen;

static void handler(int sig) { seen += sig == SIGUSR1; }

int main(void)
{
	struct sigaction act = { .sa_handler = handler };
	char *text;
	size_t had;

	sigaction(SIGUSR1, &act, NULL);
	raise(SIGUSR1);
	had = taken;
	text = strdup("by libc, from my heap");
	printf("%s: %d %d\n", text, taken == had + 1, text > heap && text < heap + sizeof(heap));
	free(text);
	printf("%s, %d signal, foreign %zu\n", getenv("MINE"), seen, foreign);
	serve(NULL);
	printf("sigaction %d, getenv %d, foreign %zu\n", asked_signals, asked_environment, foreign);
	return 5;
}
