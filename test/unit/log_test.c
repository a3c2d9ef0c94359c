#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>

#include "fake/said.h"
#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/limits.h"
#include "sampler/log.h"

static char expected[65536];

/* "pprofshim[PID]: " and the text, as the child expects it. */
static void expect(const char *text)
{
	sprintf(expected + strlen(expected), "pprofshim[%d]: %s\n", (int)getpid(), text);
}

static const char *output(void (*f)(void))
{
	const char *wrong, *text = said(f, &wrong);

	if (text == NULL)
		fail_msg("%s", wrong);
	return text;
}

/* --- the line -------------------------------------------------------------------------------- */

static void say_parts(void)
{
	char got[4096];
	ssize_t n;

	log_init(LOG_ERROR);
	log_line(LOG_ERROR, "one", NULL);
	log_line(LOG_ERROR, "one", "", "two ", "three", NULL);
	log_line(LOG_ERROR, "", NULL);
	/* Read back by the child: only it knows its number. */
	expect("one");
	expect("onetwo three");
	expect("");
	n = pread(2, got, sizeof(got) - 1, 0);
	CHILD_DEMAND(n > 0);
	got[n] = '\0';
	CHILD_DEMAND(strcmp(got, expected) == 0);
	CHILD_DEMAND(count_get(COUNT_LOG_LOST) == 0);
}

static void a_line_is_our_name_and_number_and_all_parts(void **state)
{
	(void)state;
	assert_int_equal(said_lines(output(say_parts)), 3);
}

static void say_long_parts(void)
{
	static char part[4096];
	char got[8192];
	ssize_t n;

	memset(part, 'x', sizeof(part) - 1);
	log_init(LOG_ERROR);
	log_line(LOG_ERROR, part, NULL);
	log_line(LOG_ERROR, "a", part, part, part, part, NULL);
	part[LOG_PART_MAX] = '\0';
	log_line(LOG_ERROR, part, "!", NULL);
	part[LOG_PART_MAX] = 'x';
	part[LOG_PART_MAX + 1] = '\0';
	log_line(LOG_ERROR, part, "!", NULL);
	n = pread(2, got, sizeof(got) - 1, 0);
	CHILD_DEMAND(n > 0);
	got[n] = '\0';
	for (char *at = got, *end; at < got + n; at = end + 1) {
		end = strchr(at, '\n');
		CHILD_DEMAND(end != NULL && end + 1 - at <= LOG_LINE_MAX);
		CHILD_DEMAND(strncmp(at, "pprofshim[", 10) == 0);
	}
}

static void long_parts_and_lines_are_cut(void **state)
{
	const char *text = output(say_long_parts), *end;
	char whole[LOG_PART_MAX + 1], cut[LOG_PART_MAX + 1];

	(void)state;
	memset(whole, 'x', LOG_PART_MAX);
	whole[LOG_PART_MAX] = '\0';
	memcpy(cut, whole, sizeof(cut));
	memcpy(cut + LOG_PART_MAX - 3, "...", 3);
	assert_int_equal(said_lines(text), 4);
	/* One part: cut, and said to be. */
	text = strstr(text, "]: ") + 3;
	assert_memory_equal(text, cut, LOG_PART_MAX);
	assert_int_equal(text[LOG_PART_MAX], '\n');
	/* More parts than a line holds: the line is full. */
	text = strchr(text, '\n') + 1;
	end = strchr(text, '\n');
	assert_int_equal(end + 1 - text, LOG_LINE_MAX);
	/* The longest part that is whole, and one byte more. */
	text = strstr(end, "]: ") + 3;
	assert_memory_equal(text, whole, LOG_PART_MAX);
	assert_memory_equal(text + LOG_PART_MAX, "!\n", 2);
	text = strstr(text, "]: ") + 3;
	assert_memory_equal(text, cut, LOG_PART_MAX);
	assert_memory_equal(text + LOG_PART_MAX, "!\n", 2);
}

static void say_control_characters(void)
{
	log_init(LOG_ERROR);
	log_line(LOG_ERROR, "a\nb\r\033[31m\x7f\tc\x01", " J\xc3\xb6rg", NULL);
}

static void what_a_part_holds_cannot_end_the_line_or_steer_a_terminal(void **state)
{
	(void)state;
	assert_non_null(strstr(output(say_control_characters), "]: a?b??[31m??c? J\xc3\xb6rg\n"));
}

/* --- which lines ----------------------------------------------------------------------------- */

static enum log_level allowed;

static void say_all_levels(void)
{
	log_init(allowed);
	log_line(LOG_DEBUG, "debug", NULL);
	log_line(LOG_INFO, "info", NULL);
	log_line(LOG_ERROR, "error", NULL);
}

