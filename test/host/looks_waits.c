/* looks_waits [THREADS [SECONDS]] -- so many threads sit in each of the calls that a thread can
 * wait in, some until a time, some until the end of the program; and four compute and wait in
 * turns.  It counts what a signal, or anything else that is not meant for them, would do to them:
 * calls that end with EINTR, too early, or much too late (a call that begins anew each time).  Ends
 * at the end of its input, or after so long. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS    250
#define MUCH_LATER 20           /* times as long */
#define BUSY       4

static atomic_uint interrupted, early, late, other;
static atomic_ulong waits, rounds;
static atomic_bool over;
static int never[2], queue, full;
static sigset_t usr2;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct timespec span(void) { return (struct timespec){ 0, WAIT_MS * 1000000l }; }

/* --- until a time: what the call returned; errno as it should be then ----------------------- */

static bool timed_out(long result, int error) { return result == -1 && errno == error; }

static bool by_poll(void)
{
	struct pollfd fd = { never[0], POLLIN, 0 };

	return poll(&fd, 1, WAIT_MS) == 0;
}

static bool by_ppoll(void)
{
	struct pollfd fd = { never[0], POLLIN, 0 };
	struct timespec t = span();

	return ppoll(&fd, 1, &t, NULL) == 0;
}

static bool by_select(void)
{
	struct timeval t = { 0, WAIT_MS * 1000 };

	return select(0, NULL, NULL, NULL, &t) == 0;
}

static bool by_pselect(void)
{
	struct timespec t = span();

	return pselect(0, NULL, NULL, NULL, &t, NULL) == 0;
}

static bool by_epoll_wait(void)
{
	static __thread int fd = -1;
	struct epoll_event event;

	if (fd < 0)
		fd = epoll_create1(0);
	return epoll_wait(fd, &event, 1, WAIT_MS) == 0;
}

static bool by_nanosleep(void)
{
	struct timespec t = span();

	return nanosleep(&t, NULL) == 0;
}

static bool by_clock_nanosleep(void)
{
	struct timespec t = span();

	errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	return errno == 0;
}

static bool by_sem_timedwait(void)
{
	struct timespec t;
	sem_t sem;

	sem_init(&sem, 0, 0);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += WAIT_MS * 1000000l;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return timed_out(sem_clockwait(&sem, CLOCK_MONOTONIC, &t), ETIMEDOUT);
}

static bool by_recv(void)
{
	static __thread int fd[2] = { -1, -1 };
	struct timeval t = { 0, WAIT_MS * 1000 };
	char c;

	if (fd[0] < 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0)
		setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	return timed_out(recv(fd[0], &c, 1, 0), EAGAIN);
}

static bool by_sigtimedwait(void)
{
	struct timespec t = span();

	return timed_out(sigtimedwait(&usr2, NULL, &t), EAGAIN);
}

static bool by_futex(void)
{
	struct timespec t = span();
	int word = 0;

	return timed_out(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT);
}

/* --- until the end -------------------------------------------------------------------------- */

static bool by_pause(void)
{
	pause();
	return false;
}

static bool by_read(void)
{
	char c;

	(void)!read(never[0], &c, 1);
	return false;
}

