/* jit [SECONDS] -- makes code at run time, in mappings without a file: with a frame pointer and without,
 * which works, calls back into the program, and is replaced by code of the other kind at the same
 * place, by a new mapping or by new bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "until.h"

#define CALLED __attribute__((noinline, noclone))

enum { PAGE = 4096 };

typedef void code_t(void (*back)(void), unsigned turns);

static volatile uint64_t sink;

static CALLED void burn(unsigned n)
{
	uint64_t x = n;

	for (unsigned i = 0; i < n * 100; i++)
		x = x * 3 + (i ^ x >> 5);
	sink = x;
}

/* rsi turns of: some 400 cycles of its own, then a call of rdi. */
static const uint8_t with_pointer[] = {
	0x55,                                   /* push %rbp */
	0x48, 0x89, 0xe5,                       /* mov %rsp,%rbp */
	0x53, 0x41, 0x54,                       /* push %rbx; push %r12 */
	0x48, 0x89, 0xfb,                       /* mov %rdi,%rbx */
	0x41, 0x89, 0xf4,                       /* mov %esi,%r12d */
	0xb9, 0x90, 0x01, 0, 0,                 /* 1: mov $400,%ecx */
	0xff, 0xc9,                             /* 2: dec %ecx */
	0x75, 0xfc,                             /* jne 2b */
	0xff, 0xd3,                             /* call *%rbx */
	0x41, 0xff, 0xcc,                       /* dec %r12d */
	0x75, 0xf0,                             /* jne 1b */
	0x41, 0x5c, 0x5b, 0x5d,                 /* pop %r12; pop %rbx; pop %rbp */
	0xc3,                                   /* ret */
};

static const uint8_t without_pointer[] = {
	0x55, 0x53, 0x41, 0x54,                 /* push %rbp; push %rbx; push %r12 */
	0x48, 0x89, 0xfb,                       /* mov %rdi,%rbx */
	0x41, 0x89, 0xf4,                       /* mov %esi,%r12d */
	0xbd, 0x01, 0, 0, 0,                    /* mov $1,%ebp: a number */
	0xb9, 0x90, 0x01, 0, 0,                 /* 1: mov $400,%ecx */
	0xff, 0xc9,                             /* 2: dec %ecx */
	0x75, 0xfc,                             /* jne 2b */
	0xff, 0xd3,                             /* call *%rbx */
	0x41, 0xff, 0xcc,                       /* dec %r12d */
	0x75, 0xf0,                             /* jne 1b */
	0x41, 0x5c, 0x5b, 0x5d,                 /* pop %r12; pop %rbx; pop %rbp */
	0xc3,                                   /* ret */
};

static CALLED void back_with(void) { burn(20); sink = 1; }
static CALLED void back_without(void) { burn(20); sink = 2; }

static CALLED void use_with(code_t *code) { code(back_with, 50); sink = 3; }
static CALLED void use_without(code_t *code) { code(back_without, 50); sink = 4; }

static code_t *code_at(void *at)
{
	code_t *code;

	memcpy(&code, &at, sizeof(code));
	return code;
}

static CALLED void put(void *at, const uint8_t *bytes, size_t n)
{
	mprotect(at, PAGE, PROT_READ | PROT_WRITE);
	memcpy(at, bytes, n);
	mprotect(at, PAGE, PROT_READ | PROT_EXEC);
}

static CALLED void run(unsigned turn)
{
	static char *at;

	if (turn % 4 == 0) {            /* the same place again, as a rule */
		if (at != NULL)
			munmap(at, PAGE);
		at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			abort();
	}
	put(at, with_pointer, sizeof(with_pointer));
	use_with(code_at(at));
	put(at, without_pointer, sizeof(without_pointer));
	use_without(code_at(at));
}

int main(int argc, char **argv)
{
	until(argc > 1 ? argv[1] : NULL);
	for (unsigned turn = 0; !until_over();)
		for (int i = 0; i < 100; i++)
			run(turn++);
	printf("ran\n");
	return 0;
}
