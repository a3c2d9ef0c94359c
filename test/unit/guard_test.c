#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "fuzz/wall.h"
#include "httpd/guard.h"

#define LOCAL "127.0.0.1:6060"

static struct guard_policy policy;

static int status_of(const char *local, const char *head)
{
	struct address_list list;
	struct request r;
	struct guard_verdict verdict;
	size_t len = strlen(head);

	assert_int_equal(address_parse(local, strlen(local), 7, &list), 1);
	if (request_parse(wall_copy(head, len), len, &r) != (int)len)
		fail_msg("not a request: %s", head);
	verdict = guard_check(&r, &list.address[0], &policy);
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

		/* where other machines may come, any literal: it takes a name to rebind */
		{ "0.0.0.0:6060", "10.0.0.5:6060", 0 },
		{ "0.0.0.0:6060", "localhost:6060", 0 },
		{ "[::]:6060", "[2001:db8::7]", 0 },
		{ "0.0.0.0:6060", "evil.example", 403 },
		{ "0.0.0.0:6060", "10.0.0.5.evil.example", 403 },
		{ "0.0.0.0:6060", "0x7f.1", 403 },
		{ "0.0.0.0:6060", "7.evil.example", 403 },
		{ "0.0.0.0:6060", "[evil]", 403 },
		{ "10.0.0.5:6060", "pod-7.cluster.local:6060", 403 },
		{ "[::]:6060", "", 403 },
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
		{ "0.0.0.0:6060", "POST", "10.0.0.5", "", 0 },
		/* the user, and our own pages */
		{ LOCAL, "GET", "localhost:6060", "Sec-Fetch-Site: none\r\n", 0 },
		{ LOCAL, "GET", "localhost:6060", "Sec-Fetch-Site: same-origin\r\n", 0 },
		{ LOCAL, "GET", "localhost:6060",
		  "Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost:6060\r\n", 0 },
		{ LOCAL, "GET", "127.0.0.1:6060", "Origin: http://127.0.0.1:6060\r\n", 0 },
		{ LOCAL, "GET", "[::1]", "Origin: http://[::1]\r\n", 0 },
		{ LOCAL, "POST", "localhost:6060", "Sec-Fetch-Site: none\r\n", 0 },
		/* but a page changes nothing: at this address was another program yesterday */
		{ LOCAL, "POST", "localhost:6060",
		  "Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost:6060\r\n", 403 },
		{ LOCAL, "POST", "localhost:6060", "Sec-Fetch-Site: same-origin\r\n", 403 },
		{ LOCAL, "POST", "127.0.0.1:6060", "Origin: http://127.0.0.1:6060\r\n", 403 },
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
		{ "0.0.0.0:6060", "GET", "10.0.0.5", "Sec-Fetch-Site: cross-site\r\n", 403 },
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

/* --- options --------------------------------------------------------------------------------- */

static void assert_status(int want, const char *local, const char *method, const char *fields)
{
	char head[1024];
	int got;

	snprintf(head, sizeof(head), "%s / HTTP/1.1\r\n%s\r\n", method, fields);
	got = status_of(local, head);
	if (got != want)
		fail_msg("%s at %s: %d", head, local, got);
}

static void listed_names_are_names_of_ours(void **state)
{
	static const struct { const char *host; int want; } cases[] = {
		{ "a.example", 0 }, { "A.Example:80", 0 }, { "x.b.example", 0 },
		{ "x.y.b.example:1", 0 }, { "localhost", 0 },
		{ "xa.example", 403 }, { "a.example.evil", 403 }, { "b.example", 403 },
		{ "xb.example", 403 }, { "example", 403 }, { "", 403 }, { ":80", 403 },
		{ "a.example:x", 403 }, { "*.b.example", 0 }, { "a.example,x", 403 },
	};

	(void)state;
	policy.hosts = " a.example , *.b.example";
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char host[100];

		snprintf(host, sizeof(host), "Host: %s\r\n", cases[i].host);
		assert_status(cases[i].want, LOCAL, "GET", host);
		assert_status(cases[i].want, "0.0.0.0:1", "GET", host);
	}
	policy.hosts = "*";
	assert_status(0, LOCAL, "GET", "Host: anything\r\n");
	assert_status(403, LOCAL, "GET", "Host: \r\n");
	policy.hosts = "";
	assert_status(403, LOCAL, "GET", "Host: anything\r\n");
	policy.hosts = NULL;
}

