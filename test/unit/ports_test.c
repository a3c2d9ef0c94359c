/* Giving way at a port, and who is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "httpd/ports.h"
#include "httpd/registry.h"

#define TRIES 100       /* the neighbours of a port that the kernel chose may be taken */

static char directory[] = "/tmp/ports-test-XXXXXX", path[64];

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/%d.json", directory, getpid());
	registry_init(directory);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);   /* of a test that has failed */
	return rmdir(directory);
}

/* The one that was told; number 0 is our own name. */
static const struct address *where(void)
{
	struct pollfd fds[PORTS_POLL_MAX];
	size_t n = ports_poll(fds, true), i = 1;
	const struct listener *l;

	assert_true(n > 1);
	fds[1].revents = POLLIN;
	l = ports_ready(fds, &i);
	assert_non_null(l);
	assert_true(l->fd >= 0);
	return &l->address;
}

static void assert_registered_at(const struct address *a)
{
	char text[8192] = "", address[ADDRESS_TEXT_MAX], want[ADDRESS_TEXT_MAX + 32];
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	assert_in_range(fread(text, 1, sizeof(text) - 1, f), 1, sizeof(text) - 2);
	fclose(f);
	address_format(a, address, sizeof(address));
	snprintf(want, sizeof(want), "\"targets\": [\"%s\"]", address);
	if (strstr(text, want) == NULL)
		fail_msg("no %s in %s", want, text);
}

/* At once: who scrapes a port that is another's now gets that one's answers. */
static void the_registry_knows_a_port_when_it_has_moved(void **state)
{
	static const char told[] = "127.0.0.1:0";
	static const struct ports_options options = { .tries = TRIES, .for_children = true };
	struct address_list list;

	(void)state;
	assert_int_equal(address_parse(told, strlen(told), getpid(), &list), 1);
	ports_open(&list, &options);
	ports_look();           /* under a process of ours we listen from now on */
	assert_registered_at(where());
	for (unsigned i = 0; i < 3; i++) {
		unsigned before = address_port(where());

		ports_move(where());
		assert_int_not_equal(address_port(where()), before);
		assert_false(ports_hold(before));
		assert_registered_at(where());
	}
	ports_close();
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_registry_knows_a_port_when_it_has_moved),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
