/* The library's core, which tests are linked with, has none of the doors' files: this one is in
 * here. */
#include "preload/boot.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "fake/child.h"
#include "fake/sys_refused.h"

/* Each test in a process of its own, with a pool that nobody has used. */
static void aligned_as_asked(void)
{
	for (size_t align = 1; align <= 4096; align *= 2)
		for (size_t n = 0; n < 100; n += 7) {
			char *p = boot_alloc(align, n);

			CHILD_DEMAND(p != NULL);
			CHILD_DEMAND((uintptr_t)p % align == 0 && (uintptr_t)p % 16 == 0);
			CHILD_DEMAND(boot_size(p) == (n != 0 ? n : 1));
		}
}

static void blocks_are_aligned_as_they_were_asked_for(void **state)
{
	(void)state;
	assert_child(aligned_as_asked);
}

static void zeroed_and_apart(void)
{
	enum { BLOCKS = 500 };
	static char *block[BLOCKS];

	for (unsigned i = 0; i < BLOCKS; i++) {
		size_t n = i * 37 % 1000 + 1;

		block[i] = boot_alloc(16, n);
		for (size_t k = 0; k < n; k++)
			CHILD_DEMAND(block[i][k] == 0);
		memset(block[i], (int)i | 1, n);
	}
	for (unsigned i = 0; i < BLOCKS; i++) {
		size_t n = i * 37 % 1000 + 1;

		CHILD_DEMAND(boot_size(block[i]) == n);
		for (size_t k = 0; k < n; k++)
			CHILD_DEMAND(block[i][k] == (char)(i | 1));
	}
}

static void blocks_are_zeroed_and_apart(void **state)
{
	(void)state;
	assert_child(zeroed_and_apart);
}

static void pinned(void)
{
	char *p = boot_alloc(16, 10);

	CHILD_DEMAND(!heap_is_unsampled(p));
	heap_forget(p);
	CHILD_DEMAND(!heap_is_unsampled(p));
}

/* Else a free of it would go straight to the allocator. */
static void the_heap_asks_about_every_block(void **state)
{
	(void)state;
	assert_child(pinned);
}

static void larger_than_the_pool(void)
{
	static const size_t sizes[] = { BOOT_BYTES - 16, BOOT_BYTES, BOOT_BYTES + 1, 1u << 20, 10,
					(4u << 20) + 5 };
	char *block[6];

	for (size_t i = 0; i < 6; i++) {
		block[i] = boot_alloc(4096, sizes[i]);
		CHILD_DEMAND(block[i] != NULL && (uintptr_t)block[i] % 4096 == 0);
		block[i][0] = block[i][sizes[i] - 1] = (char)(i + 1);
	}
	for (size_t i = 0; i < 6; i++) {
		CHILD_DEMAND(boot_size(block[i]) == sizes[i]);
		CHILD_DEMAND(block[i][0] == (char)(i + 1));
		CHILD_DEMAND(block[i][sizes[i] - 1] == (char)(i + 1));
	}
}

static void what_the_pool_cannot_hold_gets_memory_of_its_own(void **state)
{
	(void)state;
	assert_child(larger_than_the_pool);
}

static void pool_first(void)
{
	char *first = boot_alloc(16, 100), *large = boot_alloc(16, 1u << 20);
	char *second = boot_alloc(16, 100), *p = NULL;
	unsigned mapped;

	/* A block that fits goes into the pool, whatever came between. */
	CHILD_DEMAND(second > first && second < first + 1000);
	CHILD_DEMAND(large != NULL);
	sys_refuse(SYS_mmap, 0, 0);
	for (unsigned i = 0; i < 64; i++) {
		p = boot_alloc(16, 4000);
		CHILD_DEMAND(p != NULL && boot_size(p) == 4000);
	}
	/* 64 blocks of a page nearly: four pools full. */
	mapped = sys_refused.seen;
	CHILD_DEMAND(mapped >= 3 && mapped <= 5);
}

static void a_full_pool_is_followed_by_another(void **state)
{
	(void)state;
	assert_child(pool_first);
}

/* What the compiler knows of p must not help: the doors do not know it either. */
static NOINLINE size_t size_of(const void *p)
{
	__asm__ volatile("" : "+r"(p));
	return boot_size(p);
}

static void foreign_pointers(void)
{
	char on_stack[16];
	void *from_malloc = malloc(100);

	CHILD_DEMAND(boot_alloc(16, 10) != NULL);
	CHILD_DEMAND(boot_alloc(16, 1u << 20) != NULL);
	CHILD_DEMAND(size_of(on_stack) == 0);
	CHILD_DEMAND(size_of(from_malloc) == 0);
	CHILD_DEMAND(size_of(NULL) == 0);
	CHILD_DEMAND(size_of((const void *)UINTPTR_MAX) == 0);
	CHILD_DEMAND(size_of("text") == 0);
	free(from_malloc);
}

static void blocks_of_others_are_not_ours(void **state)
{
	(void)state;
	assert_child(foreign_pointers);
}

static void refused(void)
{
	char *p;

	CHILD_DEMAND(boot_alloc(16, SIZE_MAX) == NULL);
	CHILD_DEMAND(boot_alloc(4096, SIZE_MAX - 4096) == NULL);
	CHILD_DEMAND(boot_alloc(16, SIZE_MAX / 2) == NULL);
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	CHILD_DEMAND(boot_alloc(16, 1u << 20) == NULL);
	CHILD_DEMAND(boot_size(NULL) == 0);
	/* The pool is there still, and so is memory when the kernel gives it again. */
	p = boot_alloc(16, 100);
	CHILD_DEMAND(p != NULL && boot_size(p) == 100);
	sys_refuse(0, 0, 0);
	p = boot_alloc(16, 1u << 20);
	CHILD_DEMAND(p != NULL && boot_size(p) == 1u << 20);
}

static void what_there_is_no_memory_for_is_refused(void **state)
{
	(void)state;
	assert_child(refused);
}

static void used_up(void)
{
	unsigned blocks = 0;

	while (boot_alloc(16, BOOT_BYTES) != NULL)
		blocks++;
	/* One region for each, but for the pool itself. */
	CHILD_DEMAND(blocks == REGIONS_MAX - 1);
	CHILD_DEMAND(boot_alloc(16, 100) != NULL);
}

static void there_is_an_end_to_regions(void **state)
{
	(void)state;
	assert_child(used_up);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_aligned_as_they_were_asked_for),
		cmocka_unit_test(blocks_are_zeroed_and_apart),
		cmocka_unit_test(the_heap_asks_about_every_block),
		cmocka_unit_test(what_the_pool_cannot_hold_gets_memory_of_its_own),
		cmocka_unit_test(a_full_pool_is_followed_by_another),
		cmocka_unit_test(blocks_of_others_are_not_ours),
		cmocka_unit_test(what_there_is_no_memory_for_is_refused),
		cmocka_unit_test(there_is_an_end_to_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
