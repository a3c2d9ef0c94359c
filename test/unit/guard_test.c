#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz/wall.h"
#include "httpd/guard.h"

#define LOCAL "127.0.0.1:6060"

static int status_of(const char *local, const char *head)
{
	struct address_list list;
	struct request r;
	struct guard_verdict verdict;
	size_t len = strlen(head);

	assert_int_equal(address_parse(local, strlen(local), 7, &list), 1);
	if (request_parse(wall_copy(head, len), len, &r) != (int)len)
		fail_msg("not a request: %s", head);
	verdict = guard_check(&r, &list.address[0]);
	assert_true((verdict.reason == NULL) == (verdict.status == 0));
	return verdict.status;
}

static void a_loopback_server_answers_to_its_own_names_only(void **state)
{
	static const struct { const char *local, *host; int want; } cases[] = {
		{ LOCAL, "localhost", 0 },
		{ LOCAL, "localhost:6060", 0 },
		{ LOCAL, "localhost:9", 0 },    /* forwarded by ssh -L */
		{ LOCAL, "localhost:", 0 },
		{ LOCAL, "LocalHost:6060", 0 },
		{ LOCAL, "127.0.0.1", 0 },
		{ LOCAL, "127.0.0.1:6060", 0 },
		{ LOCAL, "[::1]", 0 },
		{ LOCAL, "[::1]:6060", 0 },
		{ "[::1]:6060", "localhost:6060", 0 },
		{ "[::1]:6060", "127.0.0.1:6060", 0 },
		{ "127.0.0.2:6060", "127.0.0.2:6060", 0 },
		{ "127.0.0.2:6060", "localhost", 0 },
		{ "[::ffff:127.0.0.1]:6060", "[::FFFF:127.0.0.1]:6060", 0 },

		{ LOCAL, "127.0.0.2", 403 },
		{ "127.0.0.2:6060", "127.0.0.3", 403 },
		{ LOCAL, "", 403 },
		{ LOCAL, ":6060", 403 },
		{ LOCAL, "evil.example", 403 },
		{ LOCAL, "evil.example:6060", 403 },
		{ LOCAL, "localhost.evil.example", 403 },
		{ LOCAL, "localhost.", 403 },
		{ LOCAL, "127.0.0.1.evil.example", 403 },
		{ LOCAL, "xlocalhost", 403 },
		{ LOCAL, "localhos", 403 },
		{ LOCAL, "localhost:6060x", 403 },
		{ LOCAL, "localhost:6060:1", 403 },
		{ LOCAL, "localhost:+1", 403 },
		{ LOCAL, "localhost:evil.example", 403 },
		{ LOCAL, "[::1", 403 },
		{ LOCAL, "[::1]x", 403 },
		{ LOCAL, "[::1].evil.example:6060", 403 },
		{ LOCAL, "::1", 403 },
		{ LOCAL, "[::2]", 403 },
		{ LOCAL, "0.0.0.0:6060", 403 },
		{ LOCAL, "2130706433", 403 },

		{ "0.0.0.0:6060", "evil.example", 0 },
		{ "10.0.0.5:6060", "pod-7.cluster.local:6060", 0 },
		{ "[::]:6060", "", 0 },
		{ "unix:/run/x.sock", "anything", 0 },
		{ "unix:/run/x.sock", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char head[200] = "GET / HTTP/1.1\r\nHost: ";
		int got;

		strcat(strcat(head, cases[i].host), "\r\n\r\n");
		got = status_of(cases[i].local, head);
		if (got != cases[i].want)
			fail_msg("%s at %s: %d", cases[i].host, cases[i].local, got);
	}
}

static void the_host_may_be_missing_in_http_1_0_only(void **state)
{
	(void)state;
	assert_int_equal(status_of(LOCAL, "GET / HTTP/1.0\r\n\r\n"), 0);
	assert_int_equal(status_of(LOCAL, "GET / HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(status_of("0.0.0.0:1", "GET / HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(status_of("unix:/x", "GET / HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(status_of(LOCAL, "GET / HTTP/1.0\r\nHost: evil\r\n\r\n"), 403);
}

static void an_absolute_target_is_judged_by_its_own_host(void **state)
{
	(void)state;
	assert_int_equal(status_of(LOCAL, "GET http://evil/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 403);
	assert_int_equal(status_of(LOCAL, "GET http://localhost/ HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
	assert_int_equal(status_of(LOCAL, "GET http://localhost/ HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(status_of(LOCAL, "GET http://evil/ HTTP/1.0\r\n\r\n"), 403);
}

static void pages_of_others_are_turned_away_and_programs_are_not(void **state)
{
	static const struct { const char *local, *method, *host, *fields; int want; } cases[] = {
		/* go tool pprof, curl, scrapers */
		{ LOCAL, "POST", "localhost:6060", "", 0 },
		{ LOCAL, "POST", "localhost:6060", "Content-Type: text/plain\r\n", 0 },
		{ LOCAL, "GET", "localhost:6060", "", 0 },
		{ "0.0.0.0:6060", "POST", "pod", "", 0 },
		/* the user, and our own pages */
		{ LOCAL, "GET", "localhost:6060", "Sec-Fetch-Site: none\r\n", 0 },
		{ LOCAL, "GET", "localhost:6060", "Sec-Fetch-Site: same-origin\r\n", 0 },
		{ LOCAL, "POST", "localhost:6060",
		  "Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost:6060\r\n", 0 },
		{ LOCAL, "POST", "127.0.0.1:6060", "Origin: http://127.0.0.1:6060\r\n", 0 },
		{ LOCAL, "POST", "[::1]", "Origin: http://[::1]\r\n", 0 },
		{ LOCAL, "POST", "localhost:6060", "Sec-Fetch-Site: none\r\n", 0 },
		/* a page of another port of this machine may link to us */
		{ LOCAL, "GET", "localhost:6060", "Sec-Fetch-Site: same-site\r\n", 0 },
		{ LOCAL, "HEAD", "localhost:6060", "Sec-Fetch-Site: same-site\r\n", 0 },

		{ LOCAL, "POST", "localhost:6060", "Sec-Fetch-Site: same-site\r\n", 403 },
		{ LOCAL, "PUT", "localhost:6060", "Sec-Fetch-Site: same-site\r\n", 403 },
		{ LOCAL, "get", "localhost:6060", "Sec-Fetch-Site: same-site\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Sec-Fetch-Site: cross-site\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Sec-Fetch-Site: what-comes-next\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Sec-Fetch-Site:\r\n", 403 },
		{ LOCAL, "GET", "localhost:6060", "Sec-Fetch-Site: cross-site\r\n", 403 },
		{ LOCAL, "GET", "localhost:6060", "Sec-Fetch-Site: Cross-Site\r\n", 403 },
		{ LOCAL, "HEAD", "localhost:6060", "Sec-Fetch-Site: cross-site\r\n", 403 },
		{ "0.0.0.0:6060", "GET", "pod", "Sec-Fetch-Site: cross-site\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Origin: http://evil.example\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Origin: null\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Origin:\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Origin: http://localhost:3000\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Origin: http://127.0.0.1:6060\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Origin: https://localhost:6060\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Origin: http://localhost:6060/\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Origin: http://localhost:606\r\n", 403 },
		{ LOCAL, "GET", "localhost:6060", "Origin: http://localhost:3000\r\n", 403 },
		{ LOCAL, "OPTIONS", "localhost:6060", "Origin: http://evil.example\r\n", 403 },
		{ "0.0.0.0:6060", "POST", "pod", "Origin: http://pod\r\n", 403 },
		{ "0.0.0.0:1", "POST", "0.0.0.0:1", "Origin: http://0.0.0.0:1\r\n", 403 },
		{ "10.0.0.5:1", "POST", "10.0.0.5", "Origin: http://10.0.0.5\r\n", 403 },
		{ "unix:/x", "POST", "evil", "Origin: http://evil\r\n", 403 },
		{ "unix:/x", "POST", "", "Origin: http://\r\n", 403 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char head[300] = "";
		int got;

		strcat(strcat(head, cases[i].method), " / HTTP/1.1\r\nHost: ");
		strcat(strcat(head, cases[i].host), "\r\n");
		got = status_of(cases[i].local, strcat(strcat(head, cases[i].fields), "\r\n"));
		if (got != cases[i].want)
			fail_msg("%s: %d", head, got);
	}
	assert_int_equal(status_of(LOCAL, "POST / HTTP/1.0\r\nOrigin: http://\r\n\r\n"), 403);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loopback_server_answers_to_its_own_names_only),
		cmocka_unit_test(the_host_may_be_missing_in_http_1_0_only),
		cmocka_unit_test(an_absolute_target_is_judged_by_its_own_host),
		cmocka_unit_test(pages_of_others_are_turned_away_and_programs_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
