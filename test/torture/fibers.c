/* fibers [SECONDS] -- switches among stacks of every kind all the time: by makecontext and by a switch of
 * its own, on blocks of malloc and between two guard pages; fibers whose first frame returns to 0, to 1,
 * to where no address is, to a page that is not there, or has no return address at all; with frame
 * pointers that lead into a guard page, to themselves, or nowhere.  And in the middle of a thread's
 * own stack, below a guard page.  And a recursion that is deeper than any profile shows.  A fault,
 * and it is gone. */
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "until.h"

#define CALLED __attribute__((noinline, noclone))
#define KEYS   (uintptr_t)0x10000               /* below mmap_min_addr: nothing is ever there */

enum { STACK_BYTES = 64 << 10, PAGE = 4096, DEEP = 3000, CARVED_BYTES = 256 << 10 };

static volatile uint64_t sink;

static CALLED void burn(unsigned n)
{
	uint64_t x = n;

	for (unsigned i = 0; i < n * 100; i++)
		x = x * 3 + (i ^ x >> 5);
	sink = x;
}

/* --- a switch as coroutine libraries have it: registers on the stack, and no unwind tables --- */

void switch_to(void **from, void *to);
__asm__(".text\n"
	".globl switch_to\n"
	".type switch_to, @function\n"
	"switch_to:\n"
	"	push %rbp\n	push %rbx\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbx\n	pop %rbp\n"
	"	ret\n"
	".size switch_to, . - switch_to\n");

static void *outside, *inside;

/* Where a fiber ends there is nothing to return to: it goes back by a switch. */
#define FIBER(kind)                                                     \
	static CALLED void burn_##kind(void) { burn(30); sink = __LINE__; } \
	static CALLED void fiber_##kind(void)                           \
	{                                                               \
		for (;;) {                                              \
			burn_##kind();                                  \
			switch_to(&inside, outside);                    \
		}                                                       \
	}

FIBER(to_zero)
FIBER(to_one)
FIBER(to_no_address)
FIBER(to_no_page)
FIBER(without)
FIBER(carved)

/* Room for a stack with a page above and below that cannot be touched. */
static char *guarded(void)
{
	char *p = mmap(NULL, STACK_BYTES + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + PAGE, STACK_BYTES, PROT_READ | PROT_WRITE) != 0)
		abort();
	return p + PAGE;
}

static char *from_heap(void)
{
	char *p = aligned_alloc(16, STACK_BYTES);

	if (p == NULL)
		abort();
	return p;
}

static char *(*const rooms[])(void) = { guarded, from_heap };

/* What switch_to pops: six registers, rbp last, and where to go. */
static void *make_stack(char *room, void (*entry)(void), const uintptr_t *back, uintptr_t bp)
{
	uintptr_t *sp = (uintptr_t *)(void *)(room + STACK_BYTES);

	if (back != NULL)
		*--sp = *back;
	*--sp = (uintptr_t)entry;
	*--sp = bp;
	sp -= 5;
	memset(sp, 0, 5 * sizeof(*sp));
	return sp;
}

static CALLED void run_hand_made(void)
{
	static const uintptr_t backs[] = { 0, 1, (uintptr_t)1 << 63 | 0x1234, KEYS };
	static void (*const entries[])(void) = {
		fiber_to_zero, fiber_to_one, fiber_to_no_address, fiber_to_no_page, fiber_without,
	};

	for (unsigned e = 0; e < 5; e++) {
		for (unsigned r = 0; r < 2; r++) {
			char *room = rooms[r]();
			uintptr_t top = (uintptr_t)room + STACK_BYTES;
			const uintptr_t bps[] = { 0, 1, top, top + 8, top - 8, top - 16, top - 64,
						  (uintptr_t)room - 16, KEYS, UINTPTR_MAX - 7 };

			for (unsigned b = 0; b < sizeof(bps) / sizeof(bps[0]); b++) {
				/* Its own frame pointer there leads to itself. */
				((uintptr_t *)top)[-8] = top - 64;
				((uintptr_t *)top)[-7] = (uintptr_t)burn;
				inside = make_stack(room, entries[e], e < 4 ? &backs[e] : NULL,
						    bps[b]);
				for (int i = 0; i < 10; i++)
					switch_to(&outside, inside);
			}
			if (rooms[r] == guarded)
				munmap(room - PAGE, STACK_BYTES + 2 * PAGE);
			else
				free(room);
		}
	}
}

