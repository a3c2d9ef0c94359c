/* Two made objects, as if mapped one behind the other, and what is called how in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/made_ground.h"
#include "fake/made_module.h"
#include "fake/map_fail.h"
#include "httpd/job.h"
#include "httpd/lock_names.h"
#include "httpd/names.h"
#include "sampler/compiler.h"

#define FIRST  UINT64_C(0x555500001000)
#define SECOND UINT64_C(0x7f0000001000)

static char first_path[] = "/tmp/made_locks.XXXXXX", second_path[] = "/tmp/made_locks.XXXXXX";
static struct arena arena;
static unsigned breaths;

void job_breathe(void)
{
	breaths++;
}

static struct module make(const struct made_symbol *symbol, size_t count, bool stripped,
			  char *path, uint64_t start)
{
	struct made_elf how = { .code_bytes = 4096 };
	struct module m;
	int fd;

	if (stripped) {
		how.dynamic = symbol;
		how.dynamic_count = count;
	} else {
		how.full = symbol;
		how.full_count = count;
	}
	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || close(fd) != 0 || !made_module(&how, path, start, &m))
		abort();
	m.image = start - MADE_CODE_OFFSET;
	m.alive = true;
	return m;
}

static int begin(void **state)
{
	static const struct made_symbol first[] = {
		{ "main", 0x0, 64, STT_FUNC, STB_GLOBAL, 0 },
		{ "local_twin", 0x100, 40, STT_OBJECT, STB_LOCAL, 0 },
		{ "hot_lock", 0x100, 40, STT_OBJECT, STB_GLOBAL, 0 },
		{ "later_twin", 0x100, 40, STT_OBJECT, STB_LOCAL, 0 },
		{ "table", 0x200, 0x400, STT_OBJECT, STB_LOCAL, 0 },
		{ "inside", 0x280, 8, STT_OBJECT, STB_GLOBAL, 0 },
		{ "no_data", 0x700, 40, STT_FUNC, STB_GLOBAL, 0 },
		{ "elsewhere", 0x740, 40, STT_OBJECT, STB_GLOBAL, MADE_UNDEFINED },
		{ "no_size", 0x780, 0, STT_OBJECT, STB_GLOBAL, 0 },
	};
	static const struct made_symbol second[] = {
		{ "_ZN3app5cacheE", 0x40, 40, STT_OBJECT, STB_GLOBAL, 0 },
		{ "versioned@@V_1", 0x80, 40, STT_OBJECT, STB_GLOBAL, 0 },
	};

	(void)state;
	made_forget();
	made.module[0] = make(first, COUNT_OF(first), false, first_path, FIRST);
	made.module[1] = make(second, COUNT_OF(second), true, second_path, SECOND);
	made.modules = 2;
	arena = map_fail_arena(64u << 20);
	return 0;
}

static int end(void **state)
{
	(void)state;
	names_reset();
	unlink(first_path);
	unlink(second_path);
	arena_reset(&arena);
	return map_fail.live_bytes != 0;
}

static void assert_name(const struct lock_names *n, uint64_t address, const char *want)
{
	const char *name = lock_names_find(n, address);

	if (want == NULL) {
		assert_null(name);
	} else {
		assert_non_null(name);
		assert_string_equal(name, want);
	}
}

static const struct { uint64_t address; const char *name; } cases[] = {
	{ FIRST + 0x100, "hot_lock" },          /* not its local twins */
	{ FIRST + 0x100 + 39, "hot_lock+0x27" },
	{ FIRST + 0x100 + 40, NULL },
	{ FIRST + 0xff, NULL },
	{ FIRST + 0x200, "table" },
	{ FIRST + 0x240, "table+0x40" },
	{ FIRST + 0x280, "inside" },            /* the innermost */
	{ FIRST + 0x288, "table+0x88" },
	{ FIRST + 0x700, NULL },                /* a function */
	{ FIRST + 0x740, NULL },
	{ FIRST + 0x780, NULL },
	{ SECOND + 0x40, "app::cache" },
	{ SECOND + 0x48, "app::cache+0x8" },
	{ SECOND + 0x80, "versioned" },
	{ SECOND + 0x100000, NULL },            /* a heap, behind all */
	{ 0x1000, NULL },                       /* in front of all */
};

static void a_lock_is_called_after_the_global_it_is_in(void **state)
{
	uint64_t address[COUNT_OF(cases) + 3];
	const struct lock_names *n;
	unsigned at = 0;

	(void)state;
	/* Not in order, one twice, and one that is not known. */
	for (unsigned i = 0; i < COUNT_OF(cases); i++)
		address[at++] = cases[COUNT_OF(cases) - 1 - i].address;
	address[at++] = cases[0].address;
	address[at++] = 0;
	n = lock_names_make(&arena, &made_ground, address, at);
	assert_non_null(n);
	assert_true(breaths > 0);
	for (unsigned i = 0; i < COUNT_OF(cases); i++)
		assert_name(n, cases[i].address, cases[i].name);
	assert_name(n, 0, NULL);
	assert_name(n, FIRST + 0x101, NULL);    /* was not asked for */
}

static void none_of_a_file_that_is_not_there(void **state)
{
	uint64_t address[] = { FIRST + 0x100, SECOND + 0x40 };
	const struct lock_names *n;

	(void)state;
	unlink(first_path);
	n = lock_names_make(&arena, &made_ground, address, 2);
	assert_name(n, address[0], NULL);
	assert_name(n, address[1], "app::cache");
}

static void none_of_an_object_that_has_gone(void **state)
{
	uint64_t address[] = { FIRST + 0x100 };
	const struct lock_names *n;

	(void)state;
	made.module[0].alive = false;
	n = lock_names_make(&arena, &made_ground, address, 1);
	assert_name(n, address[0], NULL);
	n = lock_names_make(&arena, &made_ground, address, 0);
	assert_name(n, address[0], NULL);
}

static void without_memory_there_is_nothing(void **state)
{
	uint64_t address[] = { FIRST + 0x100 };

	(void)state;
	arena_reset(&arena);
	arena = map_fail_arena(1);
	assert_null(lock_names_make(&arena, &made_ground, address, 1));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lock_is_called_after_the_global_it_is_in),
		TEST(none_of_a_file_that_is_not_there),
		TEST(none_of_an_object_that_has_gone),
		TEST(without_memory_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