static bool by_accept(void)
{
	struct sockaddr any = { .sa_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	bind(fd, &any, sizeof(any.sa_family));
	listen(fd, 1);
	accept(fd, NULL, NULL);
	return false;
}

static bool by_connect(void)
{
	struct sockaddr_un name;
	socklen_t len = sizeof(name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	getsockname(full, (struct sockaddr *)&name, &len);
	return connect(fd, (struct sockaddr *)&name, len) == 0;
}

static bool by_msgrcv(void)
{
	struct { long type; char text[8]; } message;

	msgrcv(queue, &message, sizeof(message.text), 1, 0);
	return false;
}

static bool by_endless_futex(void)
{
	int word = 0;

	syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	return false;
}

/* -------------------------------------------------------------------------------------------- */

static const struct way { const char *name; bool (*wait)(void); bool endless; } ways[] = {
	{ "poll", by_poll, false },
	{ "ppoll", by_ppoll, false },
	{ "select", by_select, false },
	{ "pselect", by_pselect, false },
	{ "epoll_wait", by_epoll_wait, false },
	{ "nanosleep", by_nanosleep, false },
	{ "clock_nanosleep", by_clock_nanosleep, false },
	{ "sem_timedwait", by_sem_timedwait, false },
	{ "recv", by_recv, false },
	{ "sigtimedwait", by_sigtimedwait, false },
	{ "futex", by_futex, false },
	{ "pause", by_pause, true },
	{ "read", by_read, true },
	{ "accept", by_accept, true },
	{ "connect", by_connect, true },
	{ "msgrcv", by_msgrcv, true },
	{ "endless_futex", by_endless_futex, true },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void judge(bool right, uint64_t took, bool endless)
{
	if (over)
		return;
	waits++;
	if (!right && errno == EINTR)
		interrupted++;
	else if (endless)
		early += !right;
	else if (!right)
		other++;
	else if (took < WAIT_MS * 1000000ull)
		early++;
	else if (took > MUCH_LATER * WAIT_MS * 1000000ull)
		late++;
}

static void *waiter(void *arg)
{
	const struct way *way = arg;

	prctl(PR_SET_NAME, way->name);
	while (!over) {
		uint64_t begin = now_ns();
		bool right;

		errno = 0;
		right = way->wait();
		judge(right, now_ns() - begin, way->endless);
	}
	return NULL;
}

/* Computes, and enters one call after the other that wait for a moment. */
static void *busy(void *unused)
{
	int ends[2];
	unsigned i = 0;

	(void)unused;
	prctl(PR_SET_NAME, "busy");
	if (pipe(ends) != 0)
		return NULL;
	while (!over) {
		volatile uint64_t x = 1;
		struct timespec t = { 0, 50000 };
		struct pollfd fd = { never[0], POLLIN, 0 };
		char c = 0;

		for (unsigned n = 0; n < 100000u + i % 7 * 30000; n++)
			x = x * 3 + 1;
		errno = 0;
		if (i % 4 == 0)
			(void)!nanosleep(&t, NULL);
		else if (i % 4 == 1)
			(void)!poll(&fd, 1, 1);
		else if (i % 4 == 2)
			(void)!(write(ends[1], &c, 1) + read(ends[0], &c, 1));
		else
			(void)!ppoll(&fd, 1, &t, NULL);
		interrupted += errno == EINTR;
		i++;
		rounds++;
	}
	return NULL;
}

/* A socket whose queue of connections is full. */
static int make_full(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), client;

	bind(fd, (struct sockaddr *)&name, sizeof(name.sun_family));
	listen(fd, 0);
	getsockname(fd, (struct sockaddr *)&name, &len);
	do
		client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	while (connect(client, (struct sockaddr *)&name, len) == 0);
	close(client);
	return fd;
}

static bool start(void *(*run)(void *), const void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	return pthread_create(&thread, &attr, run, (void *)arg) == 0;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 2, seconds = argc > 2 ? atoi(argv[2]) : 2;
	struct pollfd input = { 0, POLLIN, 0 };

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	queue = msgget(IPC_PRIVATE, 0600);
	full = make_full();
	if (pipe(never) != 0 || queue < 0)
		return 1;
	for (size_t i = 0; i < WAYS; i++)
		for (int n = 0; n < threads; n++)
			if (!start(waiter, &ways[i]))
				return 1;
	for (int n = 0; n < BUSY; n++)
		start(busy, NULL);
	puts("ready");
	fflush(stdout);
	if (argc > 1)
		poll(&input, 1, seconds * 1000);
	else
		sleep(seconds);
	over = true;
	printf("interrupted %u, early %u, late %u, other %u, waits %s\n", interrupted, early, late,
	       other, waits > 10 && rounds > 10 ? "many" : "few");
	fflush(stdout);
	msgctl(queue, IPC_RMID, NULL);
	_exit(0);
}