#define OK   "Authorization: Bearer 0123456789abcdef\r\n"
#define HOST "Host: localhost\r\n"

static void who_has_the_token_may_ask_by_any_name(void **state)
{
	static const struct token token = { "0123456789abcdef" };

	(void)state;
	policy.token = &token;
	assert_status(401, LOCAL, "GET", HOST);
	assert_status(401, LOCAL, "GET", HOST "Authorization: Bearer 0123456789abcdeF\r\n");
	assert_status(0, LOCAL, "GET", HOST OK);
	assert_status(0, LOCAL, "POST", HOST OK);
	assert_status(0, LOCAL, "GET", "Host: evil.example\r\n" OK);
	assert_status(401, LOCAL, "GET", "Host: evil.example\r\n");
	assert_status(0, "0.0.0.0:1", "GET", "Host: pod\r\n" OK);
	assert_status(401, "0.0.0.0:1", "GET", "Host: pod\r\n");
	assert_status(400, LOCAL, "GET", OK);
	/* The kernel has said who is there. */
	assert_status(0, "unix:/x", "GET", HOST);
	/* A browser that knows it lends it to any page. */
	assert_status(403, LOCAL, "GET", HOST OK "Sec-Fetch-Site: cross-site\r\n");
	assert_status(403, LOCAL, "GET", HOST OK "Origin: http://evil.example\r\n");
	assert_status(403, LOCAL, "POST", HOST OK "Origin: http://localhost\r\n");
	/* No CORS, no questions without it. */
	assert_status(403, LOCAL, "OPTIONS", HOST "Origin: https://a.example\r\n");
	policy.token = NULL;
}

static void a_token_that_could_not_be_read_is_nobodys(void **state)
{
	static const struct token none;

	(void)state;
	policy.token = &none;
	assert_status(401, LOCAL, "GET", HOST);
	assert_status(401, LOCAL, "GET", HOST "Authorization: Bearer \r\n");
	assert_status(401, LOCAL, "GET", HOST "Authorization: Bearer\r\n");
	assert_status(401, LOCAL, "GET", HOST "Authorization: Basic Og==\r\n");
	/* ":" and 16 zeros */
	assert_status(401, LOCAL, "GET", HOST "Authorization: Basic "
		      "OgAAAAAAAAAAAAAAAAAAAAA=\r\n");
	policy.token = NULL;
}

#define SPEEDSCOPE "Origin: https://www.speedscope.app\r\nSec-Fetch-Site: cross-site\r\n"

static bool is_listed(const char *origin)
{
	char head[300];
	struct address_list list;
	struct request r;

	assert_int_equal(address_parse(LOCAL, strlen(LOCAL), 7, &list), 1);
	snprintf(head, sizeof(head), "GET / HTTP/1.1\r\n" HOST "Origin: %s\r\n\r\n", origin);
	assert_int_equal(request_parse(head, strlen(head), &r), strlen(head));
	return guard_check(&r, &list.address[0], &policy).is_listed;
}

