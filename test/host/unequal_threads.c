/* unequal_threads -- threads of every origin and unequal load: the first one, pthreads joinable
 * and detached, C11's, one by clone with thread-local data of its own.  For each line of input, a
 * number F, they use 2, 1, 0.5, 0.25 and 1 times F seconds of CPU time, all but the first in bursts
 * with sleeps in between, and say what they have used by their own clocks, how many slices of equal
 * work in each of three functions, which they draw at random, and in what lumps the kernel notices
 * periods of 10 ms of their CPU time.
 *
 * The kernel looks at the timers of the thread that its tick finds running.  On a busy machine a
 * thread with bursts can be missed for long: it begins when a tick has thrown another off the CPU
 * and is thrown off before the next.  So each thread has a timer of its own like the profiler's,
 * which is looked at in the same moments, and works on until that has been noticed. */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

#define NOINLINE __attribute__((noinline))
#define THREADS  5
#define STEPS    20000  /* some 20 to 40 us */

static const double share[THREADS] = { 2, 1, 0.5, 0.25, 1 };
static const char *const name[THREADS] = { "as_main", "as_pthread", "as_detached", "as_c11",
					   "as_raw" };
static double used[THREADS], factor;
static long slices[THREADS][3];
static _Atomic long notices[THREADS], periods[THREADS], squares[THREADS];
static _Atomic int round_number, at_work;

static inline __attribute__((always_inline)) uint64_t kernel(uint64_t x)
{
	for (int i = 0; i < STEPS; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		__asm__ volatile("" : : "r"(x) : "memory");
	}
	return x;
}

NOINLINE uint64_t leaf_60(uint64_t x) { return kernel(x + 60) ^ 60; }
NOINLINE uint64_t leaf_30(uint64_t x) { return kernel(x + 30) ^ 30; }
NOINLINE uint64_t leaf_10(uint64_t x) { return kernel(x + 10) ^ 10; }

static uint64_t (*const leaf[3])(uint64_t) = { leaf_60, leaf_30, leaf_10 };

/* By the kernel alone: one of the threads is none of libc's. */
static double cpu(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t draw(uint64_t *random, unsigned below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (*random >> 16) % below;
}

/* SIGUSR2: one period is over for each time that the timer has run out. */
static void noticed(int signal, siginfo_t *info, void *unused)
{
	int me = info->si_value.sival_int;
	long n = 1 + info->si_overrun;

	(void)signal, (void)unused;
	periods[me] += n;
	squares[me] += n * n;
	notices[me]++;
}

static void be_noticed(int me)
{
	struct itimerspec period = { { 0, 10000000 }, { 0, 10000000 } };
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGUSR2,
		.sigev_value.sival_int = me,
	};
	int timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0 ||
	    syscall(SYS_timer_settime, timer, 0, &period, NULL) != 0)
		abort();
}

/* In bursts of 1 to 5 ms, but for the first thread; when the share is used, without a rest until the
 * kernel has looked. */
static inline __attribute__((always_inline)) void work(int me, uint64_t *random)
{
	double begin = cpu(), burst = begin + 1e-3 * (double)(1 + draw(random, 5)), now;
	uint64_t x = *random;
	long before = -1;

	while ((now = cpu()) - begin < share[me] * factor || before < 0 || notices[me] == before) {
		unsigned n = (unsigned)draw(random, 10), which = n < 6 ? 0 : n < 9 ? 1 : 2;

		x = leaf[which](x);
		slices[me][which]++;
		if (now - begin >= share[me] * factor) {
			if (before < 0)
				before = notices[me];
		} else if (me != 0 && now > burst) {
			struct timespec rest = { 0, 1000000 };

			syscall(SYS_nanosleep, &rest, NULL);
			burst = cpu() + 1e-3 * (double)(1 + draw(random, 5));
		}
	}
	__asm__ volatile("" : : "r"(x));
	used[me] += cpu() - begin;
}

static inline __attribute__((always_inline, noreturn)) void live(int me)
{
	uint64_t random = (uint64_t)time(NULL) * 2654435761u + (uint64_t)me * 977 + 1;

	be_noticed(me);
	for (int seen = 0;; seen++) {
		while (round_number == seen)
			syscall(SYS_futex, &round_number, FUTEX_WAIT, seen, NULL, NULL, 0);
		work(me, &random);
		at_work--;
	}
}

NOINLINE void as_main(void)
{
	static uint64_t random = 88172645463325252u;

	work(0, &random);
	at_work--;
}

NOINLINE void *as_pthread(void *unused)
{
	(void)unused;
	live(1);
}

NOINLINE void *as_detached(void *unused)
{
	(void)unused;
	live(2);
}

NOINLINE int as_c11(void *unused)
{
	(void)unused;
	live(3);
}

NOINLINE int as_raw(void *unused)
{
	(void)unused;
	live(4);
}

static int clone_raw(void)
{
	void *(*allocate_tls)(void *) =
		(void *(*)(void *))dlsym(RTLD_DEFAULT, "_dl_allocate_tls");
	static _Alignas(16) char stack[1 << 18];
	void **tcb = allocate_tls(NULL);

	tcb[0] = tcb[2] = tcb;          /* the thread pointer points to itself: x86-64's ABI */
	return clone(as_raw, stack + sizeof(stack),
		     CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			     CLONE_SYSVSEM | CLONE_SETTLS,
		     NULL, NULL, tcb, NULL);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = noticed, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct timespec moment = { 0, 1000000 };
	pthread_t t;
	thrd_t c11;
	char line[32];

	sigaction(SIGUSR2, &action, NULL);
	be_noticed(0);
	pthread_create(&t, NULL, as_pthread, NULL);
	pthread_create(&t, NULL, as_detached, NULL);
	pthread_detach(t);
	thrd_create(&c11, as_c11, NULL);
	if (clone_raw() < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	for (int round = 1; fgets(line, sizeof(line), stdin) != NULL; round++) {
		factor = atof(line);
		at_work = THREADS;
		round_number = round;
		syscall(SYS_futex, &round_number, FUTEX_WAKE, THREADS, NULL, NULL, 0);
		as_main();
		while (at_work != 0)
			nanosleep(&moment, NULL);
		for (int i = 0; i < THREADS; i++)
			printf("truth %s %.6f %ld %ld %ld %ld %ld\n", name[i], used[i], slices[i][0],
			       slices[i][1], slices[i][2], periods[i], squares[i]);
		printf("round %d\n", round);
		fflush(stdout);
	}
	return 0;
}
