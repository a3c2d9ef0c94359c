/* threads_wait -- a thread in each kind of wait, each in a function of its own: waits_in_KIND.  So they
 * stay until the end of the input.  "spin": one more that runs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t held_pi, cond_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t never_signalled = PTHREAD_COND_INITIALIZER;
pthread_rwlock_t read_lock = PTHREAD_RWLOCK_INITIALIZER, written_lock = PTHREAD_RWLOCK_INITIALIZER;
pthread_barrier_t barrier;
sem_t empty_semaphore;
mtx_t held_mtx;
cnd_t never_cnd;
static mtx_t cnd_mutex;
static int raw_futex, pipe_fd[2], full_fd[2], socket_fd[2], event_fd, epoll_fd, listen_fd;
static int lock_file, sem_id, msg_id;
static pthread_t sleeper;
static const struct timespec long_time = { 100000, 0 };

/* No call in it is the last: a jump would leave no frame. */
#define WAITS(kind, ...)                                   \
	__attribute__((noinline)) void waits_in_##kind(void) \
	{                                                  \
		for (;;) {                                 \
			__VA_ARGS__;                       \
			__asm__ volatile("");              \
		}                                          \
	}

static struct timespec far(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 100000;
	return t;
}

WAITS(poll, struct pollfd p[2] = { { pipe_fd[0], POLLIN, 0 }, { event_fd, POLLIN, 0 } };
      poll(p, 2, -1))
WAITS(poll_one, struct pollfd p = { pipe_fd[0], POLLIN, 0 }; poll(&p, 1, -1))
WAITS(poll_nothing, poll(NULL, 0, 100000000))
WAITS(ppoll, struct pollfd p[2] = { { pipe_fd[0], POLLIN, 0 }, { event_fd, POLLIN, 0 } };
      ppoll(p, 2, &long_time, NULL))
WAITS(select, fd_set set; FD_ZERO(&set); FD_SET(pipe_fd[0], &set);
      select(pipe_fd[0] + 1, &set, NULL, NULL, NULL))
WAITS(pselect, fd_set set; FD_ZERO(&set); FD_SET(pipe_fd[0], &set);
      pselect(pipe_fd[0] + 1, &set, NULL, NULL, &long_time, NULL))
WAITS(epoll_wait, struct epoll_event e; epoll_wait(epoll_fd, &e, 1, -1))
WAITS(nanosleep, nanosleep(&long_time, NULL))
WAITS(clock_nanosleep, clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL))
WAITS(sleep, sleep(100000))
WAITS(read, char c; if (read(pipe_fd[0], &c, 1) < 0) abort())
WAITS(write, char c = 0; if (write(full_fd[1], &c, 1) < 0) abort())
WAITS(recv, char c; recv(socket_fd[0], &c, 1, 0))
WAITS(accept, accept(listen_fd, NULL, NULL))
WAITS(eventfd, eventfd_t v; eventfd_read(event_fd, &v))
WAITS(msgrcv, struct { long type; char text[8]; } m; msgrcv(msg_id, &m, 8, 0, 0))
WAITS(semop, struct sembuf op = { 0, -1, 0 }; semop(sem_id, &op, 1))
WAITS(sigtimedwait, sigset_t set; sigemptyset(&set); sigaddset(&set, SIGRTMIN);
      sigtimedwait(&set, NULL, &long_time))
WAITS(pause, pause())
WAITS(flock, flock(lock_file, LOCK_EX))
WAITS(waitpid, if (waitpid(-1, NULL, 0) < 0) pause())
WAITS(mutex, pthread_mutex_lock(&held_mutex))
WAITS(timed_mutex, struct timespec t = far(); pthread_mutex_timedlock(&held_mutex, &t))
WAITS(pi_mutex, pthread_mutex_lock(&held_pi))
WAITS(mtx, mtx_lock(&held_mtx))
WAITS(cond, pthread_mutex_lock(&cond_mutex); pthread_cond_wait(&never_signalled, &cond_mutex))
WAITS(timed_cond, struct timespec t = far(); pthread_mutex_lock(&cond_mutex);
      pthread_cond_timedwait(&never_signalled, &cond_mutex, &t))
