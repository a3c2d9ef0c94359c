/* Which dump is the newest of this process, in a folder where others write, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fake/map_fail.h"
#include "httpd/dump_file.h"
#include "sampler/compiler.h"

#define BEGIN "heap_v2/524288\n  t*: 3: 9 [0: 0]\n@ 0x11 0x12\n  t*: 1: 500000 [0: 0]\n"
#define WHOLE BEGIN "\nMAPPED_LIBRARIES:\n"

static char folder[] = "/tmp/dump_file_XXXXXX", prefix[64];
static struct arena arena;
static struct dump_file found;
static unsigned rows;
static int64_t since_s;

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(prefix, sizeof(prefix), "%s/je", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static int begin(void **state)
{
	(void)state;
	arena = map_fail_arena(1u << 20);
	since_s = time(NULL);
	return 0;
}

/* The path of this process's dump number seq. */
static const char *path_of(unsigned seq)
{
	static char path[2][128];
	static unsigned turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s.%d.%u.m%u.heap", prefix, (int)getpid(), seq, seq);
	return path[turn];
}

static int end(void **state)
{
	(void)state;
	for (unsigned seq = 0; seq < 10; seq++)
		unlink(path_of(seq));
	arena_reset(&arena);
	return map_fail.live_bytes != 0;
}

static const char *write_dump(unsigned seq, const char *text)
{
	const char *path = path_of(seq);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static void count(void *with, const struct dump_row *row)
{
	assert_ptr_equal(with, &rows);
	assert_int_equal(row->depth, 2);
	rows++;
}

/* -1: there is none. */
static int newest(void)
{
	const char *number;

	if (!dump_file_find(&arena, prefix, since_s, &found))
		return -1;
	assert_int_equal(found.rate, 524288);
	assert_in_range(found.written_s, since_s - 2, since_s + 1000);
	number = strrchr(found.path, 'm');
	return number != NULL ? number[1] - '0' : -2;
}

static void the_newest_that_is_whole(void **state)
{
	(void)state;
	assert_int_equal(newest(), -1);
	write_dump(0, WHOLE);
	assert_int_equal(newest(), 0);
	write_dump(2, WHOLE);
	write_dump(1, WHOLE);
	assert_int_equal(newest(), 2);
	write_dump(2, BEGIN);
	assert_int_equal(newest(), 1);
	rows = 0;
	dump_file_read(&arena, &found, count, &rows);
	assert_int_equal(rows, 1);
}

/* Those before keep their place, however great the numbers of these are. */
static void what_is_not_a_dump_of_this_process(void **state)
{
	const struct timespec before[] = { { since_s - 100, 0 }, { since_s - 100, 0 } };
	char target[128];

	(void)state;
	write_dump(0, WHOLE);
	/* A link to a whole one. */
	snprintf(target, sizeof(target), "%s.target", prefix);
	assert_int_equal(rename(write_dump(5, WHOLE), target), 0);
	assert_int_equal(symlink(target, path_of(5)), 0);
	assert_int_equal(mkfifo(path_of(6), 0600), 0);
	assert_int_equal(mkdir(path_of(7), 0700), 0);
	/* Who had our id before us. */
	assert_int_equal(utimensat(AT_FDCWD, write_dump(8, WHOLE), before, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, write_dump(9, WHOLE), before, 0), 0);
	assert_int_equal(newest(), 0);
	since_s -= 200;
	assert_int_equal(newest(), 9);
	assert_int_equal(unlink(target), 0);
	assert_int_equal(rmdir(path_of(7)), 0);
}

static void nor_one_of_another_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();         /* only root can give a file away */
	assert_int_equal(chmod(folder, 0755), 0);
	write_dump(0, WHOLE);
	assert_int_equal(chown(write_dump(1, WHOLE), 4711, 4711), 0);
	assert_int_equal(newest(), 0);
	/* Its own, and root's. */
	assert_int_equal(chown(path_of(0), 4711, 4711), 0);
	assert_int_equal(chown(path_of(1), 0, 0), 0);
	assert_int_equal(seteuid(4711), 0);
	assert_int_equal(newest(), 1);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(unlink(path_of(1)), 0);
	assert_int_equal(seteuid(4711), 0);
	assert_int_equal(newest(), 0);
	assert_int_equal(seteuid(0), 0);
}

/* Found, and then it is another one, or none. */
static void it_may_change_until_it_is_read(void **state)
{
	(void)state;
	write_dump(0, WHOLE);
	assert_int_equal(newest(), 0);
	rows = 0;
	assert_int_equal(truncate(found.path, 20), 0);
	dump_file_read(&arena, &found, count, &rows);
	assert_int_equal(unlink(found.path), 0);
	dump_file_read(&arena, &found, count, &rows);
	assert_int_equal(symlink(write_dump(1, WHOLE), found.path), 0);
	dump_file_read(&arena, &found, count, &rows);
	assert_int_equal(rows, 0);
}

static void too_large_a_file_is_not_read(void **state)
{
	(void)state;
	write_dump(0, WHOLE);
	assert_int_equal(truncate(write_dump(1, WHOLE), (off_t)DUMP_FILE_MAX + 1), 0);
	assert_int_equal(newest(), 0);
	/* One that is all holes: no line ends. */
	assert_int_equal(truncate(write_dump(1, BEGIN), DUMP_FILE_MAX / 8), 0);
	assert_int_equal(newest(), 0);
}

static void without_memory_there_is_none(void **state)
{
	(void)state;
	write_dump(0, WHOLE);
	map_fail.fail_at = map_fail.calls + 1;
	assert_int_equal(newest(), -1);
	assert_true(arena.failed);
	dump_file_read(&arena, &found, count, &rows);
}

static void names_of_files(void **state)
{
	static const char *const not[] = {
		"", "je", "je.", "je.42", "je.42.", "je.42.7", "je.42.7.", "je.42.7.m", "je.42.7.m7",
		"je.42.7.m7.heap2", "je.42.7.m7.hea", "je.43.7.m7.heap", "je.420.7.m7.heap",
		"je.42.x.m7.heap", "jf.42.7.m7.heap", "aje.42.7.m7.heap", "je.42.7.M7.heap",
		"je.42..m7.heap", "je..42.7.m7.heap", "je.42.7..heap", "je.42.99999999999999999999.m7.heap",
	};
	uint64_t seq;

	(void)state;
	assert_true(dump_file_name("je.42.7.m7.heap", "je", 42, &seq) && seq == 7);
	assert_true(dump_file_name("je.42.123456789012.i3.heap", "je", 42, &seq) && seq == 123456789012);
	assert_true(dump_file_name("je.42.8.f.heap", "je", 42, &seq) && seq == 8);
	assert_true(dump_file_name("a.b.42.8.u0.heap", "a.b", 42, &seq) && seq == 8);
	for (unsigned i = 0; i < COUNT_OF(not); i++)
		if (dump_file_name(not[i], "je", 42, &seq))
			fail_msg("%s", not[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_newest_that_is_whole),
		TEST(what_is_not_a_dump_of_this_process),
		TEST(nor_one_of_another_user),
		TEST(it_may_change_until_it_is_read),
		TEST(too_large_a_file_is_not_read),
		TEST(without_memory_there_is_none),
		TEST(names_of_files),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
