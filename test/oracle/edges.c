/* What real programs rarely do and an unwinder must know, in turns and in three threads: the vDSO,
 * a realigned stack (DRAP), coroutines, handlers in handlers, handlers on an alternate stack, deep
 * recursion, frames that are entered and left all the time, a call that is the last instruction of
 * its function, functions that are bound late.  Runs until it is killed; with an argument, one
 * round of each. */
#include <alloca.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static volatile unsigned sink;

static NOINLINE void work(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		sink += sink / 3 + i;
}

/* --- the kernel's page ----------------------------------------------------------------------- */

static NOINLINE void clocks(void)
{
	struct timespec t;

	for (unsigned i = 0; i < 20000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		sink += (unsigned)t.tv_nsec;
	}
}

/* --- a stack pointer that is rounded: the caller's is found through memory ------------------- */

/* Arguments on the stack, aligned locals and alloca: gcc keeps the address of the arguments in a
 * register, then in the frame (DW_CFA_def_cfa_expression). */
static NOINLINE unsigned realigned(int a, int b, int c, int d, int e, int f, int g, unsigned n)
{
	float v[16] __attribute__((aligned(64)));
	char *some = alloca(n);

	for (unsigned i = 0; i < 16; i++)
		v[i] = (float)(a + b + c + d + e + f + g) * (float)i;
	memset(some, 1, n);
	work(300);
	__asm__ volatile(""
			 :
			 : "r"(v), "r"(some)
			 : "memory");
	return (unsigned)v[n % 16] + (unsigned)some[n / 2];
}

static NOINLINE void alignments(void)
{
	for (unsigned i = 0; i < 200; i++)
		sink += realigned(1, 2, 3, 4, 5, 6, 7, 16 + i);
}

/* --- coroutines ------------------------------------------------------------------------------ */

struct coroutine {
	ucontext_t here, back;
	bool made;
	char stack[65536];
};

static __thread struct coroutine *mine;

static NOINLINE void climb(unsigned depth)
{
	if (depth > 0)
		climb(depth - 1);
	else
		work(2000);
	swapcontext(&mine->here, &mine->back);
	sink++;
}

static void coroutine(void)
{
	for (;;)
		climb(5);
}

static NOINLINE void coroutines(void)
{
	if (mine == NULL)
		mine = calloc(1, sizeof(*mine));
	if (!mine->made) {
		getcontext(&mine->here);
		mine->here.uc_stack.ss_sp = mine->stack;
		mine->here.uc_stack.ss_size = sizeof(mine->stack);
		makecontext(&mine->here, coroutine, 0);
		mine->made = true;
	}
	for (unsigned i = 0; i < 300; i++)
		swapcontext(&mine->back, &mine->here);
}

/* --- handlers -------------------------------------------------------------------------------- */

static void inner(int sig)
{
	(void)sig;
	work(2000);
}

static void outer(int sig)
{
	(void)sig;
	work(1000);
	raise(SIGUSR2);
	work(1000);
}

