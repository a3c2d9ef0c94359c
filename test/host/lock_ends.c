/* lock_ends CASE -- waits that end in another way than by an unlock of the holder's, 100 ms after they began.
 * Who has the lock then keeps it for 10 ms.  Says how long either took by its own clock, in ns, "before" and "after".
 * Waits for its input's end.
 *
 *     dies       the holder of a robust mutex ends with it
 *     kernels    a futex with priority inheritance, given back by a road without a door
 *     killed     who waited was a vfork child, and was killed; the holder keeps it 100 ms more
 *     left       the main thread leaves it by a jump, waits for another lock, and the holder goes on
 *     sandboxed  the host has forbidden itself calls meanwhile that it does not need */
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "lock_say.h"

#define NOINLINE __attribute__((noinline, noclone))
#define DEMAND(condition) do { if (!(condition)) { perror(#condition); abort(); } } while (0)

enum { LONG_MS = 100, SHORT_MS = 10 };

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static atomic_int held, go_on;
static atomic_uint word;

static void until_set(atomic_int *what)
{
	while (*what == 0)
		sched_yield();
}

static unsigned long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000u + (unsigned long long)t.tv_nsec;
}

/* Two that sleep, and then what makes them go on. */
static void behind(int (*takes)(void *), void (*go)(void))
{
	unsigned long long begin = now_ns(), middle;
	struct task t[2];

	for (int i = 0; i < 2; i++) {
		task_start(&t[i], takes, NULL);
		task_asleep(&t[i]);
	}
	sleep_ms(LONG_MS);
	middle = now_ns();
	go();
	for (int i = 0; i < 2; i++)
		DEMAND(task_end(&t[i]) == 0);
	printf("before %llu after %llu\n", middle - begin, now_ns() - middle);
}

/* --- dies ------------------------------------------------------------------------------------- */

static int dies(void *unused)
{
	(void)unused;
	DEMAND(pthread_mutex_lock(&m) == 0);
	held = 1;
	until_set(&go_on);
	return 0;
}

static void let_it_die(void) { go_on = 1; }

static NOINLINE int takes_over(void *unused)
{
	int err = pthread_mutex_lock(&m);

	(void)unused;
	if (err == EOWNERDEAD)
		err = pthread_mutex_consistent(&m);
	sleep_ms(SHORT_MS);
	return err | pthread_mutex_unlock(&m);
}

static void case_dies(void)
{
	pthread_mutexattr_t a;
	struct task holder;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&m, &a);
	task_start(&holder, dies, NULL);
	until_set(&held);
	behind(takes_over, let_it_die);
	DEMAND(task_end(&holder) == 0);
}

/* --- kernels ---------------------------------------------------------------------------------- */

static NOINLINE int takes_kernels(void *unused)
{
	(void)unused;
	DEMAND(syscall(SYS_futex, &word, FUTEX_LOCK_PI_PRIVATE, 0, NULL) == 0);
	sleep_ms(SHORT_MS);
	return (int)syscall(SYS_futex, &word, FUTEX_UNLOCK_PI_PRIVATE);
}

static void give_back_by_itself(void)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result)
			 : "a"(SYS_futex), "D"(&word), "S"((long)FUTEX_UNLOCK_PI_PRIVATE)
			 : "rcx", "r11", "memory");
	DEMAND(result == 0);
}

static void case_kernels(void)
{
	word = (unsigned)gettid();
	behind(takes_kernels, give_back_by_itself);
}

/* --- killed ----------------------------------------------------------------------------------- */

static volatile pid_t child;

static NOINLINE int holds_for_long(void *unused)
{
	(void)unused;
	DEMAND(pthread_mutex_lock(&m) == 0);
	held = 1;
	while (child == 0)
		sched_yield();
	until_asleep(child, child);
	sleep_ms(LONG_MS);
	DEMAND(kill(child, SIGKILL) == 0);
	sleep_ms(LONG_MS);
	return pthread_mutex_unlock(&m);
}

