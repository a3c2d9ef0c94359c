/* Descriptors and sockets.  Memory, clocks and timers: os_memory_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "fake/child.h"
#include "fake/sys_refused.h"
#include "sampler/os.h"

static int new_file(void)
{
	int fd = memfd_create("file", 0);

	if (fd < 0)
		abort();
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The number that the host's next file would get. */
static int lowest_free(void)
{
	int fd = dup(1);

	close(fd);
	return fd;
}

/* --- numbers --------------------------------------------------------------------------------- */

static void our_descriptors_are_high_and_close_on_exec(void **state)
{
	int lowest = lowest_free(), fd = new_file(), high = os_high_fd(fd);

	(void)state;
	assert_int_equal(fd, lowest);
	assert_true(high >= OS_FD_MIN);
	assert_int_equal(fcntl(high, F_GETFD), FD_CLOEXEC);
	assert_false(is_open(fd));
	assert_int_equal(lowest_free(), lowest);
	assert_true(os_is_ours(high));
	os_close(high);
	assert_false(is_open(high));
	assert_false(os_is_ours(high));
}

static void set_limit(rlim_t files)
{
	struct rlimit limit = { files, files };

	CHILD_DEMAND(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void open_under_low_limits(void)
{
	static const int limits[] = { 901, 900, 450, 100, 20 };

	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		int fd[3];

		set_limit((rlim_t)limits[i]);
		/* In the upper half of what there is; an eighth, if that is little. */
		for (int k = 0; k < 3; k++) {
			fd[k] = os_high_fd(new_file());
			CHILD_DEMAND(fd[k] >= (limits[i] > 100 ? 225 : limits[i] / 8));
			CHILD_DEMAND(fcntl(fd[k], F_GETFD) == FD_CLOEXEC);
		}
		for (int k = 0; k < 3; k++)
			os_close(fd[k]);
	}
}

static void a_low_limit_of_the_hosts_leaves_room_for_us(void **state)
{
	(void)state;
	assert_child(open_under_low_limits);
}

static void without_a_number_the_descriptor_is_closed(void **state)
{
	int fd = new_file();

	(void)state;
	sys_refuse(SYS_fcntl, 1, -EMFILE);
	assert_int_equal(os_high_fd(fd), -EMFILE);
	sys_refuse(0, 0, 0);
	assert_false(is_open(fd));
	assert_int_equal(os_high_fd(fd), -EBADF);
}

static void more_files_than_we_keep_are_refused(void **state)
{
	int fd[OS_FILES_MAX], more, lowest = lowest_free();

	(void)state;
	for (int i = 0; i < OS_FILES_MAX; i++) {
		fd[i] = os_high_fd(new_file());
		assert_true(fd[i] >= OS_FD_MIN);
	}
	assert_int_equal(os_high_fd(new_file()), -EMFILE);
	assert_int_equal(lowest_free(), lowest);
	more = fcntl(1, F_DUPFD_CLOEXEC, OS_FD_MIN);
	close(more);
	assert_int_equal(more, fd[OS_FILES_MAX - 1] + 1);
	os_close(fd[7]);
	fd[7] = os_high_fd(new_file());
	assert_true(fd[7] > 0);
	for (int i = 0; i < OS_FILES_MAX; i++)
		os_close(fd[i]);
}

/* --- a host that closes and reuses what is ours ---------------------------------------------- */

static void what_the_host_closed_is_not_ours(void **state)
{
	int fd = os_high_fd(new_file());

	(void)state;
	close(fd);
	assert_false(os_is_ours(fd));
	os_close(fd);
	assert_false(os_is_ours(fd));
}

static void what_the_host_put_in_its_place_is_not_ours_and_stays(void **state)
{
	int fd = os_high_fd(new_file()), theirs = new_file();

	(void)state;
	assert_int_equal(dup2(theirs, fd), fd);
	assert_false(os_is_ours(fd));
	os_close(fd);
	assert_true(is_open(fd));
	os_close(fd);
	assert_true(is_open(fd));
	close(fd);
	close(theirs);
}

static void what_was_never_ours_is_left_alone(void **state)
{
	int fd = new_file();

	(void)state;
	assert_false(os_is_ours(fd));
	assert_false(os_is_ours(-1));
	os_close(fd);
	os_close(-1);
	assert_true(is_open(fd));
	close(fd);
}

/* The host has closed our descriptor, and our next file gets the same number: it is that file. */
static void a_number_that_comes_again_is_the_new_file(void **state)
{
	int fd = os_high_fd(new_file()), again;

	(void)state;
	close(fd);
	again = os_high_fd(new_file());
	assert_int_equal(again, fd);
	assert_true(os_is_ours(fd));
	os_close(fd);
	assert_false(is_open(fd));
	assert_false(os_is_ours(fd));
}

static int inherited[3];

static void drop_inherited(void)
{
	int theirs = new_file();

	CHILD_DEMAND(dup2(theirs, inherited[1]) == inherited[1]);
	os_after_fork();
	CHILD_DEMAND(!is_open(inherited[0]) && !is_open(inherited[2]));
	CHILD_DEMAND(is_open(inherited[1]) && is_open(theirs));
	for (int i = 0; i < 3; i++)
		CHILD_DEMAND(!os_is_ours(inherited[i]));
	/* All places are free again. */
	for (int i = 0; i < OS_FILES_MAX; i++)
		CHILD_DEMAND(os_high_fd(new_file()) >= OS_FD_MIN);
}

static void a_fork_child_closes_what_is_ours_and_nothing_else(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		inherited[i] = os_high_fd(new_file());
	assert_child(drop_inherited);
	for (int i = 0; i < 3; i++) {
		assert_true(os_is_ours(inherited[i]));
		os_close(inherited[i]);
	}
}

/* --- a table of our own ---------------------------------------------------------------------- */

static int pipe_end[2];
static _Atomic int stage;       /* of the thread, of its maker */

static void wait_for_stage(int n)
{
	while (stage < n)
		usleep(100);
}

static void *have_own_files(void *unused)
{
	int fd;

	os_own_files();
	stage = 1;
	wait_for_stage(2);
	/* Numbers are as they come, and nobody else's: no look at each of them is needed. */
	fd = os_high_fd(new_file());
	CHILD_DEMAND(os_has_own_files() && fd == 0);
	sys_refuse(SYS_fstat, 1, -EPERM);
	CHILD_DEMAND(os_is_ours(fd) && !os_is_ours(-1));
	os_close(fd);
	CHILD_DEMAND(!is_open(fd) && sys_refused.seen == 0);
	sys_refuse(0, 0, 0);
	os_close(-1);
	CHILD_DEMAND(os_open_read("/proc/self/exe") == 0);
	stage = 3;
	wait_for_stage(4);
	return unused;
}

static void part(void)
{
	pthread_t t;
	char byte;

	CHILD_DEMAND(pipe(pipe_end) == 0);
	CHILD_DEMAND(pthread_create(&t, NULL, have_own_files, NULL) == 0);
	wait_for_stage(1);
	/* Nothing of ours is open there: who reads sees the end. */
	close(pipe_end[1]);
	CHILD_DEMAND(read(pipe_end[0], &byte, 1) == 0);
	CHILD_DEMAND(is_open(0) && is_open(pipe_end[0]));
	stage = 2;
	wait_for_stage(3);
	CHILD_DEMAND(pread(0, &byte, 1, 0) != 1 || byte != '\177');
	/* A fork child has the host's: what is there is none of ours. */
	os_after_fork();
	CHILD_DEMAND(is_open(pipe_end[0]) && !os_is_ours(pipe_end[0]) && !os_has_own_files());
	CHILD_DEMAND(os_high_fd(dup(pipe_end[0])) >= OS_FD_MIN);
	stage = 4;
	pthread_join(t, NULL);
}

static void our_thread_leaves_the_hosts_files(void **state)
{
	(void)state;
	assert_child(part);
}

static void part_on_an_old_kernel(void)
{
	sys_refuse(SYS_close_range, 1, -ENOSYS);
	part();
}

static void before_close_range_too(void **state)
{
	(void)state;
	assert_child(part_on_an_old_kernel);
}

static void refuse_both(void)
{
	struct rlimit limit = { 64, 64 };
	int fd, theirs;

	CHILD_DEMAND(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	sys_refused.also = SYS_unshare;
	sys_refuse(SYS_close_range, 1, -EPERM);
	os_own_files();
	CHILD_DEMAND(!os_has_own_files() && is_open(0) && is_open(1));
	CHILD_DEMAND(os_open_bell() == -EPERM);
	fd = os_high_fd(new_file());
	CHILD_DEMAND(fd >= 8 && os_is_ours(fd));
	theirs = new_file();
	CHILD_DEMAND(dup2(theirs, fd) == fd && !os_is_ours(fd));
	os_close(fd);
	CHILD_DEMAND(is_open(fd));
}

static void refused_a_table_we_stay_among_the_hosts(void **state)
{
	(void)state;
	assert_child(refuse_both);
}

/* Made again, our thread may find that the kernel has changed its mind: a sandbox. */
static void own_then_refused(void)
{
	os_own_files();
	CHILD_DEMAND(os_has_own_files());
	sys_refused.also = SYS_unshare;
	sys_refuse(SYS_close_range, 1, -EPERM);
	os_own_files();
	CHILD_DEMAND(!os_has_own_files());
}

static void each_time_it_is_asked_anew(void **state)
{
	(void)state;
	assert_child(own_then_refused);
}

static void refuse_identity(void)
{
	int fd = new_file(), lowest = lowest_free();

	sys_refuse(SYS_fstat, 1, -EIO);
	CHILD_DEMAND(os_high_fd(fd) == -EIO);
	sys_refuse(0, 0, 0);
	CHILD_DEMAND(!is_open(fd) && lowest_free() == fd && lowest > fd);
	for (int i = OS_FD_MIN; i < OS_FD_MIN + 8; i++)
		CHILD_DEMAND(!is_open(i));
}

static void a_file_that_cannot_be_told_from_the_hosts_is_closed(void **state)
{
	(void)state;
	assert_child(refuse_identity);
}

/* --- files ----------------------------------------------------------------------------------- */

static void files_are_opened_to_be_read(void **state)
{
	char bytes[8] = "";
	struct stat st, behind_path;
	int fd = os_open_read("/proc/self/exe");

	(void)state;
	assert_true(fd >= OS_FD_MIN && os_is_ours(fd));
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
	assert_int_equal(os_read(fd, bytes, 4), 4);
	assert_memory_equal(bytes, "\177ELF", 4);
	assert_int_equal(os_pread(fd, bytes, 3, 1), 3);
	assert_memory_equal(bytes, "ELF", 3);
	assert_int_equal(os_fstat(fd, &st), 0);
	assert_int_equal(os_stat("/proc/self/exe", &behind_path), 0);
	assert_true(st.st_ino == behind_path.st_ino && st.st_size == behind_path.st_size);
	os_close(fd);
	assert_int_equal(os_stat_no_link("/proc/self/exe", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(os_open_no_link("/proc/self/exe"), -ELOOP);
	fd = os_open_no_link("/proc/self/status");
	assert_true(fd >= OS_FD_MIN && os_is_ours(fd));
	os_close(fd);
}

static void directories_are_listed(void **state)
{
	_Alignas(struct os_entry) char buf[512];
	int fd = os_open_dir("/proc/self"), found = 0;
	long n;

	(void)state;
	assert_true(fd >= OS_FD_MIN);
	while ((n = os_list(fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n; at += ((struct os_entry *)(void *)(buf + at))->bytes)
			found += strcmp(((struct os_entry *)(void *)(buf + at))->name, "maps") == 0;
	assert_true(n == 0 && found == 1);
	os_close(fd);
}

static void failures_are_numbers_and_leave_errno_alone(void **state)
{
	struct stat st;
	char byte;

	(void)state;
	errno = 77;
	assert_int_equal(os_open_read("/does/not/exist"), -ENOENT);
	assert_int_equal(os_open_dir("/proc/self/exe"), -ENOTDIR);
	assert_int_equal(os_stat("/does/not/exist", &st), -ENOENT);
	assert_int_equal(os_fstat(-1, &st), -EBADF);
	assert_int_equal(os_read(-1, &byte, 1), -EBADF);
	assert_int_equal(os_pread(-1, &byte, 1, 0), -EBADF);
	assert_int_equal(os_socket(12345), -EAFNOSUPPORT);
	assert_int_equal(os_accept(-1), -EBADF);
	assert_int_equal(os_listen(-1, 1), -EBADF);
	assert_int_equal(os_high_fd(-1), -EBADF);
	assert_int_equal(errno, 77);
}

/* --- sockets --------------------------------------------------------------------------------- */

static void talk(int listening, const void *address, size_t len)
{
	struct pollfd ready = { listening, POLLIN, 0 };
	char bytes[8] = "";
	int client, server;

	assert_int_equal(os_listen(listening, 4), 0);
	assert_int_equal(os_accept(listening), -EAGAIN);
	assert_int_equal(os_poll(&ready, 1, 0), 0);
	client = os_socket(((const struct sockaddr *)address)->sa_family);
	assert_true(client >= OS_FD_MIN && fcntl(client, F_GETFD) == FD_CLOEXEC);
	assert_true(fcntl(client, F_GETFL) & O_NONBLOCK);
	(void)!os_connect(client, address, len);
	assert_int_equal(os_poll(&ready, 1, 5000000000u), 1);
	server = os_accept(listening);
	assert_true(server >= OS_FD_MIN && fcntl(server, F_GETFD) == FD_CLOEXEC);
	assert_true(os_is_ours(server) && (fcntl(server, F_GETFL) & O_NONBLOCK));
	assert_int_equal(os_read(server, bytes, 8), -EAGAIN);
	assert_int_equal(os_send(client, "hello", 5), 5);
	/* TCP's way from here to here may be another thread's work, on a busy machine. */
	ready.fd = server;
	assert_int_equal(os_poll(&ready, 1, 5000000000u), 1);
	assert_int_equal(os_read(server, bytes, 8), 5);
	assert_memory_equal(bytes, "hello", 5);
	os_close(client);
	/* No SIGPIPE, which would end the host.  TCP learns of it with the first answer. */
	for (int i = 0; i < 5000 && os_send(server, "x", 1) == 1; i++)
		usleep(1000);
	assert_int_equal(os_send(server, "x", 1), -EPIPE);
	os_close(server);
}

static void tcp_on_a_free_port(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = os_socket(AF_INET), taken = os_socket(AF_INET);
	size_t len = sizeof(a);

	(void)state;
	assert_int_equal(os_bind(fd, &a, sizeof(a)), 0);
	assert_int_equal(os_local_address(fd, &a, &len), 0);
	assert_int_equal(len, sizeof(a));
	assert_int_not_equal(a.sin_port, 0);
	talk(fd, &a, sizeof(a));
	assert_int_equal(os_bind(taken, &a, sizeof(a)), -EADDRINUSE);
	os_close(fd);
	os_close(taken);
	/* Connections that are still ending do not keep the port from a new server. */
	fd = os_socket(AF_INET);
	assert_int_equal(os_bind(fd, &a, sizeof(a)), 0);
	os_close(fd);
}

static void a_unix_socket_is_its_owners_alone(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t before = umask(0);
	int fd = os_socket(AF_UNIX);
	struct stat st;

	(void)state;
	snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/os_test.%d", (int)getpid());
	assert_int_equal(os_bind(fd, &a, sizeof(a)), 0);
	umask(before);
	assert_int_equal(stat(a.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	talk(fd, &a, sizeof(a));
	os_close(fd);
	unlink(a.sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_descriptors_are_high_and_close_on_exec),
		cmocka_unit_test(a_low_limit_of_the_hosts_leaves_room_for_us),
		cmocka_unit_test(without_a_number_the_descriptor_is_closed),
		cmocka_unit_test(more_files_than_we_keep_are_refused),
		cmocka_unit_test(what_the_host_closed_is_not_ours),
		cmocka_unit_test(what_the_host_put_in_its_place_is_not_ours_and_stays),
		cmocka_unit_test(what_was_never_ours_is_left_alone),
		cmocka_unit_test(a_number_that_comes_again_is_the_new_file),
		cmocka_unit_test(a_fork_child_closes_what_is_ours_and_nothing_else),
		cmocka_unit_test(our_thread_leaves_the_hosts_files),
		cmocka_unit_test(before_close_range_too),
		cmocka_unit_test(refused_a_table_we_stay_among_the_hosts),
		cmocka_unit_test(each_time_it_is_asked_anew),
		cmocka_unit_test(a_file_that_cannot_be_told_from_the_hosts_is_closed),
		cmocka_unit_test(files_are_opened_to_be_read),
		cmocka_unit_test(directories_are_listed),
		cmocka_unit_test(failures_are_numbers_and_leave_errno_alone),
		cmocka_unit_test(tcp_on_a_free_port),
		cmocka_unit_test(a_unix_socket_is_its_owners_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