static void install(int sig, void (*f)(int), int flags)
{
	struct sigaction sa = { .sa_handler = f, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

static NOINLINE void handlers(void)
{
	for (unsigned i = 0; i < 100; i++) {
		raise(SIGUSR1);	/* on this stack, and one more inside */
		raise(SIGURG);	/* on the alternate one, and one more inside */
	}
}

static void use_alternate_stack(void)
{
	stack_t alt = { .ss_sp = malloc(131072), .ss_size = 131072 };

	sigaltstack(&alt, NULL);
}

/* --- many frames ----------------------------------------------------------------------------- */

static NOINLINE unsigned recurse(unsigned depth)
{
	char some[64 + depth % 5 * 16];

	memset(some, (int)depth, sizeof(some));
	sink += (unsigned)some[depth % 32];
	if (depth == 0)
		work(5000);
	else
		sink += recurse(depth - 1);
	return sink + (unsigned)some[3];
}

static NOINLINE unsigned fibonacci(unsigned n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static NOINLINE void depths(void)
{
	for (unsigned i = 0; i < 20; i++)
		recurse(100 + i);
	sink += fibonacci(18);
}

/* --- return addresses that belong to the next function ---------------------------------------- */

static __thread jmp_buf out;

static NOINLINE __attribute__((noreturn)) void leave(void)
{
	work(1000);
	longjmp(out, 1);
}

/* What follows the call is another function, or padding. */
static NOINLINE __attribute__((noreturn)) void calls_at_its_end(unsigned n)
{
	char some[200];

	memset(some, (int)n, sizeof(some));
	sink += (unsigned)some[n % 200];
	leave();
}

static NOINLINE void last_calls(void)
{
	for (volatile unsigned i = 0; i < 100; i++)
		if (setjmp(out) == 0)
			calls_at_its_end(i);
}

/* --- late binding: each call finds its function anew ----------------------------------------- */

enum { SLOTS_MAX = 128 };

static struct {
	uintptr_t *at, unbound;
} slot[SLOTS_MAX];
static unsigned slots;

static uintptr_t find_dynamic(ElfW(Sxword) tag)
{
	for (const ElfW(Dyn) *d = _DYNAMIC; d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return d->d_un.d_ptr;
	return 0;
}

/* Of the functions that are not bound yet.  The file is linked with -z lazy. */
static void keep_slots(uintptr_t base, const char *const *names, unsigned n)
{
	const ElfW(Rela) *r = (const void *)find_dynamic(DT_JMPREL);
	const ElfW(Sym) *symbols = (const void *)find_dynamic(DT_SYMTAB);
	const char *strings = (const char *)find_dynamic(DT_STRTAB);
	size_t count = find_dynamic(DT_PLTRELSZ) / sizeof(*r);

	for (size_t i = 0; i < count && slots < SLOTS_MAX; i++) {
		const char *name = strings + symbols[ELF64_R_SYM(r[i].r_info)].st_name;

		for (unsigned k = 0; k < n; k++)
			if (strcmp(name, names[k]) == 0) {
				slot[slots].at = (uintptr_t *)(base + r[i].r_offset);
				slot[slots].unbound = *slot[slots].at;
				slots++;
			}
	}
}

static int find_base(struct dl_phdr_info *info, size_t size, void *base)
{
	(void)size;
	*(uintptr_t *)base = info->dlpi_addr;
	return 1;	/* the first is the program */
}

static void prepare_binding(void)
{
	static const char *const names[] = { "toascii", "ffsll", "imaxabs", "wcwidth" };
	uintptr_t base = 0;

	dl_iterate_phdr(find_base, &base);
	keep_slots(base, names, sizeof(names) / sizeof(names[0]));
	if (slots != sizeof(names) / sizeof(names[0]) || getenv("LD_BIND_NOW") != NULL) {
		fputs("edges: nothing is bound late here\n", stderr);
		exit(2);
	}
}

int toascii(int c);
int wcwidth(int c);
long imaxabs(long n);

static NOINLINE void bindings(void)
{
	for (unsigned i = 0; i < 2000; i++) {
		for (unsigned k = 0; k < slots; k++)
			*(volatile uintptr_t *)slot[k].at = slot[k].unbound;
		sink += (unsigned)(toascii((int)i) + ffsll(i) + (int)imaxabs((long)i) +
				   wcwidth((int)i));
	}
}

/* --- all of them ----------------------------------------------------------------------------- */

static void round_of_all(void)
{
	static void (*const all[])(void) = { clocks, alignments, coroutines, handlers, depths,
					     last_calls, bindings };

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		all[i]();
}

static void *run(void *once)
{
	use_alternate_stack();
	do
		round_of_all();
	while (once == NULL);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[2];
	void *once = argc > 1 ? argv[1] : NULL;

	prepare_binding();
	install(SIGUSR1, outer, 0);
	install(SIGUSR2, inner, 0);
	install(SIGURG, outer, SA_ONSTACK);
	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, run, once) != 0)
			return 1;
	run(once);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
