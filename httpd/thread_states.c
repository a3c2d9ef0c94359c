#include "httpd/thread_states.h"

#include <gnu/libc-version.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include "encode/buf.h"
#include "httpd/thread_calls.h"
#include "sampler/compiler.h"
#include "sampler/os.h"

/* linux, include/linux/threads.h: PID_MAX_LIMIT.  More is no thread: a robust mutex whose owner has
 * died says 2147483647, and what is no lock any more may say anything. */
#define TID_MAX 4194304

/* --- system calls ---------------------------------------------------------------------------- */

/* An argument that the kernel takes for an int: it does not look at the other half, where syscall()
 * may leave anything. */
static uint32_t int_of(const struct look *look, unsigned arg)
{
	return (uint32_t)look->arg[arg];
}

/* Nothing is polled: a way to sleep. */
static bool waits_for_nothing(const struct look *look)
{
#ifdef SYS_poll
	if ((look->nr == SYS_poll && int_of(look, 1) == 0) ||
	    (look->nr == SYS_select && int_of(look, 0) == 0))
		return true;
#endif
	return (look->nr == SYS_ppoll && int_of(look, 1) == 0) ||
	       (look->nr == SYS_pselect6 && int_of(look, 0) == 0);
}

static bool polls_one(const struct look *look)
{
#ifdef SYS_poll
	if (look->nr == SYS_poll && int_of(look, 1) == 1)
		return true;
#endif
	return look->nr == SYS_ppoll && int_of(look, 1) == 1;
}

static void say_call(const struct look *look, struct thread_state *out)
{
	const struct thread_call *call = thread_calls_find(look->nr);
	struct buf b = buf_bounded(out->call, sizeof(out->call));

	if (waits_for_nothing(look)) {
		out->word = "sleep";
	} else if (polls_one(look)) {
		out->word = "IO wait";
	} else if (call != NULL && call->word != NULL) {
		out->word = call->word;
	} else {
		buf_string(&b, "syscall ");
		if (call != NULL)
			buf_string(&b, call->name);
		else
			buf_signed(&b, look->nr);
		buf_end(&b);
		out->word = out->call;
	}
}

/* --- who waits on a futex -------------------------------------------------------------------- */

enum waiter { WAITS_MUTEX, WAITS_READ, WAITS_WRITE, WAITS_COND, WAITS_SEM, WAITS_BARRIER,
	      WAITS_END, WAITS_PI, WAITS_OTHER_MUTEX, WAITS_OTHER_READ, WAITS_OTHER_WRITE,
	      WAITS_OTHER_COND, WAITS_SOMETHING };

/* Names without underscores in front: libc has some of them twice. */
static const struct { const char *name; enum waiter waiter; } libc[] = {
	{ "pthread_mutex_lock", WAITS_MUTEX }, { "pthread_mutex_timedlock", WAITS_MUTEX },
	{ "pthread_mutex_clocklock", WAITS_MUTEX }, { "mtx_lock", WAITS_MUTEX },
	{ "mtx_timedlock", WAITS_MUTEX }, { "pthread_rwlock_rdlock", WAITS_READ },
	{ "pthread_rwlock_timedrdlock", WAITS_READ }, { "pthread_rwlock_clockrdlock", WAITS_READ },
	{ "pthread_rwlock_wrlock", WAITS_WRITE }, { "pthread_rwlock_timedwrlock", WAITS_WRITE },
	{ "pthread_rwlock_clockwrlock", WAITS_WRITE }, { "pthread_cond_wait", WAITS_COND },
	{ "pthread_cond_timedwait", WAITS_COND }, { "pthread_cond_clockwait", WAITS_COND },
	{ "cnd_wait", WAITS_COND }, { "cnd_timedwait", WAITS_COND }, { "sem_wait", WAITS_SEM },
	{ "sem_timedwait", WAITS_SEM }, { "sem_clockwait", WAITS_SEM },
	{ "pthread_barrier_wait", WAITS_BARRIER }, { "pthread_join", WAITS_END },
	{ "pthread_timedjoin_np", WAITS_END }, { "pthread_clockjoin_np", WAITS_END },
	{ "thrd_join", WAITS_END },
};

