/* test/unit/unwind_stage.h -- a made-up stack, functions and kernel for tests of the walk.
 *
 * Three pages of stack between guard pages; four functions with tables, at IMAGE_CODE; code without
 * tables at PLAIN_CODE.  It defines what the walk calls outside: link it before the archive. */
#ifndef TEST_UNWIND_STAGE_H
#define TEST_UNWIND_STAGE_H

#include <errno.h>

#include "sampler/compiler.h"
#include "sampler/modules.h"
#include "sampler/os.h"
#include "sampler/tables.h"
#include "sampler/unwind.h"
#include "test/unit/cfi_image.h"

enum { FRAMES_MAX = 64, STACK_WORDS = 3 * 4096 / 8 };

/* Where callers are that have no call frame information. */
#define PLAIN_CODE 0x20000000u

static struct image image;
static struct cfi_object object;
static struct unwind_work work;
static uintptr_t pc[FRAMES_MAX];
static unsigned depth, probes, lookups;
static bool stage_permanent;    /* what is known of code may be kept for ever */
static struct tables *stage_tables;     /* of the functions that have some; NULL: not compiled */

/* Three pages, a guard page below and one above. */
static uintptr_t *stack;

/* What the kernel says is readable. */
static uintptr_t readable_lo, readable_hi;

bool modules_find_range(uintptr_t at, struct range *out)
{
	lookups++;
	*out = (struct range){ .start = IMAGE_CODE, .limit = IMAGE_CODE + 0x1000,
			       .image = IMAGE_CODE, .tables = stage_tables, .place = object,
			       .permanent = stage_permanent };
	return at >= IMAGE_CODE && at < IMAGE_CODE + 0x1000;
}

void tables_ask(struct tables *t) { (void)t; }

bool modules_is_code(uintptr_t at)
{
	return (at >= PLAIN_CODE && at < PLAIN_CODE + 0x1000) ||
	       (at >= IMAGE_CODE && at < IMAGE_CODE + 0x1000);
}

int os_readable(uintptr_t at)
{
	probes++;
	return at % 8 == 0 && at >= readable_lo && at < readable_hi;
}

long os_peek(void *to, uintptr_t from, size_t n)
{
	if (from < readable_lo || from + n > readable_hi)
		return -EFAULT;
	memcpy(to, (const void *)from, n);
	return (long)n;
}

static int make_stack(void **state)
{
	char *at = mmap(NULL, 5 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (at == MAP_FAILED || mprotect(at + 4096, 3 * 4096, PROT_READ | PROT_WRITE) != 0)
		return -1;
	stack = (uintptr_t *)(void *)(at + 4096);
	return 0;
}

/* The functions: CFA = rsp + 16 with rbp saved, red zone, stack pointer in rbp, outermost, return
 * address popped into rdi (vfork). */
enum { PUSHED = 0, RED_ZONE = 0x100, FRAMED = 0x200, OUTERMOST = 0x300, POPPED = 0x400 };

static int start(void **state)
{
	(void)state;
	memset(stack, 0, STACK_WORDS * sizeof(*stack));
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + PUSHED, 0x100, OPS(0x0e, 16, 0x86, 2));
	image_fde(&image, IMAGE_CODE + RED_ZONE, 0x100, OPS(0x0f, 5, 0x77, 0x78, 0x06, 0x23, 8));
	image_fde(&image, IMAGE_CODE + FRAMED, 0x100, OPS(0x0c, 6, 16, 0x86, 2));
	image_fde(&image, IMAGE_CODE + OUTERMOST, 0x100, OPS(0x07, 16));
	image_fde(&image, IMAGE_CODE + POPPED, 0x100, OPS(0x0e, 0, 0x09, 16, 5));
	image_end(&image);
	object = image_place(&image, image.n, true);
	probes = lookups = 0;
	readable_lo = (uintptr_t)stack;
	readable_hi = (uintptr_t)(stack + STACK_WORDS);
	return 0;
}

static uintptr_t at(unsigned word) { return (uintptr_t)(stack + word); }

#define CHECK_STACK(...)                                                \
	do {                                                            \
		static const uintptr_t want_[] = { __VA_ARGS__ };       \
									\
		assert_int_equal(depth, COUNT_OF(want_));               \
		for (unsigned i_ = 0; i_ < depth; i_++)                 \
			assert_int_equal(pc[i_], want_[i_]);            \
	} while (0)

#endif
