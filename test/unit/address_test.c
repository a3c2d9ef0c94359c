#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "fuzz/wall.h"
#include "httpd/address.h"
#include "httpd/address_literal.h"

static int parse(const char *text, struct address_list *out)
{
	return address_parse(wall_copy(text, strlen(text)), strlen(text), 4711, out);
}

static void every_form_of_an_address_is_understood(void **state)
{
	static const struct { const char *text, *want; bool loopback; } cases[] = {
		{ "127.0.0.1:6060", "127.0.0.1:6060", true },
		{ ":6060", "127.0.0.1:6060", true },
		{ ":0", "127.0.0.1:0", true },
		{ "localhost:6060", "127.0.0.1:6060", true },
		{ "127.255.0.9:1", "127.255.0.9:1", true },
		{ "0.0.0.0:6060", "0.0.0.0:6060", false },
		{ "10.1.2.3:65535", "10.1.2.3:65535", false },
		{ "128.0.0.1:1", "128.0.0.1:1", false },
		{ "[::1]:6060", "[::1]:6060", true },
		{ "[::1]:0", "[::1]:0", true },
		{ "[0:0:0:0:0:0:0:1]:7", "[::1]:7", true },
		{ "[::]:6060", "[::]:6060", false },
		{ "[::2]:1", "[::2]:1", false },
		{ "[1::1]:1", "[1::1]:1", false },
		{ "[2001:DB8::00A:0]:80", "[2001:db8::a:0]:80", false },
		{ "[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", true },
		{ "[::ffff:127.200.0.1]:80", "[::ffff:127.200.0.1]:80", true },
		{ "[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", false },
		{ " \t127.0.0.1:6060 ", "127.0.0.1:6060", true },
		{ "127.0.0.1:00080", "127.0.0.1:80", true },
		{ "unix:/run/x.sock", "unix:/run/x.sock", true },
		{ "unix:/run/%p.sock", "unix:/run/4711.sock", true },
		{ "unix:/%p%%%p", "unix:/4711%4711", true },
		{ "unix:/", "unix:/", true },
		{ "unix:/a b:c", "unix:/a b:c", true },
		{ "unix:@app", "unix:@app", true },
		{ "@app", "unix:@app", true },
		{ "@app.%p%%", "unix:@app.4711%", true },
		{ "unix:@/run/a@b", "unix:@/run/a@b", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address_list list;
		char text[ADDRESS_TEXT_MAX];
		int n = parse(cases[i].text, &list);

		if (n != 1)
			fail_msg("%s: %d, %s", cases[i].text, n, list.error);
		if (address_format(&list.address[0], text, sizeof(text)) != strlen(cases[i].want) ||
		    strcmp(text, cases[i].want) != 0 ||
		    list.address[0].loopback != cases[i].loopback)
			fail_msg("%s: %s %d", cases[i].text, text, list.address[0].loopback);
		assert_null(list.error);
		assert_int_equal(list.address[0].family, list.address[0].to.any.sa_family);
	}
}

static void the_socket_address_is_what_bind_wants(void **state)
{
	struct address_list list;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(6060) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(6060) };

	(void)state;
	assert_int_equal(parse("127.0.0.1:6060, [fe80::1]:6060,unix:/abc", &list), 3);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(list.address[0].len, sizeof(in));
	assert_memory_equal(&list.address[0].to, &in, sizeof(in));
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr), 1);
	assert_int_equal(list.address[1].len, sizeof(in6));
	assert_memory_equal(&list.address[1].to, &in6, sizeof(in6));
	assert_int_equal(list.address[2].len, offsetof(struct sockaddr_un, sun_path) + 5);
	assert_string_equal(list.address[2].to.un.sun_path, "/abc");
}

static void a_list_has_up_to_eight_and_off_has_none(void **state)
{
	struct address_list list;

	(void)state;
	assert_int_equal(parse("off", &list), 0);
	assert_int_equal(parse(" off\t", &list), 0);
	assert_int_equal(parse(":1,:2,:3,:4,:5,:6,:7,:8", &list), 8);
	assert_int_equal(list.count, 8);
	assert_int_equal(address_port(&list.address[7]), 8);
}

