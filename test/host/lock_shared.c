/* lock_shared -- locks that two processes share, each from its side.  Says one line a promise. */
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "lock_say.h"

static struct shared {
	pthread_mutex_t m;
	pthread_cond_t c;
	pthread_rwlock_t l;
	pthread_barrier_t b;
	pthread_spinlock_t spin;
	sem_t s;
	_Atomic int turn;
} *shared;

static void make(int robust, int protocol)
{
	pthread_mutexattr_t ma;
	pthread_condattr_t ca;
	pthread_rwlockattr_t la;
	pthread_barrierattr_t ba;

	pthread_mutexattr_init(&ma);
	pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&ma, robust);
	pthread_mutexattr_setprotocol(&ma, protocol);
	pthread_mutex_init(&shared->m, &ma);
	pthread_condattr_init(&ca);
	pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->c, &ca);
	pthread_rwlockattr_init(&la);
	pthread_rwlockattr_setpshared(&la, PTHREAD_PROCESS_SHARED);
	pthread_rwlock_init(&shared->l, &la);
	pthread_barrierattr_init(&ba);
	pthread_barrierattr_setpshared(&ba, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->b, &ba, 2);
	pthread_spin_init(&shared->spin, PTHREAD_PROCESS_SHARED);
	sem_init(&shared->s, 1, 0);
	shared->turn = 0;
}

static pid_t child(void (*run)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		run();
		_exit(0);
	}
	return pid;
}

/* The status of its end; the child says nothing of itself, but its exit tells. */
static void ended(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	say("child: exit %d, signal %d", WEXITSTATUS(status), WTERMSIG(status));
}

#define MUST(call) do { int err_ = (call); if (err_ != 0) _exit(err_); } while (0)

/* --- what children do ------------------------------------------------------------------------- */

static void wait_for_all(void)
{
	MUST(pthread_mutex_lock(&shared->m));
	shared->turn = 1;
	while (shared->turn != 2)
		MUST(pthread_cond_wait(&shared->c, &shared->m));
	MUST(pthread_mutex_unlock(&shared->m));
	MUST(pthread_rwlock_rdlock(&shared->l));
	MUST(pthread_rwlock_unlock(&shared->l));
	MUST(pthread_rwlock_wrlock(&shared->l));
	MUST(pthread_rwlock_unlock(&shared->l));
	MUST(sem_wait(&shared->s));
	MUST(pthread_spin_lock(&shared->spin));
	MUST(pthread_spin_unlock(&shared->spin));
	if (pthread_barrier_wait(&shared->b) > 0)
		_exit(101);
}

static void hold_it_a_while(void)
{
	MUST(pthread_mutex_lock(&shared->m));
	shared->turn = 1;
	while (shared->turn != 2)
		sched_yield();
	sleep_ms(30);
	MUST(pthread_mutex_unlock(&shared->m));
}

static void die_with_it(void)
{
	MUST(pthread_mutex_lock(&shared->m));
	shared->turn = 1;
	pause();
}

/* --- promises --------------------------------------------------------------------------------- */

static void until_turn(void)
{
	while (shared->turn == 0)
		sched_yield();
}

static void all_at_once(void)
{
	pid_t pid;

	SAY_CALL(pthread_mutex_lock(&shared->m));
	SAY_CALL(pthread_rwlock_wrlock(&shared->l));
	SAY_CALL(pthread_spin_lock(&shared->spin));
	pid = child(wait_for_all);
	until_asleep(pid, pid);
	SAY_CALL(pthread_mutex_unlock(&shared->m));
	until_turn();
	until_asleep(pid, pid);
	SAY_CALL(pthread_mutex_lock(&shared->m));
	shared->turn = 2;
	SAY_CALL(pthread_cond_signal(&shared->c));
	SAY_CALL(pthread_mutex_unlock(&shared->m));
	sleep_ms(5);
	until_asleep(pid, pid);
	SAY_CALL(pthread_rwlock_unlock(&shared->l));
	sleep_ms(5);
	until_asleep(pid, pid);
	SAY_CALL(sem_post(&shared->s));
	SAY_CALL(pthread_spin_unlock(&shared->spin));
	say("barrier: %d", pthread_barrier_wait(&shared->b) <= 0);
	ended(pid);
}

static void held_by_another(void)
{
	pid_t pid = child(hold_it_a_while);

	until_turn();
	SAY_CALL(pthread_mutex_trylock(&shared->m));
	SAY_CALL(pthread_mutex_timedlock(&shared->m, &past));
	shared->turn = 2;
	SAY_CALL(pthread_mutex_lock(&shared->m));
	SAY_CALL(pthread_mutex_unlock(&shared->m));
	ended(pid);
}

static int kill_soon(void *pid)
{
	sleep_ms(30);
	return kill(*(pid_t *)pid, SIGKILL);
}

static void holder_is_killed(void)
{
	struct task t;
	pid_t pid;

	shared->turn = 0;
	pid = child(die_with_it);
	until_turn();
	task_start(&t, kill_soon, &pid);
	SAY_CALL(pthread_mutex_lock(&shared->m));
	SAY_CALL(pthread_mutex_consistent(&shared->m));
	SAY_CALL(pthread_mutex_unlock(&shared->m));
	SAY_CALL(task_end(&t));
	ended(pid);
}

int main(void)
{
	static const struct { const char *name; int robust, protocol; } kinds[] = {
		{ "shared", 0, PTHREAD_PRIO_NONE },
		{ "shared, inherit", 0, PTHREAD_PRIO_INHERIT },
		{ "shared, robust", PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE },
		{ "shared, robust, inherit", PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT },
	};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		subject = kinds[i].name;
		make(kinds[i].robust, kinds[i].protocol);
		all_at_once();
		make(kinds[i].robust, kinds[i].protocol);
		held_by_another();
		if (kinds[i].robust)
			holder_is_killed();
	}
	return 0;
}
