/* What the kernel says of a socket that clients come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>

#include "httpd/listen.h"
#include "sampler/compiler.h"
#include "sampler/os.h"

/* So many clients may come while our thread is at something else (listen.c). */
#define WAITING 512

/* The kernel shortens every queue to this. */
static unsigned longest_queue(void)
{
	FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
	unsigned n = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	fclose(f);
	return n;
}

/* Of a socket that listens the kernel says here how many may wait (Send-Q of `ss -lt`), and how
 * many do. */
static struct tcp_info queue_of(const struct listener *l)
{
	struct tcp_info info = { .tcpi_sacked = 0 };
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	assert_true(len > offsetof(struct tcp_info, tcpi_sacked));
	return info;
}

static void hundreds_of_clients_may_wait(void **state)
{
	static const struct listen_options options = { .tries = 1, .said_at = LOG_DEBUG,
						       .refused_at = LOG_DEBUG, .instead = "" };
	static const char *const wanted[] = { "127.0.0.1:0", "[::1]:0" };
	unsigned longest = longest_queue(), opened = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		struct listener l = { .fd = -1 };
		struct address_list list;

		assert_int_equal(address_parse(wanted[i], strlen(wanted[i]), 1, &list), 1);
		if (listen_open(&l, &list.address[0], &options) < 0)
			continue;       /* no ::1 here */
		opened++;
		assert_int_equal(queue_of(&l).tcpi_sacked, longest < WAITING ? longest : WAITING);
		assert_int_equal(queue_of(&l).tcpi_unacked, 0);
		listen_close(&l);
	}
	assert_true(opened > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hundreds_of_clients_may_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