static void case_killed(void)
{
	struct task holder;
	pid_t pid;
	int status;

	task_start(&holder, holds_for_long, NULL);
	until_set(&held);
	pid = vfork();
	if (pid == 0) {
		child = getpid();
		pthread_mutex_lock(&m);
		_exit(1);
	}
	DEMAND(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	while (pthread_tryjoin_np(holder.thread, NULL) == EBUSY)
		sleep_ms(1);
}

/* --- left ------------------------------------------------------------------------------------- */

static sigjmp_buf away;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;

static void leave(int sig) { (void)sig; siglongjmp(away, 1); }

static NOINLINE int holds_first(void *unused)
{
	(void)unused;
	DEMAND(pthread_mutex_lock(&m) == 0);
	held = 1;
	until_set(&go_on);
	sleep_ms(LONG_MS);
	return pthread_mutex_unlock(&m);
}

static NOINLINE int holds_second(void *unused)
{
	(void)unused;
	DEMAND(pthread_mutex_lock(&second) == 0);
	held = 2;
	until_asleep(getpid(), getpid());
	sleep_ms(SHORT_MS);
	return pthread_mutex_unlock(&second);
}

static NOINLINE void wait_and_leave(void)
{
	struct itimerval once = { .it_value = { 0, LONG_MS * 1000 } };

	signal(SIGALRM, leave);
	if (sigsetjmp(away, 1) != 0)
		return;
	setitimer(ITIMER_REAL, &once, NULL);
	pthread_mutex_lock(&m);
	abort();
}

/* The alarm is the main thread's, whoever is free for a signal. */
static void case_left(void)
{
	struct task first, other;
	unsigned long long begin, middle;
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	task_start(&first, holds_first, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	until_set(&held);
	begin = now_ns();
	wait_and_leave();
	task_start(&other, holds_second, NULL);
	while (held != 2)
		sched_yield();
	middle = now_ns();
	DEMAND(pthread_mutex_lock(&second) == 0);
	printf("before %llu after %llu\n", middle - begin, now_ns() - middle);
	go_on = 1;
	DEMAND(task_end(&other) == 0 && task_end(&first) == 0);
}

/* --- sandboxed -------------------------------------------------------------------------------- */

/* The lock of three states. */
static int takes_three(void *unused)
{
	unsigned was = 0;

	(void)unused;
	if (!atomic_compare_exchange_strong(&word, &was, 1))
		while (atomic_exchange(&word, 2) != 0)
			syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, NULL);
	return 0;
}

static void gives_three(void)
{
	if (atomic_exchange(&word, 0) == 2)
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
}

/* No thread of the program may requeue waiters, or ask who it is. */
static void forbid_requeue(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettid, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 127),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_CMP_REQUEUE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { COUNT_OF(code), code };

	DEMAND(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	DEMAND(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0);
}

static void *uses_it(void *unused)
{
	DEMAND(pthread_mutex_lock(&m) == 0 && pthread_mutex_unlock(&m) == 0);
	return unused;
}

/* It is of a kind that looks for its owner. */
static void lock_in_new_thread(void)
{
	pthread_t t;

	m = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	DEMAND(pthread_mutex_lock(&m) == 0 && pthread_create(&t, NULL, uses_it, NULL) == 0);
	sleep_ms(SHORT_MS);
	DEMAND(pthread_mutex_unlock(&m) == 0 && pthread_join(t, NULL) == 0);
}

/* By the fifth wait it looks like a lock, and no wake has shown that it is one. */
static void case_sandboxed(void)
{
	for (int i = 0; i < 5; i++) {
		struct task t;

		takes_three(NULL);
		task_start(&t, takes_three, NULL);
		task_asleep(&t);
		if (i == 4)
			forbid_requeue();
		gives_three();
		DEMAND(task_end(&t) == 0);
		gives_three();
	}
	lock_in_new_thread();
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } cases[] = {
		{ "dies", case_dies }, { "kernels", case_kernels }, { "killed", case_killed }, { "left", case_left },
		{ "sandboxed", case_sandboxed },
	};

	for (size_t i = 0; argc == 2 && i < COUNT_OF(cases); i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			cases[i].run();
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