/* How a page may come to be one that cannot be touched.  KEYED: pkey_mprotect without a key. */
enum way { PROTECTED, KEYED, UNMAPPED, MAPPED_OVER, MOVED_AWAY, WAYS };

static inline void forbid(enum way way, void *page)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *away = MAP_FAILED;
	int failed = 0;

	switch (way) {
	case PROTECTED:
		failed = mprotect(page, PAGE, PROT_NONE);
		break;
	case KEYED:
		failed = pkey_mprotect(page, PAGE, PROT_NONE, -1);
		break;
	case UNMAPPED:
		failed = munmap(page, PAGE);
		break;
	case MAPPED_OVER:
		failed = mmap(page, PAGE, PROT_NONE, flags | MAP_FIXED, -1, 0) != page;
		break;
	default:
		away = mmap(NULL, PAGE, PROT_READ, flags, -1, 0);
		failed = mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, away) != away ||
			 munmap(away, PAGE) != 0;
		break;
	}
	if (failed != 0)
		abort();
}

static char *forbidden;

/* In a thread of its own, which has not heard of a guard page yet. */
static CALLED void *carve(void *how)
{
	static const uintptr_t zero;
	char *area = alloca(2 * STACK_BYTES + 2 * PAGE);
	char *room = (char *)(((uintptr_t)area + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	enum way way = *(const enum way *)how;

	forbidden = room + STACK_BYTES;
	forbid(way, forbidden);
	inside = make_stack(room, fiber_carved, way == KEYED ? &zero : NULL,
			    (uintptr_t)room + STACK_BYTES + 16);
	for (int i = 0; i < 400; i++)
		switch_to(&outside, inside);
	return NULL;
}

/* Where there is a hole now, something else may be mapped. */
static inline void give_back(char *stack, enum way way)
{
	char *hole = way == UNMAPPED || way == MOVED_AWAY ? forbidden : stack, *after = hole;

	if (hole != stack) {
		munmap(stack, (size_t)(hole - stack));
		after += PAGE;
	}
	munmap(after, (size_t)(stack + CARVED_BYTES - after));
}

static CALLED void run_carved(void)
{
	for (enum way way = 0; way < WAYS; way++) {
		pthread_attr_t attr;
		pthread_t thread;
		char *stack = mmap(NULL, CARVED_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (stack == MAP_FAILED || pthread_attr_init(&attr) != 0 ||
		    pthread_attr_setstack(&attr, stack, CARVED_BYTES) != 0 ||
		    pthread_create(&thread, &attr, carve, &way) != 0)
			abort();
		pthread_join(thread, NULL);
		pthread_attr_destroy(&attr);
		give_back(stack, way);
	}
}

/* --- makecontext ----------------------------------------------------------------------------- */

static ucontext_t contexts[2], home;

static CALLED void burn_context(unsigned n) { burn(n); sink = 1; }

static CALLED void down_context(unsigned n, int which)
{
	if (n > 0) {
		down_context(n - 1, which);
		sink = n;
		return;
	}
	for (int i = 0; i < 20; i++) {
		burn_context(100);
		swapcontext(&contexts[which], &contexts[!which]);
	}
}

static CALLED void context_body(int which)
{
	down_context(10, which);
	sink = 2;
}

static CALLED void run_contexts(void)
{
	for (unsigned r = 0; r < 2; r++) {
		char *room[2];

		for (int i = 0; i < 2; i++) {
			room[i] = rooms[r]();
			getcontext(&contexts[i]);
			contexts[i].uc_stack = (stack_t){ .ss_sp = room[i], .ss_size = STACK_BYTES };
			contexts[i].uc_link = &home;
			makecontext(&contexts[i], (void (*)(void))context_body, 1, i);
		}
		swapcontext(&home, &contexts[0]);
		for (int i = 0; i < 2; i++) {
			if (rooms[r] == guarded)
				munmap(room[i] - PAGE, STACK_BYTES + 2 * PAGE);
			else
				free(room[i]);
		}
	}
}

/* --- deep ------------------------------------------------------------------------------------ */

static CALLED unsigned down(unsigned n)
{
	if (n > 0)
		return down(n - 1) + 1;
	burn(10000);
	return 0;
}

static CALLED void run_deep(void) { sink = down(DEEP); }

int main(int argc, char **argv)
{
	until(argc > 1 ? argv[1] : NULL);
	do {
		run_hand_made();
		run_carved();
		run_contexts();
		run_deep();
	} while (!until_over());
	printf("all came back\n");
	return 0;
}