static void a_bad_address_is_refused_with_its_place(void **state)
{
	static const struct { const char *text, *error; size_t at; } cases[] = {
		{ "", "nothing here; off means no server", 0 },
		{ "  ", "nothing here; off means no server", 2 },
		{ ":1,", "nothing here; off means no server", 3 },
		{ ":1,,:2", "nothing here; off means no server", 3 },
		{ "off,:1", "off stands alone", 0 },
		{ ":1, off", "off stands alone", 4 },
		{ ":1,:2,:3,:4,:5,:6,:7,:8,:9", "more than 8 addresses", 24 },
		{ "6060", "no port: write host:port or :port", 0 },
		{ "127.0.0.1", "no port: write host:port or :port", 0 },
		{ "[::1]", "no port: write host:port or :port", 0 },
		{ "[::1]6060", "no port: write host:port or :port", 0 },
		{ "OFF", "no port: write host:port or :port", 0 },
		{ "127.0.0.1:", "not a port: 0 to 65535", 10 },
		{ "127.0.0.1:65536", "not a port: 0 to 65535", 10 },
		{ "127.0.0.1:-1", "not a port: 0 to 65535", 10 },
		{ "127.0.0.1: 1", "not a port: 0 to 65535", 10 },
		{ "127.0.0.1:http", "not a port: 0 to 65535", 10 },
		{ ":99999999999999999999999", "not a port: 0 to 65535", 1 },
		{ "[::1]:x", "not a port: 0 to 65535", 6 },
		{ "::1:6060", "an IPv6 address needs [brackets]", 0 },
		{ "[::1:6060", "an IPv6 address needs [brackets]", 0 },
		{ "http://localhost:6060", "an IPv6 address needs [brackets]", 0 },
		{ "example.com:6060", "not an IPv4 address or localhost", 0 },
		{ "*:6060", "not an IPv4 address or localhost", 0 },
		{ "127.0.0.01:6060", "not an IPv4 address or localhost", 0 },
		{ "127.1:6060", "not an IPv4 address or localhost", 0 },
		{ "localhosts:1", "not an IPv4 address or localhost", 0 },
		{ "[127.0.0.1]:1", "not an IPv6 address", 0 },
		{ "[]:1", "not an IPv6 address", 0 },
		{ "[fe80::1%eth0]:1", "not an IPv6 address", 0 },
		{ ":1, [::g]:1", "not an IPv6 address", 4 },
		{ "unix:", "not an absolute path: write unix:/path or unix:@name", 5 },
		{ "unix:x.sock", "not an absolute path: write unix:/path or unix:@name", 5 },
		{ "unix:@", "no name behind the @", 5 },
		{ ":1,@", "no name behind the @", 3 },
		{ "@a%", "unknown %: write %p or %%", 2 },
		{ "unix:/a%", "unknown %: write %p or %%", 7 },
		{ "unix:/a%d", "unknown %: write %p or %%", 7 },
		{ ":1,unix:/%P", "unknown %: write %p or %%", 9 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address_list list;
		int n = parse(cases[i].text, &list);

		assert_int_equal(list.count, 0);
		if (n != -EINVAL || strcmp(list.error, cases[i].error) != 0 ||
		    list.error_at != cases[i].at)
			fail_msg("%s: %d, %s at %zu", cases[i].text, n, n < 0 ? list.error : "",
				 n < 0 ? list.error_at : 0);
	}
}

static void a_path_may_fill_the_socket_address_but_not_more(void **state)
{
	struct address_list list;
	char text[5 + 120], formatted[ADDRESS_TEXT_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "unix:/", 6);
	assert_int_equal(address_parse(text, 5 + 107, 1, &list), 1);
	assert_int_equal(list.address[0].len, sizeof(struct sockaddr_un));
	assert_int_equal(address_format(&list.address[0], formatted, sizeof(formatted)), 5 + 107);
	assert_memory_equal(formatted, text, 5 + 107);
	assert_int_equal(address_parse(text, 5 + 108, 1, &list), -EINVAL);
	memcpy(text + 5 + 105, "%p", 2);
	assert_int_equal(address_parse(text, 5 + 107, 12, &list), 1);
	assert_int_equal(address_parse(text, 5 + 107, 123, &list), -EINVAL);
	assert_string_equal(list.error, "a path of more than 107 bytes");
	assert_int_equal(list.error_at, 5);
	assert_int_equal(address_parse("unix:/a\0b", 9, 1, &list), -EINVAL);
	assert_int_equal(list.error_at, 7);
}

/* Not ended by a 0, which would be a part of the name. */
static void an_abstract_name_is_as_long_as_it_is(void **state)
{
	struct address_list list;
	struct address discovery, beacon;
	char text[1 + 120], formatted[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(parse("@app", &list), 1);
	assert_int_equal(list.address[0].len, offsetof(struct sockaddr_un, sun_path) + 4);
	assert_memory_equal(list.address[0].to.un.sun_path, "\0app", 4);
	assert_false(address_is_file(&list.address[0]));
	assert_int_equal(parse("unix:/app", &list), 1);
	assert_true(address_is_file(&list.address[0]));
	memset(text, 'x', sizeof(text));
	text[0] = '@';
	assert_int_equal(address_parse(text, 107, 1, &list), 1);
	assert_int_equal(address_format(&list.address[0], formatted, sizeof(formatted)), 5 + 107);
	assert_memory_equal(formatted + 5, text, 107);
	assert_int_equal(address_parse(text, 108, 1, &list), -EINVAL);
	assert_int_equal(address_parse("@a\0b", 4, 1, &list), -EINVAL);
	address_discovery(&discovery, 4294967294u, 4194304);
	address_format(&discovery, formatted, sizeof(formatted));
	assert_string_equal(formatted, "unix:@pprofshim.4294967294.4194304");
	assert_true(discovery.loopback);
	address_beacon(&beacon, 0, 7);
	address_format(&beacon, formatted, sizeof(formatted));
	assert_string_equal(formatted, "unix:@pprofshim-desk.0.7");
}

static void a_port_can_be_changed(void **state)
{
	struct address_list list;

	(void)state;
	assert_int_equal(parse(":6060,[::1]:6060,unix:/x", &list), 3);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(address_port(&list.address[i]), 6060);
		address_set_port(&list.address[i], 65535);
		assert_int_equal(address_port(&list.address[i]), 65535);
	}
	address_set_port(&list.address[2], 1);
	assert_int_equal(address_port(&list.address[2]), 0);
	assert_string_equal(list.address[2].to.un.sun_path, "/x");
}

static void a_text_is_cut_where_the_room_ends(void **state)
{
	struct address_list list;

	(void)state;
	assert_int_equal(parse("[::1]:6060", &list), 1);
	for (size_t cap = 1; cap < 14; cap++) {
		char *out = wall_room(cap);
		size_t fits = cap - 1 < 10 ? cap - 1 : 10;

		assert_int_equal(address_format(&list.address[0], out, cap), 10);
		assert_memory_equal(out, "[::1]:6060", fits);
		assert_int_equal(out[fits], 0);
	}
}

/* All texts over this alphabet up to 7 bytes, and some long ones: as inet_pton says. */
static void literals_mean_what_they_mean_to_libc(void **state)
{
	static const char alphabet[] = "1:.f0";
	static const char *const texts[] = {
		"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3::5:6:7:8",
		"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:",
		"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5::1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:256.2.3.4", "::ffff:1.2.3",
		"::ffff:1.2.3.4.5",
		"abcd:ef01:2345:6789:ABCD:EF01:2345:6789", "12345::", "::12345", "0000::0000",
		"g::",
		"1::2::3", "1:::2", ":::", ":1", "1:", "255.255.255.255", "1.2.3.256", "1.2.3.04",
		"1.2.3.00", "1.2.3.0000", "1.2.3.-4", "1.2.3.4 ", "1.2.3.1000", "0.0.0.0", "::1%1",
	};
	char text[INET6_ADDRSTRLEN];
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < 97656 + COUNT_OF(texts); i++) {
		uint8_t ours[16], libcs[16];
		size_t n = 0;

		for (unsigned rest = i; i < 97656 && rest > 0; rest = (rest - 1) / 5)
			text[n++] = alphabet[(rest - 1) % 5];
		text[n] = 0;
		if (i >= 97656)
			n = strlen(strcpy(text, texts[i - 97656]));
		if (address_literal_parse_v4(wall_copy(text, n), n, ours) !=
		    (inet_pton(AF_INET, text, libcs) == 1))
			fail_msg("IPv4 %s", text);
		if (inet_pton(AF_INET, text, libcs) == 1)
			assert_memory_equal(ours, libcs, 4);
		if (address_literal_parse_v6(wall_copy(text, n), n, ours) !=
		    (inet_pton(AF_INET6, text, libcs) == 1))
			fail_msg("IPv6 %s", text);
		if (inet_pton(AF_INET6, text, libcs) != 1)
			continue;
		assert_memory_equal(ours, libcs, 16);
		accepted++;
	}
	assert_in_range(accepted, 1000, 97656);
}

