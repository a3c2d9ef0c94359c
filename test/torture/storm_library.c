/* storm_library -- one of the libraries that storm loads and unloads; LIB is its digit.  All have the
 * same layout, so that one takes the place of another at once.  Every function has one caller that
 * test_unwinder.py knows. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PASTE(a, b, c) a##b##c
#define NAME_OF(lib, what) PASTE(lib_, lib, what)
#define NAME(what) NAME_OF(LIB, what)

#define CALLED __attribute__((noinline, noclone))

int NAME(_enter)(unsigned turns, void (*back)(unsigned));

static volatile uint64_t sink;
static int numbers[24];

static CALLED void NAME(_spin)(unsigned turns)
{
	uint64_t x = turns, y = 1, z = 2, u = 3, v = 4, w = 5;

	for (unsigned i = 0; i < turns * 100; i++) {
		x = x * 3 + y;
		y ^= x >> 7;
		z += y * u;
		u = (u << 3 | u >> 61) + v;
		v ^= w + z;
		w = w * 5 + x;
#ifndef WITH_FRAME_POINTERS
		/* What every optimiser does when registers are short: rbp is a number. */
		__asm__ volatile("mov %0, %%rbp\n\tadd $1, %%rbp" : : "r"(x) : "rbp");
#endif
	}
	sink = x + y + z + u + v + w;
}

static CALLED void NAME(_alloc)(unsigned turns)
{
	for (unsigned i = 0; i < turns; i++) {
		char *p = malloc(200 + i % 7 * 500);

		p[0] = (char)i;
		sink = (uint64_t)(uintptr_t)p;
		free(p);
	}
}

static CALLED int NAME(_compare)(const void *a, const void *b)
{
	for (int i = 0; i < 50; i++)
		sink = sink * 3 + 1;
	return *(const int *)a - *(const int *)b;
}

static CALLED void NAME(_sort)(unsigned turns)
{
	for (unsigned i = 0; i < turns; i++) {
		for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
			numbers[k] = (int)(sink * (k + 1) >> 8 & 0xffff);
		qsort(numbers, sizeof(numbers) / sizeof(numbers[0]), sizeof(numbers[0]),
		      NAME(_compare));
	}
}

static CALLED int NAME(_work)(unsigned turns, void (*back)(unsigned))
{
	volatile char space[100 + LIB * 64];

	space[0] = 1;
	NAME(_spin)(turns);
	NAME(_alloc)(turns);
	back(turns);
	NAME(_sort)(turns / 8 + 1);
	return space[0];
}

int NAME(_enter)(unsigned turns, void (*back)(unsigned))
{
	return NAME(_work)(turns, back) + LIB;
}

/* Under the loader's lock, before anybody can know of us and when nobody should any more. */
static __attribute__((constructor)) void NAME(_begin)(void) { NAME(_spin)(4); }
static __attribute__((destructor)) void NAME(_end)(void) { NAME(_spin)(4); }
