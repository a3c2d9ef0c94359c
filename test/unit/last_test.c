#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fake/child.h"
#include "fake/sys_refused.h"
#include "httpd/last.h"

static int status;

/* What the last thread of a child finds, when all that it may depend on has been tried. */
static void look_alone(void)
{
	CHILD_DEMAND(last_is_alone(&status));
	sys_refuse(SYS_newfstatat, 1, -EPERM);
	CHILD_DEMAND(!last_is_alone(&status));
	sys_refuse(SYS_openat, 1, -EMFILE);
	CHILD_DEMAND(!last_is_alone(&status));
	sys_refuse(SYS_read, 1, -EIO);
	CHILD_DEMAND(!last_is_alone(&status));
	sys_refuse(0, 0, 0);
	CHILD_DEMAND(last_is_alone(&status));
}

static void wait_for_threads(unsigned links)
{
	struct stat st;

	while (stat("/proc/thread-self/..", &st) == 0 && st.st_nlink != links)
		usleep(100);
}

/* The leader is a zombie from here on, as long as this thread lives. */
static void *outlive_main(void *unused)
{
	char state = 0, text[256] = "";

	while (state != 'Z') {
		FILE *f = fopen("/proc/thread-self/../../stat", "r");

		CHILD_DEMAND(f != NULL && fgets(text, sizeof(text), f) != NULL);
		fclose(f);
		state = strrchr(text, ')')[2];
	}
	look_alone();
	_exit(0);
	return unused;
}

static void leave_by_name(const char *name)
{
	pthread_t t;

	prctl(PR_SET_NAME, name);
	CHILD_DEMAND(!last_is_alone(&status));
	CHILD_DEMAND(pthread_create(&t, NULL, outlive_main, NULL) == 0);
	pthread_exit(NULL);
}

static void leave(void) { leave_by_name("plain"); }

static void *look_at_status(void *unused)
{
	while (!last_is_alone(&status))
		usleep(100);
	CHILD_DEMAND(status == 7);
	_exit(0);
	return unused;
}

/* Not libc's pthread_exit, which says 0. */
static void leave_with_7(void)
{
	pthread_t t;

	CHILD_DEMAND(pthread_create(&t, NULL, look_at_status, NULL) == 0);
	syscall(SYS_exit, 7);
}

static void tells_what_main_ended_with(void **state)
{
	(void)state;
	assert_child(leave_with_7);
}
static void leave_unclear(void) { leave_by_name(") Z 1 (R) S ("); }

static void alone_when_main_has_left(void **state)
{
	(void)state;
	assert_child(leave);
	assert_child(leave_unclear);
}

static void *sleep_on(void *unused)
{
	pause();
	return unused;
}

static void main_lives_on(void)
{
	prctl(PR_SET_NAME, ") Z ");
	CHILD_DEMAND(!last_is_alone(&status));
}

static void *look_beside_main(void *unused)
{
	wait_for_threads(4);
	main_lives_on();
	_exit(0);
	return unused;
}

static void stay(void)
{
	pthread_t t;

	CHILD_DEMAND(pthread_create(&t, NULL, look_beside_main, NULL) == 0);
	prctl(PR_SET_NAME, ") Z ");
	pause();
}

static void not_alone_while_main_lives(void **state)
{
	(void)state;
	assert_child(main_lives_on);
	assert_child(stay);
}

static void *look_beside_another(void *unused)
{
	pthread_t t;

	CHILD_DEMAND(pthread_create(&t, NULL, sleep_on, NULL) == 0);
	for (int i = 0; i < 100; i++) {
		CHILD_DEMAND(!last_is_alone(&status));
		usleep(100);
	}
	_exit(0);
	return unused;
}

static void leave_two(void)
{
	pthread_t t;

	CHILD_DEMAND(pthread_create(&t, NULL, look_beside_another, NULL) == 0);
	pthread_exit(NULL);
}

static void not_alone_beside_another(void **state)
{
	(void)state;
	assert_child(leave_two);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	printf("skipped: the sanitizer has a thread of its own, so nobody is ever alone\n");
	return 0;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_when_main_has_left),
		cmocka_unit_test(tells_what_main_ended_with),
		cmocka_unit_test(not_alone_while_main_lives),
		cmocka_unit_test(not_alone_beside_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