static void only_allowed_levels_are_said(void **state)
{
	static const struct { enum log_level level; bool error, info, debug; } cases[] = {
		{ LOG_QUIET, false, false, false },
		{ LOG_ERROR, true, false, false },
		{ LOG_INFO, true, true, false },
		{ LOG_DEBUG, true, true, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *text;

		allowed = cases[i].level;
		text = output(say_all_levels);
		assert_int_equal(strstr(text, "error") != NULL, cases[i].error);
		assert_int_equal(strstr(text, "info") != NULL, cases[i].info);
		assert_int_equal(strstr(text, "debug") != NULL, cases[i].debug);
	}
}

static void say_without_init(void)
{
	log_line(LOG_ERROR, "too early", NULL);
}

static void before_init_nothing_is_said(void **state)
{
	(void)state;
	assert_string_equal(output(say_without_init), "");
}

static void say_too_much(void)
{
	log_init(LOG_ERROR);
	for (int i = 0; i < 1000; i++) {
		char number[16];

		snprintf(number, sizeof(number), "line %d.", i);
		/* Lines that are not said are not counted. */
		log_line(LOG_INFO, "quiet", NULL);
		log_line(LOG_ERROR, number, NULL);
	}
	/* A second init is no new beginning. */
	log_init(LOG_ERROR);
	log_line(LOG_ERROR, "again", NULL);
}

static void a_process_says_so_many_lines_and_no_more(void **state)
{
	const char *text = output(say_too_much);
	char last[16];

	(void)state;
	assert_int_equal(said_lines(text), LOG_LINES_MAX);
	snprintf(last, sizeof(last), "line %d.", LOG_LINES_MAX - 1);
	assert_non_null(strstr(text, last));
	assert_null(strstr(text, "again"));
}

/* --- whose descriptor 2 ---------------------------------------------------------------------- */

static void say_to_a_closed_stderr(void)
{
	int fd;

	close(2);
	log_init(LOG_DEBUG);
	/* The next file that the program opens gets number 2. */
	fd = memfd_create("data", 0);
	CHILD_DEMAND(fd == 2);
	log_line(LOG_ERROR, "a line", NULL);
	CHILD_DEMAND(lseek(2, 0, SEEK_END) == 0);
}

static void with_a_closed_stderr_nothing_is_said(void **state)
{
	(void)state;
	assert_string_equal(output(say_to_a_closed_stderr), "");
}

static void say_after_it_was_closed(void)
{
	log_init(LOG_DEBUG);
	close(2);
	log_line(LOG_ERROR, "a line", NULL);
	CHILD_DEMAND(count_get(COUNT_LOG_LOST) == 1);
	CHILD_DEMAND(memfd_create("data", 0) == 2);
	log_line(LOG_ERROR, "a line", NULL);
	CHILD_DEMAND(count_get(COUNT_LOG_LOST) == 2);
	CHILD_DEMAND(lseek(2, 0, SEEK_END) == 0);
}

static void a_file_that_took_its_place_gets_nothing(void **state)
{
	(void)state;
	assert_string_equal(output(say_after_it_was_closed), "");
}

static void say_to_the_same_file_again(void)
{
	int copy = dup(2);

	log_init(LOG_ERROR);
	close(2);
	CHILD_DEMAND(dup2(copy, 2) == 2);
	log_line(LOG_ERROR, "the same", NULL);
}

static void the_same_file_is_the_same_stderr(void **state)
{
	(void)state;
	assert_non_null(strstr(output(say_to_the_same_file_again), "the same\n"));
}

static void say_to_a_pipe_nobody_reads(void)
{
	int ends[2];

	CHILD_DEMAND(pipe(ends) == 0 && dup2(ends[1], 2) == 2);
	log_init(LOG_ERROR);
	close(ends[0]);
	/* SIGPIPE would end us. */
	log_line(LOG_ERROR, "a line", NULL);
	CHILD_DEMAND(count_get(COUNT_LOG_LOST) == 1);
}

static void say_to_a_full_pipe(void)
{
	char page[4096] = "";
	int ends[2];

	CHILD_DEMAND(pipe(ends) == 0 && dup2(ends[1], 2) == 2);
	CHILD_DEMAND(fcntl(2, F_SETFL, O_NONBLOCK) == 0);
	while (write(2, page, sizeof(page)) > 0)
		;
	CHILD_DEMAND(fcntl(2, F_SETFL, 0) == 0);
	log_init(LOG_ERROR);
	alarm(20);
	log_line(LOG_ERROR, "a line", NULL);
	CHILD_DEMAND(count_get(COUNT_LOG_LOST) == 1);
}

static void say_to_a_full_device(void)
{
	CHILD_DEMAND(dup2(open("/dev/full", O_WRONLY), 2) == 2);
	log_init(LOG_ERROR);
	log_line(LOG_ERROR, "a line", NULL);
	CHILD_DEMAND(count_get(COUNT_LOG_LOST) == 1);
}

static void a_line_that_cannot_be_written_is_lost_and_counted(void **state)
{
	(void)state;
	assert_child(say_to_a_pipe_nobody_reads);
	assert_child(say_to_a_full_pipe);
	assert_child(say_to_a_full_device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_our_name_and_number_and_all_parts),
		cmocka_unit_test(long_parts_and_lines_are_cut),
		cmocka_unit_test(what_a_part_holds_cannot_end_the_line_or_steer_a_terminal),
		cmocka_unit_test(only_allowed_levels_are_said),
		cmocka_unit_test(before_init_nothing_is_said),
		cmocka_unit_test(a_process_says_so_many_lines_and_no_more),
		cmocka_unit_test(with_a_closed_stderr_nothing_is_said),
		cmocka_unit_test(a_file_that_took_its_place_gets_nothing),
		cmocka_unit_test(the_same_file_is_the_same_stderr),
		cmocka_unit_test(a_line_that_cannot_be_written_is_lost_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
