/* handlers [SECONDS] -- works inside of signal handlers: nested ones on an alternate stack, raised at depth,
 * and one that mends what a page fault has shown.  In two threads; says whether each came as often
 * as it was asked for. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "until.h"

#define CALLED __attribute__((noinline, noclone))

enum { PAGE = 4096, ALTERNATE_BYTES = 64 << 10, THREADS = 2, DEPTH = 20 };

static volatile uint64_t sink;

struct worker {
	pthread_t       thread;
	volatile char  *page;
	sigjmp_buf      out;
	unsigned        asked, outer, inner, faults, jumped;
};
static __thread struct worker *self;

static CALLED void burn(unsigned n)
{
	uint64_t x = n;

	for (unsigned i = 0; i < n * 100; i++)
		x = x * 3 + (i ^ x >> 5);
	sink = x;
}

static CALLED void burn_inner(void) { burn(60); sink = 1; }
static CALLED void burn_outer(void) { burn(60); sink = 2; }
static CALLED void burn_fault(void) { burn(60); sink = 3; }
static CALLED void burn_jump(void) { burn(60); sink = 4; }

static void on_inner(int signo)
{
	burn_inner();
	self->inner += signo == SIGUSR2;
}

static CALLED void raise_inner(void)
{
	raise(SIGUSR2);
	sink = 5;
}

static void on_outer(int signo)
{
	burn_outer();
	raise_inner();
	self->outer += signo == SIGUSR1;
}

static CALLED void jump_out(void)
{
	burn_jump();
	siglongjmp(self->out, 1);
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	(void)context;
	if (signo != SIGSEGV || (char *)info->si_addr != self->page + PAGE / 2)
		abort();
	self->faults++;
	if (self->faults % 2 == 0)
		jump_out();
	burn_fault();
	mprotect((void *)self->page, PAGE, PROT_READ | PROT_WRITE);
}

static CALLED void touch(void)
{
	self->page[PAGE / 2] = 1;
	sink = 6;
}

static CALLED void down_to_raise(unsigned n)
{
	if (n > 0)
		down_to_raise(n - 1);
	else
		raise(SIGUSR1);
	sink = n;
}

static CALLED void down_to_touch(unsigned n)
{
	if (n > 0)
		down_to_touch(n - 1);
	else
		touch();
	sink = n;
}

static CALLED void try_touch(void)
{
	mprotect((void *)self->page, PAGE, PROT_NONE);
	if (sigsetjmp(self->out, 1) == 0)
		down_to_touch(DEPTH);
	else
		self->jumped++;
}

static void *work(void *of)
{
	static char space[THREADS][ALTERNATE_BYTES];
	static volatile unsigned threads;
	struct worker *w = self = of;
	stack_t alternate = { .ss_sp = space[__sync_fetch_and_add(&threads, 1)],
			      .ss_size = ALTERNATE_BYTES };

	sigaltstack(&alternate, NULL);
	do {
		for (int i = 0; i < 50; i++) {
			w->asked++;
			down_to_raise(DEPTH);
			try_touch();
		}
	} while (!until_over() || w->asked % 2 != 0);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction outer = { .sa_handler = on_outer, .sa_flags = SA_ONSTACK },
			 inner = { .sa_handler = on_inner, .sa_flags = SA_ONSTACK },
			 fault = { .sa_sigaction = on_fault, .sa_flags = SA_ONSTACK | SA_SIGINFO };
	static struct worker worker[THREADS];

	until(argc > 1 ? argv[1] : NULL);
	sigaction(SIGUSR1, &outer, NULL);
	sigaction(SIGUSR2, &inner, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	for (int i = 0; i < THREADS; i++) {
		worker[i].page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pthread_create(&worker[i].thread, NULL, work, &worker[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		const struct worker *w = &worker[i];

		pthread_join(w->thread, NULL);
		printf("outer %d inner %d faults %d jumps %d\n", w->outer == w->asked,
		       w->inner == w->asked, w->faults == w->asked, w->jumped == w->asked / 2);
	}
	return 0;
}