/* How Rust's functions end, of std and of parking_lot, in all their versions. */
static const struct { const char *end; enum waiter waiter; } rust[] = {
	{ "Mutex::lock_contended", WAITS_OTHER_MUTEX },
	{ "RawMutex::lock_slow", WAITS_OTHER_MUTEX },
	{ "RwLock::read_contended", WAITS_OTHER_READ },
	{ "RawRwLock::lock_shared_slow", WAITS_OTHER_READ },
	{ "RwLock::write_contended", WAITS_OTHER_WRITE },
	{ "RawRwLock::lock_exclusive_slow", WAITS_OTHER_WRITE },
	{ "Condvar::wait", WAITS_OTHER_COND }, { "Condvar::wait_timeout", WAITS_OTHER_COND },
	{ "Condvar::wait_optional_timeout", WAITS_OTHER_COND },
	{ "Condvar::wait_until_internal", WAITS_OTHER_COND },
};

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n >= e && strcmp(name + n - e, end) == 0;
}

static enum waiter waiter_named(const char *name)
{
	static const char door[] = "wait_in_";
	const char *plain = name + strspn(name, "_");

	if (strncmp(plain, door, sizeof(door) - 1) == 0)        /* hook_locks.h */
		plain += sizeof(door) - 1;

	for (size_t i = 0; i < COUNT_OF(libc); i++)
		if (strcmp(plain, libc[i].name) == 0)
			return libc[i].waiter;
	for (size_t i = 0; i < COUNT_OF(rust); i++)
		if (ends_with(name, rust[i].end))
			return rust[i].waiter;
	return WAITS_SOMETHING;
}

static enum waiter waiter_of(const char *const *name, size_t names)
{
	enum waiter waiter = WAITS_SOMETHING;

	for (size_t i = 0; i < names && waiter == WAITS_SOMETHING; i++)
		if (name[i] != NULL)
			waiter = waiter_named(name[i]);
	return waiter;
}

static bool is_plain_wait(const struct look *look)
{
	return (int_of(look, 1) & FUTEX_CMD_MASK) == FUTEX_WAIT;
}

static bool is_pi_lock(const struct look *look)
{
	uint32_t op = int_of(look, 1) & FUTEX_CMD_MASK;

	/* FUTEX_LOCK_PI2 is of Linux 5.14. */
	return op == FUTEX_LOCK_PI || op == 13;
}

/* The kernel wakes who waits for a thread's end through its tid, by a futex that is not private;
 * the function may have jumped to another one. */
