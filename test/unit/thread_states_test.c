/* What a thread waits for, in Go's words: by its system call, and by who waits on a futex. */
#include "httpd/thread_states.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gnu/libc-version.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "sampler/compiler.h"
#include "sampler/os.h"

static struct look blocked(int64_t nr)
{
	return (struct look){ .how = LOOK_BLOCKED, .letter = 'S', .nr = nr };
}

static const char *word_of(const struct look *look, const char *function)
{
	static struct thread_state s;
	const char *name[] = { NULL, function, "main" };

	thread_state_of(look, name, COUNT_OF(name), &s);
	return s.word;
}

static void each_call_has_its_word(void **state)
{
	static const struct { int64_t nr; const char *word; } calls[] = {
		{ SYS_read, "IO wait" }, { SYS_writev, "IO wait" }, { SYS_accept4, "IO wait" },
		{ SYS_connect, "IO wait" }, { SYS_recvmsg, "IO wait" },
		{ SYS_epoll_pwait, "select" }, { SYS_io_uring_enter, "select" },
		{ SYS_nanosleep, "sleep" }, { SYS_clock_nanosleep, "sleep" },
		{ SYS_msgrcv, "chan receive" }, { SYS_mq_timedreceive, "chan receive" },
		{ SYS_rt_sigtimedwait, "chan receive" }, { SYS_msgsnd, "chan send" },
		{ SYS_semop, "semacquire" }, { SYS_wait4, "syscall wait4" },
		{ SYS_flock, "syscall flock" }, { SYS_fsync, "syscall fsync" },
		{ SYS_rt_sigsuspend, "syscall rt_sigsuspend" },
		{ 99999, "syscall 99999" }, { -1, "page fault" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		struct look look = blocked(calls[i].nr);

		assert_string_equal(word_of(&look, NULL), calls[i].word);
	}
}

static void a_poll_is_what_it_polls(void **state)
{
	struct look look = blocked(SYS_ppoll);

	(void)state;
	look.arg[1] = 2;
	assert_string_equal(word_of(&look, "ppoll"), "select");
	look.arg[1] = 1;
	assert_string_equal(word_of(&look, "ppoll"), "IO wait");
	look.arg[1] = 0;
	assert_string_equal(word_of(&look, "ppoll"), "sleep");
	look = blocked(SYS_pselect6);
	assert_string_equal(word_of(&look, "pselect"), "sleep");
	look.arg[0] = 5;
	assert_string_equal(word_of(&look, "pselect"), "select");
}

/* The kernel does not look at it. */
static void the_other_half_of_an_int_may_be_anything(void **state)
{
	const uint64_t anything = UINT64_C(0x7fff) << 32;
	struct look look = blocked(SYS_ppoll);

	(void)state;
	look.arg[1] = anything;
	assert_string_equal(word_of(&look, "ppoll"), "sleep");
	look.arg[1] = anything | 1;
	assert_string_equal(word_of(&look, "ppoll"), "IO wait");
	look = blocked(SYS_pselect6);
	look.arg[0] = anything;
	assert_string_equal(word_of(&look, "pselect"), "sleep");
	look = blocked(SYS_futex);
	look.arg[1] = anything | FUTEX_WAIT_PRIVATE;
	look.arg[2] = anything | 2;
	assert_string_equal(word_of(&look, "my_lock"), "sync.Mutex.Lock");
}

static void one_that_does_not_wait_runs_or_is_stopped(void **state)
{
	struct look look = { .how = LOOK_RUNNING, .letter = 'R', .nr = -1 };

	(void)state;
	assert_string_equal(word_of(&look, NULL), "running");
	look.how = LOOK_SILENT;
	assert_string_equal(word_of(&look, NULL), "running");
	look = blocked(SYS_read);
	look.letter = 'T';
	assert_string_equal(word_of(&look, NULL), "stopped");
	look = (struct look){ .how = LOOK_HIDDEN, .letter = 'S', .nr = -1 };
	assert_string_equal(word_of(&look, NULL), "waiting");
	look.letter = 'R';
	assert_string_equal(word_of(&look, NULL), "running");
}

/* --- futexes --------------------------------------------------------------------------------- */

#define AT UINT64_C(0x10000)

static struct look futex(uint64_t op, uint64_t value)
{
	struct look look = blocked(SYS_futex);

	look.arg[0] = AT;
	look.arg[1] = op;
	look.arg[2] = value;
	return look;
}

static void expect(const struct look *look, const char *function, const char *word, uintptr_t lock)
{
	struct thread_state s;
	const char *name[] = { NULL, NULL, function, "main" };

	thread_state_of(look, name, COUNT_OF(name), &s);
	assert_string_equal(s.word, word);
	assert_int_equal(s.lock, lock);
}

static void the_function_says_which_lock_a_futex_is(void **state)
{
	struct look look = futex(FUTEX_WAIT_PRIVATE, 2);
	struct look timed = futex(FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0);
	uintptr_t cond = AT - (atoi(gnu_get_libc_version() + 2) < 41 ? 40 : 32);

	(void)state;
	expect(&look, "pthread_mutex_lock", "sync.Mutex.Lock", AT);
	expect(&timed, "__pthread_mutex_lock", "sync.Mutex.Lock", AT);
	expect(&timed, "wait_in_pthread_mutex_lock", "sync.Mutex.Lock", AT);
	expect(&timed, "mtx_timedlock", "sync.Mutex.Lock", AT);
	expect(&timed, "pthread_cond_wait", "sync.Cond.Wait", cond);
	expect(&timed, "sem_clockwait", "semacquire", AT);
	timed.arg[0] = AT + 8;
	expect(&timed, "pthread_rwlock_rdlock", "sync.RWMutex.RLock", AT);
	timed.arg[0] = AT + 12;
	expect(&timed, "pthread_rwlock_wrlock", "sync.RWMutex.Lock", AT);
	timed.arg[0] = AT + 4;
	expect(&timed, "pthread_barrier_wait", "sync.WaitGroup.Wait", AT);
	timed.arg[0] = AT + 44;
	expect(&timed, "cnd_timedwait", "sync.Cond.Wait", cond + 40);
	/* The second of two words. */
	timed.arg[0] = AT + 4;
	expect(&timed, "cnd_timedwait", "sync.Cond.Wait", cond);
}

static void a_condition_that_wants_its_mutex_back_says_so(void **state)
{
	struct look look = futex(FUTEX_WAIT_PRIVATE, 2), pi = futex(FUTEX_LOCK_PI_PRIVATE, 0);

	(void)state;
	expect(&look, "pthread_cond_wait", "sync.Mutex.Lock", AT);
	expect(&pi, "pthread_cond_wait", "sync.Mutex.Lock", AT);
}

static void locks_of_rust_are_known_by_their_functions(void **state)
{
	struct look look = futex(FUTEX_WAIT_BITSET_PRIVATE, 7);

	(void)state;
	expect(&look, "std::sys::sync::mutex::futex::Mutex::lock_contended", "sync.Mutex.Lock", AT);
	expect(&look, "parking_lot::raw_mutex::RawMutex::lock_slow", "sync.Mutex.Lock", AT);
	expect(&look, "std::sys::unix::locks::futex_rwlock::RwLock::read_contended",
	       "sync.RWMutex.RLock", AT);
	expect(&look, "std::sys::sync::rwlock::futex::RwLock::write_contended",
	       "sync.RWMutex.Lock", AT);
	expect(&look, "std::sync::condvar::Condvar::wait", "sync.Cond.Wait", AT);
}

static void a_futex_of_nobody_known_is_told_by_its_value(void **state)
{
	struct look plain = futex(FUTEX_WAIT_PRIVATE, 0), two = futex(FUTEX_WAIT_PRIVATE, 2);
	struct look pi = futex(FUTEX_LOCK_PI_PRIVATE, 0);
	struct thread_state s;

	(void)state;
	expect(&plain, "work", "semacquire", AT);
	expect(&two, "work", "sync.Mutex.Lock", AT);
	expect(&pi, "work", "sync.Mutex.Lock", AT);
	thread_state_of(&two, NULL, 0, &s);
	/* Whoever stands behind such a word is nobody's guess. */
	assert_int_equal(s.kind, THREAD_LOCK_OTHER);
}

static void the_end_of_a_thread_is_awaited_by_its_tid(void **state)
{
	struct look look = futex(FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, (uint64_t)os_gettid());
	struct look other = futex(FUTEX_WAIT_BITSET_PRIVATE, (uint64_t)os_gettid());
	struct look nobody = futex(FUTEX_WAIT_BITSET, 0x7fffff00);
	struct thread_state s;

	(void)state;
	thread_state_of(&look, NULL, 0, &s);
	assert_string_equal(s.word, "sync.WaitGroup.Wait");
	assert_int_equal(s.ends, os_gettid());
	assert_int_equal(s.lock, 0);
	thread_state_of(&other, NULL, 0, &s);
	assert_string_equal(s.word, "semacquire");
	thread_state_of(&nobody, NULL, 0, &s);
	assert_string_equal(s.word, "semacquire");
}

static void a_wait_that_was_stopped_for_a_moment_is_known_by_its_function(void **state)
{
	struct look look = blocked(SYS_restart_syscall);

	(void)state;
	expect(&look, "pthread_cond_timedwait", "sync.Cond.Wait", 0);
	expect(&look, "clock_nanosleep", "sleep", 0);
	expect(&look, "ppoll", "select", 0);
	expect(&look, "work", "sleep", 0);
}

/* --- who has it ------------------------------------------------------------------------------ */

static int32_t holder(enum thread_lock kind, const void *lock)
{
	struct thread_state s = { .kind = kind, .lock = (uintptr_t)lock };

	return thread_state_holder(&s);
}

static void a_lock_of_glibc_knows_who_has_it(void **state)
{
	uint32_t word[10] = { 0 };
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, pi;
	pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
	pthread_mutexattr_t attr;

	(void)state;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&pi, &attr);
	assert_int_equal(holder(THREAD_LOCK_MUTEX, &mutex), 0);
	pthread_mutex_lock(&mutex);
	pthread_mutex_lock(&pi);
	assert_int_equal(holder(THREAD_LOCK_MUTEX, &mutex), os_gettid());
	assert_int_equal(holder(THREAD_LOCK_MUTEX, &pi), os_gettid());
	assert_int_equal(holder(THREAD_LOCK_PI, &pi), os_gettid());
	pthread_rwlock_rdlock(&rwlock);
	assert_int_equal(holder(THREAD_LOCK_RWLOCK, &rwlock), 0);
	pthread_rwlock_unlock(&rwlock);
	pthread_rwlock_wrlock(&rwlock);
	assert_int_equal(holder(THREAD_LOCK_RWLOCK, &rwlock), os_gettid());
	assert_int_equal(holder(THREAD_LOCK_OTHER, &mutex), 0);
	/* It may have been unmapped since. */
	/* Its owner has died (robust), or it is no lock any more. */
	word[2] = 0x7fffffff;
	assert_int_equal(holder(THREAD_LOCK_MUTEX, word), 0);
	word[2] = 0x7ffffffe;
	assert_int_equal(holder(THREAD_LOCK_MUTEX, word), 0);
	word[2] = 4194304;
	assert_int_equal(holder(THREAD_LOCK_MUTEX, word), 4194304);
	assert_int_equal(holder(THREAD_LOCK_MUTEX, (void *)(uintptr_t)8), 0);
	pthread_mutex_unlock(&mutex);
	pthread_mutex_unlock(&pi);
	pthread_rwlock_unlock(&rwlock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_has_its_word),
		cmocka_unit_test(a_poll_is_what_it_polls),
		cmocka_unit_test(the_other_half_of_an_int_may_be_anything),
		cmocka_unit_test(one_that_does_not_wait_runs_or_is_stopped),
		cmocka_unit_test(the_function_says_which_lock_a_futex_is),
		cmocka_unit_test(a_condition_that_wants_its_mutex_back_says_so),
		cmocka_unit_test(locks_of_rust_are_known_by_their_functions),
		cmocka_unit_test(a_futex_of_nobody_known_is_told_by_its_value),
		cmocka_unit_test(the_end_of_a_thread_is_awaited_by_its_tid),
		cmocka_unit_test(a_wait_that_was_stopped_for_a_moment_is_known_by_its_function),
		cmocka_unit_test(a_lock_of_glibc_knows_who_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
