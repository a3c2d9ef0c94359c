#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "fake/child.h"
#include "httpd/identity.h"

#define ALL  "         0          0 4294967295\n"
#define ONE  "         0       1000          1\n"
#define MANY "         0       1000          1\n         1     100000      65536\n"
/* Ids of all, but moved: what is 65534 there may be one that has none. */
#define MOVED "         0     100000 4294867295\n"

static void who_may_ask(void **state)
{
	static const struct { uint32_t uid, own; const char *map; bool want; } cases[] = {
		{ 1000, 1000, ALL, true },      { 0, 1000, ALL, true },
		{ 1001, 1000, ALL, false },     { 1000, 0, ALL, false },
		{ 65534, 65534, ALL, true },    { 0, 65534, ALL, true },
		{ 65534, 65534, ONE, false },   { 65534, 65534, MANY, false },
		{ 65534, 65534, MOVED, false }, { 65534, 65534, "", false },
		{ 65534, 65534, "0 0 42949672950\n", false },
		{ 0, 0, ONE, true },            { 65534, 0, ONE, false },
		{ 1000, 1000, MANY, true },     { 0, 65534, "", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (identity_is_trusted(cases[i].uid, cases[i].own, cases[i].map) != cases[i].want)
			fail_msg("%u asks %u, map %s", cases[i].uid, cases[i].own, cases[i].map);
}

static void be_nobody(void)
{
	CHILD_DEMAND(setuid(65534) == 0);
	CHILD_DEMAND(identity_may_ask(65534) && identity_may_ask(0) && !identity_may_ask(1000));
}

static void the_own_map_is_read(void **state)
{
	(void)state;
	assert_true(identity_may_ask((uint32_t)geteuid()));
	if (geteuid() != 0) {
		print_message("not root: there is no other user to be\n");
		skip();
	}
	assert_child(be_nobody);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_ask),
		cmocka_unit_test(the_own_map_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
