/* Asking and being asked, between two processes; names are of this process, so that two runs at once do
 * not meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "fake/child.h"
#include "httpd/yield.h"
#include "sampler/os.h"

static unsigned port;

static int own_files(void **state)
{
	(void)state;
	port = 65536 + (unsigned)getpid();
	return 0;
}

static void ask(void) { CHILD_DEMAND(yield_ask(port)); }
static void ask_in_vain(void) { CHILD_DEMAND(!yield_ask(port)); }

static void ask_as_nobody(void)
{
	if (setuid(65534) == 0)
		ask();
}

/* In a child, because the descriptors are given up; the child forks for the other side. */
static void run(void (*other)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		os_own_files();
		other();
		_exit(0);
	}
	CHILD_DEMAND(waitpid(pid, &status, 0) == pid && status == 0);
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void hold_and_be_asked(void)
{
	int fd;

	os_own_files();
	fd = yield_open(port);
	CHILD_DEMAND(fd >= 0);
	CHILD_DEMAND(yield_open(port) == -EADDRINUSE);
	CHILD_DEMAND(!is_readable(fd) && !yield_is_asked(fd));
	run(ask);
	run(ask);
	CHILD_DEMAND(is_readable(fd) && yield_is_asked(fd));
	CHILD_DEMAND(!is_readable(fd) && !yield_is_asked(fd));
	os_close(fd);
	run(ask_in_vain);
}

static void asked_by_another_process(void **state)
{
	(void)state;
	assert_child(hold_and_be_asked);
}

static void hold_against_nobody(void)
{
	int fd;

	os_own_files();
	fd = yield_open(port);
	CHILD_DEMAND(fd >= 0);
	run(ask_as_nobody);
	CHILD_DEMAND(!yield_is_asked(fd));
	run(ask);
	run(ask_as_nobody);
	CHILD_DEMAND(yield_is_asked(fd));
}

static void not_by_another_user(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("not root: there is no other user to be\n");
		skip();
	}
	assert_child(hold_against_nobody);
}

static void hold_in_vain(void)
{
	CHILD_DEMAND(yield_open(port) == -EPERM);
	CHILD_DEMAND(!yield_ask(port));
}

static void not_among_the_hosts_descriptors(void **state)
{
	(void)state;
	assert_child(hold_in_vain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked_by_another_process),
		cmocka_unit_test(not_by_another_user),
		cmocka_unit_test(not_among_the_hosts_descriptors),
	};

	return cmocka_run_group_tests(tests, own_files, NULL);
}
