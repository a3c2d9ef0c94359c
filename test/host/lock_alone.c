/* lock_alone CASE -- a process that makes no thread waits for a mutex all the same: in memory that
 * it shares with its child, by mmap or shmat, or for a thread that libc makes for a timer. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include "lock_truth.h"

#define ROUNDS 40

struct shared {
	pthread_mutex_t mutex;
	atomic_int      held, waiting, served;
};

static struct shared own, *shared = &own;

NOINLINE void holds_shared(int round)
{
	uint64_t begin;

	pthread_mutex_lock(&shared->mutex);
	begin = truth_now();
	shared->held = round;
	while (shared->waiting < round)
		sched_yield();
	pass(5 * MS);
	truth_held(__func__, begin);
	pthread_mutex_unlock(&shared->mutex);
	while (shared->served < round)
		sched_yield();
}

NOINLINE void waits_shared(int round)
{
	uint64_t begin;

	while (shared->held < round)
		sched_yield();
	begin = truth_now();
	shared->waiting = round;
	pthread_mutex_lock(&shared->mutex);
	truth_waited(__func__, begin);
	pthread_mutex_unlock(&shared->mutex);
	shared->served = round;
}

static void all(void (*f)(int round))
{
	for (int i = 1; i <= ROUNDS; i++)
		f(i);
}

static void make(struct shared *at)
{
	pthread_mutexattr_t attr;

	shared = at;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &attr);
}

static void beside_a_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		all(holds_shared);
		_exit(0);
	}
	all(waits_shared);
	waitpid(child, NULL, 0);
}

static void case_mmap(void)
{
	make(mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	beside_a_child();
}

static void case_shmat(void)
{
	int id = shmget(IPC_PRIVATE, sizeof(*shared), 0600);

	make(shmat(id, NULL, 0));
	shmctl(id, IPC_RMID, NULL);
	beside_a_child();
}

static void at_timer(union sigval unused)
{
	(void)unused;
	all(holds_shared);
}

/* The library learns of that thread when it takes a sample. */
static void case_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD };
	struct itimerspec at = { .it_value = { 0, 1 } };
	timer_t timer;

	event.sigev_notify_function = at_timer;
	make(&own);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	for (clock_t begin = clock(); clock() - begin < CLOCKS_PER_SEC / 4;)
		;
	timer_settime(timer, 0, &at, NULL);
	all(waits_shared);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } cases[] = {
		{ "mmap", case_mmap }, { "shmat", case_shmat }, { "timer", case_timer },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			truth_say();
			stay();
			return 0;
		}
		if (argc == 1)
			puts(cases[i].name);
	}
	return argc > 1;
}
