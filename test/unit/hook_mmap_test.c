/* The doors of mapped memory, with a kernel made of paper: what each says of each call.  By names of
 * their own: nobody else shall come in, not libc, and no sanitizer before main. */
#define mmap   door_mmap
#define mmap64 door_mmap64
#define munmap door_munmap
#define mremap door_mremap
#define brk    door_brk
#define sbrk   door_sbrk
#include "preload/hook_mmap.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define AT  ((char *)0x200000000000)
#define TICKET 77

/* --- what they say --------------------------------------------------------------------------- */

static char said[512];
static bool known;

static void say(const char *what, uintptr_t start, size_t bytes)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s%s %lx+%zx", n > 0 ? ", " : "", what,
		 (unsigned long)(start - (uintptr_t)AT), bytes);
}

uint64_t mapped_ticket(void)
{
	return TICKET;
}

void mapped_new(uintptr_t start, size_t bytes)
{
	say("new", start, bytes);
}

void mapped_gone(uintptr_t start, size_t bytes, uint64_t ticket)
{
	assert_int_equal(ticket, TICKET);
	say("gone", start, bytes);
}

bool mapped_knows(uintptr_t start, size_t bytes)
{
	(void)start;
	(void)bytes;
	return known;
}

#define assert_said(...)                             \
	do {                                         \
		assert_string_equal(said, __VA_ARGS__); \
		said[0] = 0;                         \
	} while (0)

/* --- the kernel ------------------------------------------------------------------------------ */

struct real real;
static void *result;

static void *paper_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	(void)at, (void)n, (void)protection, (void)flags, (void)fd, (void)offset;
	return result;
}

static int paper_munmap(void *p, size_t n)
{
	(void)p, (void)n;
	return result == FAILED ? -1 : 0;
}

static void *paper_mremap(void *p, size_t had, size_t n, int flags, void *to)
{
	(void)p, (void)had, (void)n, (void)flags, (void)to;
	return result;
}

static void *map(size_t n, int flags)
{
	void *p = mmap(NULL, n, 0, flags, -1, 0);

	assert_ptr_equal(mmap64(NULL, n, 0, flags, -1, 0), p);
	return p;
}

static int begin(void **state)
{
	(void)state;
	real.mmap = real.mmap64 = paper_mmap;
	real.munmap = paper_munmap;
	real.mremap = paper_mremap;
	result = AT;
	known = true;
	said[0] = 0;
	return 0;
}

/* --- huge pages ------------------------------------------------------------------------------ */

/* As the kernel rounds (mm/mmap.c, ksys_mmap_pgoff: ALIGN(len, huge_page_size(hs))). */
static void huge_pages_are_whole(void **state)
{
	static const struct { int flags; size_t n; const char *said; } cases[] = {
		{ 0, 1, "new 0+1000, new 0+1000" },
		{ 0, 3 * MIB, "new 0+300000, new 0+300000" },
		{ MAP_HUGETLB, 1, "new 0+200000, new 0+200000" },
		{ MAP_HUGETLB, 3 * MIB, "new 0+400000, new 0+400000" },
		{ MAP_HUGETLB, 4 * MIB, "new 0+400000, new 0+400000" },
		{ MAP_HUGETLB | MAP_HUGE_2MB, 5 * MIB, "new 0+600000, new 0+600000" },
		{ MAP_HUGETLB | MAP_HUGE_1GB, 5 * MIB, "new 0+40000000, new 0+40000000" },
		{ MAP_HUGETLB | MAP_HUGE_64KB, 65537, "new 0+20000, new 0+20000" },
		/* Without MAP_HUGETLB the size says nothing. */
		{ MAP_HUGE_1GB, 1, "new 0+1000, new 0+1000" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		map(cases[i].n, MAP_ANONYMOUS | MAP_PRIVATE | cases[i].flags);
		assert_said(cases[i].said);
	}
	/* Of a part that is not whole the kernel unmaps nothing, and says so; of whole ones all. */
	assert_int_equal(munmap(AT, 4 * MIB), 0);
	assert_said("gone 0+400000");
	result = FAILED;
	assert_int_equal(munmap(AT, MIB), -1);
	assert_said("");
}

/* --- the others ------------------------------------------------------------------------------ */

static void a_file_takes_the_place(void **state)
{
	(void)state;
	map(5000, MAP_PRIVATE);
	assert_said("gone 0+2000, gone 0+2000");
	result = FAILED;
	map(5000, MAP_PRIVATE);
	map(5000, MAP_ANONYMOUS);
	assert_said("");
}

static void a_move_is_an_end_and_a_beginning(void **state)
{
	char *to = AT + 16 * MIB;

	(void)state;
	mremap(AT, 4096, 9000, 0, NULL);
	assert_said("new 1000+2000");
	mremap(AT, 9000, 4096, 0, NULL);
	assert_said("gone 1000+2000");
	mremap(AT, 4096, 4096, 0, NULL);
	assert_said("gone 1000+0");
	result = to;
	mremap(AT, 4096, 8192, MREMAP_MAYMOVE, NULL);
	assert_said("gone 0+1000, new 1000000+2000");
	mremap(AT, 4096, 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	assert_said("new 1000000+1000");
	mremap(AT, 0, 4096, MREMAP_MAYMOVE, NULL);
	assert_said("new 1000000+1000");
	/* A file's pages: nothing of ours moves, but something may have been there. */
	known = false;
	mremap(AT, 4096, 8192, MREMAP_MAYMOVE, NULL);
	assert_said("");
	mremap(AT, 4096, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	assert_said("gone 1000000+2000");
	known = true;
	result = FAILED;
	mremap(AT, 4096, 8192, 0, NULL);
	assert_said("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(huge_pages_are_whole, begin),
		cmocka_unit_test_setup(a_file_takes_the_place, begin),
		cmocka_unit_test_setup(a_move_is_an_end_and_a_beginning, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
