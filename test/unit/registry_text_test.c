/* What a scraper reads, and what we read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fuzz/wall.h"
#include "httpd/registry_text.h"

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"

/* --- the whole ------------------------------------------------------------------------------- */

static char whole[4096];

static void write_entry(const char *addresses, const char *program)
{
	struct address_list list = { .count = 0 };
	const struct address *open[ADDRESS_MAX];
	struct registry_entry e = { .program = program, .pid = 4242, .started_s = 1795245630,
				    .where = { BOOT, 4026531836, 4026531833, 1000 }, .open = open };
	struct buf b = buf_bounded(whole, sizeof(whole));

	assert_true(address_parse(addresses, strlen(addresses), 4242, &list) >= 0);
	for (; e.count < list.count; e.count++)
		open[e.count] = &list.address[e.count];
	registry_text_write(&b, &e);
	assert_true(buf_fits(&b));
	buf_end(&b);
}

static void an_entry_is_what_file_sd_reads(void **state)
{
	(void)state;
	write_entry("@pprofshim.0.%p,127.0.0.1:6060,[::1]:6061", "/usr/bin/redis-server");
	assert_string_equal(whole,
		"[\n  {\n    \"targets\": [\"127.0.0.1:6060\"],\n    \"labels\": {\n"
		"      \"service_name\": \"redis-server\",\n"
		"      \"__meta_pprofshim_pid\": \"4242\",\n"
		"      \"__meta_pprofshim_started\": \"1795245630\",\n"
		"      \"__meta_pprofshim_where\": \"" BOOT " 4026531836 4026531833 1000\",\n"
		"      \"__meta_pprofshim_program\": \"/usr/bin/redis-server\",\n"
		"      \"__meta_pprofshim_addresses\": "
		"\"unix:@pprofshim.0.4242,127.0.0.1:6060,[::1]:6061\"\n"
		"    }\n  }\n]\n");
}

static void a_target_is_one_that_can_be_reached(void **state)
{
	static const struct { const char *addresses, *targets; } cases[] = {
		{ "@x,unix:/run/x.sock", "\"targets\": []," },
		{ "[::1]:7,127.0.0.1:8", "\"targets\": [\"[::1]:7\"]," },
		{ "0.0.0.0:7", "\"targets\": [\"127.0.0.1:7\"]," },
		{ "[::]:7", "\"targets\": [\"[::1]:7\"]," },
		{ "10.1.2.3:7", "\"targets\": [\"10.1.2.3:7\"]," },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		write_entry(cases[i].addresses, "/bin/x");
		assert_non_null(strstr(whole, cases[i].targets));
	}
}

/* A program may be called like a label. */
static void no_name_poses_as_a_label(void **state)
{
	struct registry_where where;

	(void)state;
	write_entry("@x", "/tmp/\"__meta_pprofshim_where\": \"other 1 2 3\"");
	assert_true(registry_text_where(whole, strlen(whole), &where));
	assert_string_equal(where.boot, BOOT);
}

static void what_is_written_is_read_again(void **state)
{
	struct registry_where where;

	(void)state;
	write_entry("@x", "/bin/x");
	assert_true(registry_text_where(wall_copy(whole, strlen(whole)), strlen(whole), &where));
	assert_string_equal(where.boot, BOOT);
	assert_int_equal(where.pids, 4026531836);
	assert_int_equal(where.net, 4026531833);
	assert_int_equal(where.uid, 1000);
}

/* Each start of it, and each byte changed: no more than a wrong answer, and no byte behind it. */
static void a_half_is_none_of_ours(void **state)
{
	struct registry_where where;
	size_t len, needed;

	(void)state;
	write_entry("@x", "/bin/x");
	len = strlen(whole);
	needed = (size_t)(strstr(whole, "33 1000\"") - whole) + 8;
	for (size_t n = 0; n <= len; n++)
		assert_int_equal(registry_text_where(wall_copy(whole, n), n, &where), n >= needed);
	for (size_t i = 0; i < len; i++) {
		char was = whole[i];

		whole[i] = '7';
		if (registry_text_where(wall_copy(whole, len), len, &where))
			assert_true(strlen(where.boot) <= REGISTRY_TEXT_BOOT);
		whole[i] = was;
	}
	assert_false(registry_text_where("{}", 2, &where));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_what_file_sd_reads),
		cmocka_unit_test(a_target_is_one_that_can_be_reached),
		cmocka_unit_test(no_name_poses_as_a_label),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(a_half_is_none_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
