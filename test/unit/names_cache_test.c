#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/made_module.h"
#include "httpd/job.h"
#include "httpd/names.h"
#include "httpd/names_cache.h"
#include "sampler/compiler.h"
#include "sampler/os.h"

#define MANY     400000                 /* functions of a large object: 6.1 MiB of index */
#define TOO_MANY  (NAMES_BUDGET_BYTES / 16 + 1)

static unsigned breaths;

void job_breathe(void)
{
	breaths++;
}

static struct arena arena;
static char folder[] = "/tmp/names_cache_test.XXXXXX";

/* FOLDER/NAME with so many functions of that name; the module is mapped at nr << 32. */
static void make(const char *name, size_t count, uintptr_t nr, struct module *out)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_true(made_module_of_many(name, count, path, nr << 32, out));
}

static const char *name_at(const struct module *module, uint64_t at)
{
	struct names_answer answer;

	arena_reset(&arena);
	names_find(&arena, module, module->start + at, &answer);
	return answer.name;
}

static int begin(void **state)
{
	(void)state;
	breaths = 0;
	return 0;
}

static int end(void **state)
{
	char command[128];

	(void)state;
	names_reset();
	snprintf(command, sizeof(command), "rm -f %s/*", folder);
	return system(command);
}

static void indexes_stay_within_the_budget(void **state)
{
	static struct module m[5];
	static const char *names[] = { "zero", "one", "two", "three", "four" };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(m); i++)
		make(names[i], MANY, i + 1, &m[i]);
	for (unsigned i = 0; i < 3 * COUNT_OF(m); i++) {
		const struct module *one = &m[i % COUNT_OF(m)];

		assert_string_equal(name_at(one, i), names[i % COUNT_OF(m)]);
		assert_string_equal(name_at(one, MANY - 1), names[i % COUNT_OF(m)]);
		assert_true(names_cache_bytes() <= NAMES_BUDGET_BYTES);
	}
	assert_true(names_cache_bytes() > NAMES_BUDGET_BYTES / 2);
	/* The two used last are there; the one before is not. */
	breaths = 0;
	name_at(&m[4], 0);
	name_at(&m[3], 0);
	assert_int_equal(breaths, 0);
	name_at(&m[2], 0);
	assert_true(breaths > 0);
	names_reset();
	assert_int_equal(names_cache_bytes(), 0);
}

static void of_too_many_functions_the_dynamic_ones_are_known(void **state)
{
	struct made_symbol *s = made_symbols("too_many", TOO_MANY);
	struct made_symbol exported = { "exported", 0, 4, STT_FUNC, STB_GLOBAL, 0 };
	struct made_elf how = { s, &exported, TOO_MANY, 1, NULL, TOO_MANY };
	struct module m;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/huge", folder);
	assert_true(made_module(&how, path, 1u << 30, &m));
	free(s);
	assert_string_equal(name_at(&m, 3), "exported");
	assert_string_equal(name_at(&m, 4), "huge+0x11000");
	assert_true(names_cache_bytes() <= 4096);
}

static void a_failure_is_remembered_until_the_reset(void **state)
{
	struct module m;
	char moved[MODULE_PATH_MAX + 8];

	(void)state;
	make("late", 16, 1, &m);
	snprintf(moved, sizeof(moved), "%s.moved", m.path);
	assert_int_equal(rename(m.path, moved), 0);
	assert_string_equal(name_at(&m, 1), "late+0x1000");
	assert_int_equal(rename(moved, m.path), 0);
	assert_string_equal(name_at(&m, 1), "late+0x1000");
	names_reset();
	assert_string_equal(name_at(&m, 1), "late");
}

static void a_deleted_file_keeps_its_names_while_it_is_open(void **state)
{
	struct module m;

	(void)state;
	make("deleted", 16, 1, &m);
	assert_string_equal(name_at(&m, 1), "deleted");
	assert_int_equal(unlink(m.path), 0);
	assert_string_equal(name_at(&m, 2), "deleted");
	names_reset();
	assert_string_equal(name_at(&m, 2), "deleted+0x1000");
}

static void a_file_written_anew_is_not_the_old_one(void **state)
{
	struct module old, new;

	(void)state;
	make("file", 16, 1, &old);
	assert_string_equal(name_at(&old, 1), "file");
	make("file", 17, 1, &new);              /* the same inode, other contents */
	assert_int_equal(old.inode, new.inode);
	assert_string_equal(name_at(&old, 16), "file");
	names_reset();
	unlink(old.path);
	old.build_id_len = 20;
	make("file", 17, 1, &new);
	assert_string_equal(name_at(&old, 1), "file+0x1000");
}