static void listed_pages_may_read(void **state)
{
	static const struct token token = { "0123456789abcdef" };

	(void)state;
	assert_status(403, LOCAL, "GET", HOST SPEEDSCOPE);
	policy.origins = "https://ui.perfetto.dev,https://www.speedscope.app";
	assert_status(0, LOCAL, "GET", HOST SPEEDSCOPE);
	assert_status(0, LOCAL, "HEAD", HOST SPEEDSCOPE);
	assert_status(0, LOCAL, "OPTIONS", HOST SPEEDSCOPE);
	assert_status(403, LOCAL, "POST", HOST SPEEDSCOPE);
	assert_status(403, LOCAL, "PUT", HOST SPEEDSCOPE);
	assert_status(403, LOCAL, "GET", "Host: www.speedscope.app\r\n" SPEEDSCOPE);
	assert_true(is_listed("https://ui.perfetto.dev"));
	assert_false(is_listed("https://ui.perfetto.dev:1"));
	assert_false(is_listed("http://ui.perfetto.dev"));
	assert_false(is_listed("https://ui.perfetto.dev.evil.example"));
	assert_false(is_listed("null"));
	assert_false(is_listed(""));
	policy.token = &token;
	assert_status(401, LOCAL, "GET", HOST SPEEDSCOPE);
	assert_status(0, LOCAL, "GET", HOST SPEEDSCOPE OK);
	assert_status(0, LOCAL, "OPTIONS", HOST SPEEDSCOPE);
	policy.token = NULL;
	/* No list is every page's, nor that of pages that say nothing of themselves. */
	policy.origins = "*, https://*.example, https://*, null, https://a.example/";
	assert_false(is_listed("https://a.example"));
	assert_false(is_listed("null"));
	assert_false(is_listed("https://a.example/"));
	assert_false(is_listed("*"));
	assert_status(403, LOCAL, "GET", HOST SPEEDSCOPE);
	policy.origins = NULL;
}

static void a_list_of_origins_is_looked_at(void **state)
{
	static const char *const bad[] = { "*", "https://*", "https://*.example", "a.example",
					   "https://", "https://a.example/", "null", "http:/a",
					   "https://a.example/x" };

	(void)state;
	assert_null(guard_bad_origin(""));
	assert_null(guard_bad_origin("https://a.example"));
	assert_null(guard_bad_origin("http://localhost:8080 , https://[::1]:1"));
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char list[100] = "https://a.example,";

		assert_string_equal(guard_bad_origin(bad[i]), bad[i]);
		assert_string_equal(guard_bad_origin(strcat(list, bad[i])), bad[i]);
	}
}

static bool refuses(const char *address)
{
	struct address_list list;

	assert_int_equal(address_parse(address, strlen(address), 7, &list), 1);
	return guard_refuses(&list.address[0], &policy) != NULL;
}

static void others_reach_us_only_with_a_token_or_if_told_so(void **state)
{
	static const struct token token = { "0123456789abcdef" }, none;

	(void)state;
	assert_false(refuses(LOCAL));
	assert_false(refuses("[::1]:1"));
	assert_false(refuses("unix:/x"));
	assert_true(refuses("0.0.0.0:1"));
	assert_true(refuses("[::]:1"));
	assert_true(refuses("10.0.0.5:1"));
	policy.token = &token;
	assert_false(refuses("0.0.0.0:1"));
	policy.token = &none;
	assert_true(refuses("0.0.0.0:1"));
	assert_true(refuses(LOCAL));
	assert_false(refuses("unix:/x"));
	/* What was said by the one is not taken back by the other. */
	policy.insecure = true;
	assert_true(refuses("0.0.0.0:1"));
	policy.token = NULL;
	assert_false(refuses("0.0.0.0:1"));
	policy.insecure = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loopback_server_answers_to_its_own_names_only),
		cmocka_unit_test(the_host_may_be_missing_in_http_1_0_only),
		cmocka_unit_test(an_absolute_target_is_judged_by_its_own_host),
		cmocka_unit_test(pages_of_others_are_turned_away_and_programs_are_not),
		cmocka_unit_test(listed_names_are_names_of_ours),
		cmocka_unit_test(who_has_the_token_may_ask_by_any_name),
		cmocka_unit_test(a_token_that_could_not_be_read_is_nobodys),
		cmocka_unit_test(listed_pages_may_read),
		cmocka_unit_test(a_list_of_origins_is_looked_at),
		cmocka_unit_test(others_reach_us_only_with_a_token_or_if_told_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