WAITS(cnd, mtx_lock(&cnd_mutex); cnd_wait(&never_cnd, &cnd_mutex))
WAITS(rdlock, pthread_rwlock_rdlock(&written_lock))
WAITS(wrlock, pthread_rwlock_wrlock(&written_lock))
WAITS(wrlock_of_readers, pthread_rwlock_wrlock(&read_lock))
WAITS(sem, sem_wait(&empty_semaphore))
WAITS(timed_sem, struct timespec t = far(); sem_timedwait(&empty_semaphore, &t))
WAITS(barrier, pthread_barrier_wait(&barrier))
WAITS(join, pthread_join(sleeper, NULL))
WAITS(futex, syscall(SYS_futex, &raw_futex, FUTEX_WAIT, 0, NULL, NULL, 0))

static volatile unsigned long spun;

__attribute__((noinline)) void spins(void)
{
	for (;;)
		spun++;
}

struct kind { const char *name; void (*waits)(void); };
#define KIND(name) { #name, waits_in_##name }

static const struct kind kinds[] = {
	KIND(poll), KIND(poll_one), KIND(poll_nothing), KIND(ppoll), KIND(select), KIND(pselect),
	KIND(epoll_wait), KIND(nanosleep), KIND(clock_nanosleep), KIND(sleep), KIND(read), KIND(write),
	KIND(recv), KIND(accept), KIND(eventfd), KIND(msgrcv), KIND(semop), KIND(sigtimedwait),
	KIND(pause), KIND(flock), KIND(waitpid), KIND(mutex), KIND(timed_mutex), KIND(pi_mutex),
	KIND(mtx), KIND(cond), KIND(timed_cond), KIND(cnd), KIND(rdlock), KIND(wrlock),
	KIND(wrlock_of_readers), KIND(sem), KIND(timed_sem), KIND(barrier), KIND(join), KIND(futex),
};

static void *run(void *arg)
{
	const struct kind *kind = arg;
	char name[16];

	snprintf(name, sizeof(name), "w-%s", kind->name);
	pthread_setname_np(pthread_self(), name);
	kind->waits();
	__asm__ volatile("");
	return NULL;
}

static void *sleeps(void *unused)
{
	pthread_setname_np(pthread_self(), "joined one");
	for (;;)
		pause();
	return unused;
}

static void make_full(int fd)
{
	char zeros[4096] = { 0 };

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

static void make_files(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	int other;
	char path[] = "/tmp/threads_wait.XXXXXX";

	if (pipe(pipe_fd) < 0 || pipe(full_fd) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fd) < 0)
		abort();
	make_full(full_fd[1]);
	event_fd = eventfd(0, 0);
	epoll_fd = epoll_create1(0);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_fd[0], &e);
	listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(listen_fd, (struct sockaddr *)&local, sizeof(sa_family_t));
	listen(listen_fd, 1);
	lock_file = mkstemp(path);
	other = open(path, O_RDWR);
	unlink(path);
	if (lock_file < 0 || other < 0 || flock(other, LOCK_EX) < 0)
		abort();
	sem_id = semget(IPC_PRIVATE, 1, 0600);
	msg_id = msgget(IPC_PRIVATE, 0600);
}

static void make_locks(void)
{
	pthread_mutexattr_t pi;

	pthread_mutexattr_init(&pi);
	pthread_mutexattr_setprotocol(&pi, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&held_pi, &pi);
	mtx_init(&held_mtx, mtx_plain);
	mtx_init(&cnd_mutex, mtx_plain);
	cnd_init(&never_cnd);
	sem_init(&empty_semaphore, 0, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_mutex_lock(&held_mutex);
	pthread_mutex_lock(&held_pi);
	mtx_lock(&held_mtx);
	pthread_rwlock_rdlock(&read_lock);
	pthread_rwlock_wrlock(&written_lock);
}

/* In a function of its own, to be named as who made them. */
__attribute__((noinline)) void makes_threads(void)
{
	pthread_t t;

	pthread_create(&sleeper, NULL, sleeps, NULL);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (pthread_create(&t, NULL, run, (void *)&kinds[i]) != 0)
			abort();
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	static const struct kind spinner = { "spins", spins };
	pid_t child;
	pthread_t t;

	make_files();
	make_locks();
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	makes_threads();
	if (argc > 1 && strcmp(argv[1], "spin") == 0)
		pthread_create(&t, NULL, run, (void *)&spinner);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	semctl(sem_id, 0, IPC_RMID);
	msgctl(msg_id, IPC_RMID, NULL);
	kill(child, SIGKILL);
	_exit(0);
}
