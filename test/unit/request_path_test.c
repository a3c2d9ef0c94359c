#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz/wall.h"
#include "httpd/request_path.h"

static size_t path_of(const char *path, char *out, bool *moved)
{
	size_t len = strlen(path);
	struct request r = { .path = { wall_copy(path, len), len } };

	return request_path(&r, out, moved);
}

static void a_path_is_decoded_or_sent_to_its_clean_form(void **state)
{
	static const struct { const char *path; bool moved; const char *want; } cases[] = {
		{ "/", false, "/" },
		{ "/debug/pprof/", false, "/debug/pprof/" },
		{ "/debug/pprof", false, "/debug/pprof" },
		{ "/debug/pprof/%63mdline", false, "/debug/pprof/cmdline" },
		{ "/debug/%70prof/heap", false, "/debug/pprof/heap" },
		{ "/debug/pprof/example.com/x.files", false, "/debug/pprof/example.com/x.files" },
		{ "/debug/pprof/example.com%2Fx", false, "/debug/pprof/example.com/x" },
		{ "/debug/pprof/a+b", false, "/debug/pprof/a+b" },
		{ "/debug/pprof/a%20b%25", false, "/debug/pprof/a b%" },
		{ "/debug/pprof/%c3%A9", false, "/debug/pprof/\xc3\xa9" },
		{ "/a/...", false, "/a/..." },
		{ "/a/.b/..c", false, "/a/.b/..c" },
		{ "*", false, "*" },

		/* an encoded dot or slash moves nothing, and separates nothing in front */
		{ "/debug/pprof/%2e%2e/x", false, "/debug/pprof/../x" },
		{ "/debug/pprof/a%2F..%2Fx", false, "/debug/pprof/a/../x" },
		{ "/debug%2Fpprof/heap", false, "/debug%2Fpprof/heap" },
		{ "/debug%2fpprof%2fheap", false, "/debug%2Fpprof%2Fheap" },
		{ "/debug/pprof%2Fheap", false, "/debug/pprof%2Fheap" },
		{ "/debug/pprof/heap%2F", false, "/debug/pprof/heap/" },

		{ "//", true, "/" },
		{ "//debug/pprof/x", true, "/debug/pprof/x" },
		{ "/debug//pprof/x", true, "/debug/pprof/x" },
		{ "/debug/pprof//", true, "/debug/pprof/" },
		{ "/debug/pprof/./x", true, "/debug/pprof/x" },
		{ "/debug/pprof/.", true, "/debug/pprof" },
		{ "/debug/pprof/./", true, "/debug/pprof/" },
		{ "/debug/pprof/a/../x", true, "/debug/pprof/x" },
		{ "/debug/pprof/a/..", true, "/debug/pprof" },
		{ "/debug/pprof/a/../", true, "/debug/pprof/" },
		{ "/..", true, "/" },
		{ "/../../etc/passwd", true, "/etc/passwd" },
		{ "/a/../../b/../c", true, "/c" },
		{ "/a/..", true, "/" },
		{ "/a/../", true, "/" },
		{ "/.", true, "/" },
		{ "/./", true, "/" },
		{ "///a///b///", true, "/a/b/" },
		{ "//a%2f%2E", true, "/a%2f%2E" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *out = wall_room(REQUEST_HEAD_MAX);
		bool moved = !cases[i].moved;
		size_t n = path_of(cases[i].path, out, &moved);

		if (moved != cases[i].moved || n != strlen(cases[i].want) ||
		    memcmp(out, cases[i].want, n + 1) != 0)
			fail_msg("%s: %d %.*s", cases[i].path, moved, (int)n, out);
	}
}

static void a_zero_byte_in_a_path_is_a_byte(void **state)
{
	char out[REQUEST_HEAD_MAX];
	bool moved;

	(void)state;
	assert_int_equal(path_of("/debug/pprof/heap%00x", out, &moved), 19);
	assert_memory_equal(out, "/debug/pprof/heap\0x", 20);
	assert_false(moved);
}

static void the_longest_path_fits(void **state)
{
	char *out = wall_room(REQUEST_HEAD_MAX);
	char head[REQUEST_HEAD_MAX];
	struct request r;
	bool moved;

	(void)state;
	memset(head, 'x', sizeof(head));
	memcpy(head, "GET //", 6);
	memcpy(head + sizeof(head) - 11, " HTTP/1.0\n\n", 11);
	assert_int_equal(request_parse(head, sizeof(head), &r), sizeof(head));
	assert_int_equal(request_path(&r, out, &moved), sizeof(head) - 4 - 11 - 1);
	assert_true(moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_decoded_or_sent_to_its_clean_form),
		cmocka_unit_test(a_zero_byte_in_a_path_is_a_byte),
		cmocka_unit_test(the_longest_path_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