static bool is_end_of_thread(const struct look *look)
{
	return (int_of(look, 1) & FUTEX_PRIVATE_FLAG) == 0 &&
	       (int_of(look, 1) & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET &&
	       int_of(look, 2) > 1 && int_of(look, 2) <= TID_MAX &&
	       os_thread_cpu_ns((int)int_of(look, 2)) != 0;
}

/* From the futex within a pthread_cond_t, one of two words side by side, to its beginning: glibc
 * 2.41 moved them. */
static uintptr_t cond_of(uintptr_t futex)
{
	const char *version = gnu_get_libc_version();
	unsigned minor = 0;

	for (const char *c = version[1] == '.' ? version + 2 : ""; *c >= '0' && *c <= '9'; c++)
		minor = 10 * minor + (unsigned)(*c - '0');
	return (futex & ~(uintptr_t)7) - (version[0] == '2' && minor < 41 ? 40 : 32);
}

static const struct { const char *word; enum thread_lock kind; } says[] = {
	[WAITS_MUTEX] = { "sync.Mutex.Lock", THREAD_LOCK_MUTEX },
	[WAITS_READ] = { "sync.RWMutex.RLock", THREAD_LOCK_RWLOCK },
	[WAITS_WRITE] = { "sync.RWMutex.Lock", THREAD_LOCK_RWLOCK },
	[WAITS_COND] = { "sync.Cond.Wait", THREAD_LOCK_OTHER },
	[WAITS_SEM] = { THREAD_CALLS_ACQUIRE, THREAD_LOCK_OTHER },
	[WAITS_BARRIER] = { "sync.WaitGroup.Wait", THREAD_LOCK_OTHER },
	[WAITS_END] = { "sync.WaitGroup.Wait", THREAD_LOCK_NONE },
	[WAITS_PI] = { "sync.Mutex.Lock", THREAD_LOCK_PI },
	[WAITS_OTHER_MUTEX] = { "sync.Mutex.Lock", THREAD_LOCK_OTHER },
	[WAITS_OTHER_READ] = { "sync.RWMutex.RLock", THREAD_LOCK_OTHER },
	[WAITS_OTHER_WRITE] = { "sync.RWMutex.Lock", THREAD_LOCK_OTHER },
	[WAITS_OTHER_COND] = { "sync.Cond.Wait", THREAD_LOCK_OTHER },
	[WAITS_SOMETHING] = { THREAD_CALLS_ACQUIRE, THREAD_LOCK_OTHER },
};

/* The object that this futex is a part of. */
static uintptr_t lock_of(enum waiter waiter, uintptr_t futex)
{
	switch (waiter) {
	case WAITS_READ:
	case WAITS_WRITE:
		return (futex & ~(uintptr_t)7) - 8;     /* its third word or its fourth */
	case WAITS_COND:
		return cond_of(futex);
	case WAITS_BARRIER:
		return futex - 4;
	case WAITS_END:
		return 0;
	default:
		return futex;
	}
}

static void say_waiter(enum waiter waiter, const struct look *look, struct thread_state *out)
{
	/* Else it is not known which. */
	bool has_futex = look->nr == SYS_futex;

	out->word = says[waiter].word;
	out->kind = says[waiter].kind;
	if (has_futex)
		out->lock = lock_of(waiter, look->arg[0]);
	if (has_futex && waiter == WAITS_END)
		out->ends = (int32_t)look->arg[2];
}

static void say_futex(const struct look *look, enum waiter waiter, struct thread_state *out)
{
	bool pi = is_pi_lock(look), is_two = is_plain_wait(look) && int_of(look, 2) == 2;

	if (waiter == WAITS_SOMETHING && is_end_of_thread(look))
		waiter = WAITS_END;
	else if (waiter == WAITS_SOMETHING && pi)
		waiter = WAITS_PI;
	/* glibc's, Rust's and most others' mutexes are 2 while somebody waits. */
	else if (waiter == WAITS_SOMETHING && int_of(look, 2) == 2)
		waiter = WAITS_OTHER_MUTEX;
	/* pthread_cond_wait, awake, wants its mutex back: as pthread_mutex_lock does. */
	else if (waiter == WAITS_COND && (pi || is_two))
		waiter = WAITS_MUTEX;
	say_waiter(waiter, look, out);
}

/* A wait that a signal has stopped for a moment goes on as restart_syscall, which does not say
 * which one it was. */
static void say_restarted(const struct look *look, enum waiter waiter, const char *const *name,
			  size_t names, struct thread_state *out)
{
	if (waiter != WAITS_SOMETHING) {
		say_waiter(waiter, look, out);
		return;
	}
	for (size_t i = 0; i < names; i++) {
		const struct thread_call *call =
			name[i] != NULL ? thread_calls_named(name[i]) : NULL;

		if (call != NULL && call->word != NULL) {
			out->word = call->word;
			return;
		}
	}
	say_call(look, out);
}

/* --- all of it ------------------------------------------------------------------------------- */

static const char *word_of_letter(char letter)
{
	switch (letter) {
	case 'R':
		return "running";
	case 'T':
	case 't':
		return "stopped";
	default:
		return "waiting";
	}
}

void thread_state_of(const struct look *look, const char *const *name, size_t names,
		     struct thread_state *out)
{
	*out = (struct thread_state){ .word = "running" };
	if (names > THREAD_STATE_NAMES)
		names = THREAD_STATE_NAMES;
	if (look->how == LOOK_HIDDEN || look->letter == 'T' || look->letter == 't')
		out->word = word_of_letter(look->letter);
	else if (look->how != LOOK_BLOCKED)
		out->word = "running";
	else if (look->nr < 0)
		out->word = "page fault";
	else if (look->nr == SYS_futex)
		say_futex(look, waiter_of(name, names), out);
	else if (look->nr == SYS_restart_syscall)
		say_restarted(look, waiter_of(name, names), name, names, out);
	else
		say_call(look, out);
}

/* Where glibc's locks have their owner, since 2.4 and 2.25: __owner, __cur_writer. */
int32_t thread_state_holder(const struct thread_state *s)
{
	static const struct { unsigned offset; uint32_t mask; } owner[] = {
		[THREAD_LOCK_MUTEX] = { 8, UINT32_MAX },
		[THREAD_LOCK_PI] = { 0, FUTEX_TID_MASK },
		[THREAD_LOCK_RWLOCK] = { 24, UINT32_MAX },
	};
	uint32_t tid = 0;

	if (s->lock == 0 || s->kind == THREAD_LOCK_NONE || s->kind == THREAD_LOCK_OTHER ||
	    os_peek(&tid, s->lock + owner[s->kind].offset, sizeof(tid)) < 0)
		return 0;
	tid &= owner[s->kind].mask;
	return tid <= TID_MAX ? (int32_t)tid : 0;
}