/* Every pattern of zero groups; libc writes ::a.b.c.d for a few of them, RFC 5952 does not. */
static void literals_are_written_as_libc_writes_them(void **state)
{
	unsigned compared = 0;

	(void)state;
	for (unsigned pattern = 0; pattern < 256 * 2; pattern++) {
		uint8_t bytes[16] = { 0 };
		char ours[64], libcs[INET6_ADDRSTRLEN];
		struct buf p = buf_bounded(ours, sizeof(ours));

		for (unsigned group = 0; group < 8; group++)
			if (pattern >> group & 1)
				bytes[2 * group + (pattern >> 8)] = (uint8_t)(0xa1 >> group);
		address_literal_put_v6(&p, bytes);
		buf_end(&p);
		inet_ntop(AF_INET6, bytes, libcs, sizeof(libcs));
		if (strchr(libcs, '.') == NULL) {
			assert_string_equal(ours, libcs);
			compared++;
		}
	}
	assert_in_range(compared, 500, 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_of_an_address_is_understood),
		cmocka_unit_test(the_socket_address_is_what_bind_wants),
		cmocka_unit_test(a_list_has_up_to_eight_and_off_has_none),
		cmocka_unit_test(a_bad_address_is_refused_with_its_place),
		cmocka_unit_test(a_path_may_fill_the_socket_address_but_not_more),
		cmocka_unit_test(an_abstract_name_is_as_long_as_it_is),
		cmocka_unit_test(a_port_can_be_changed),
		cmocka_unit_test(a_text_is_cut_where_the_room_ends),
		cmocka_unit_test(literals_mean_what_they_mean_to_libc),
		cmocka_unit_test(literals_are_written_as_libc_writes_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