/* By build id, wherever it was copied to. */
static void a_build_id_says_more_than_an_inode(void **state)
{
	struct made_symbol s = { "function", 0, 16, STT_FUNC, STB_GLOBAL, 0 };
	struct made_elf how = { &s, NULL, 1, 0, "abcdefghijabcdefghij", 16 };
	struct module m;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/copy", folder);
	assert_true(made_module(&how, path, 1u << 30, &m));
	m.inode++;
	assert_string_equal(name_at(&m, 1), "function");
	names_reset();
	m.build_id[19] ^= 1;
	assert_string_equal(name_at(&m, 1), "copy+0x1000");
}

/* Our descriptors are the ones from OS_FD_MIN on. */
static void the_host_may_close_and_reuse_our_descriptor(void **state)
{
	struct module m;
	char path[] = "/tmp/names_cache_test.XXXXXX";
	int fd = mkstemp(path);
	struct stat st, hosts;

	(void)state;
	make("closed", 16, 1, &m);
	assert_string_equal(name_at(&m, 1), "closed");
	assert_int_equal(fstat(OS_FD_MIN, &st), 0);
	assert_int_equal(st.st_ino, m.inode);
	close(OS_FD_MIN);
	assert_string_equal(name_at(&m, 2), "closed");
	assert_int_equal(dup2(fd, OS_FD_MIN), OS_FD_MIN);
	assert_string_equal(name_at(&m, 3), "closed");
	names_reset();
	assert_int_equal(fstat(OS_FD_MIN, &st), 0);     /* the host's, and still open */
	assert_int_equal(fstat(fd, &hosts), 0);
	assert_int_equal(st.st_ino, hosts.st_ino);
	assert_int_equal(fcntl(OS_FD_MIN + 1, F_GETFD), -1);
	close(OS_FD_MIN);
	close(fd);
	unlink(path);
}

/* The number may be that of another one of ours by then, a client's socket say. */
static void another_descriptor_of_ours_stays_open(void **state)
{
	int before = os_open_read("/proc/self/exe"), other;
	struct module m;

	(void)state;
	make("closed", 16, 1, &m);
	assert_string_equal(name_at(&m, 1), "closed");
	os_close(before);
	assert_int_equal(dup2(STDIN_FILENO, before), before);
	close(before + 1);
	other = os_open_read("/proc/self/exe");
	assert_int_equal(other, before + 1);
	assert_string_equal(name_at(&m, 2), "closed");
	names_reset();
	assert_int_equal(fcntl(other, F_GETFD), FD_CLOEXEC);
	os_close(other);
	close(before);
}

static void few_files_are_open_at_once(void **state)
{
	static struct module m[3 * NAMES_CACHE_FILES_MAX];
	char name[16];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(m); i++) {
		snprintf(name, sizeof(name), "file%u", i);
		make(name, 4, i + 1, &m[i]);
	}
	for (unsigned i = 0; i < 5 * COUNT_OF(m); i++) {
		unsigned k = i * 7 % COUNT_OF(m);
		int open_files = 0;

		snprintf(name, sizeof(name), "file%u", k);
		assert_string_equal(name_at(&m[k], 1), name);
		for (int fd = OS_FD_MIN; fd < OS_FD_MIN + 100; fd++)
			open_files += fcntl(fd, F_GETFD) >= 0;
		assert_in_range(open_files, 1, NAMES_CACHE_FILES_MAX);
	}
	names_reset();
	for (int fd = OS_FD_MIN; fd < OS_FD_MIN + 100; fd++)
		assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void more_objects_than_rows_take_turns(void **state)
{
	static struct module m[NAMES_CACHE_OBJECTS_MAX + 20];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(m); i++) {
		make("same", 4, i + 1, &m[i]);
		m[i].build_id_len = i % 2 ? 20 : 0;     /* every other one is not to be trusted */
	}
	for (unsigned i = 0; i < COUNT_OF(m); i++)
		assert_string_equal(name_at(&m[i], 1), i % 2 ? "same+0x1000" : "same");
}

static void a_fifo_does_not_stop_us(void **state)
{
	struct module m = { .start = 0x1000, .limit = 0x2000 };

	(void)state;
	snprintf(m.path, sizeof(m.path), "%s/fifo", folder);
	assert_int_equal(mkfifo(m.path, 0600), 0);
	alarm(10);
	assert_string_equal(name_at(&m, 1), "fifo+0x0");
	alarm(0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(indexes_stay_within_the_budget),
		TEST(of_too_many_functions_the_dynamic_ones_are_known),
		TEST(a_failure_is_remembered_until_the_reset),
		TEST(a_deleted_file_keeps_its_names_while_it_is_open),
		TEST(a_file_written_anew_is_not_the_old_one),
		TEST(a_build_id_says_more_than_an_inode),
		TEST(the_host_may_close_and_reuse_our_descriptor),
		TEST(few_files_are_open_at_once),
		TEST(more_objects_than_rows_take_turns),
		TEST(a_fifo_does_not_stop_us),
		TEST(another_descriptor_of_ours_stays_open),
	};
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	arena_init(&arena, 64u << 20, os_map, os_unmap);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
