#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "fake/child.h"
#include "fake/sys_refused.h"
#include "fuzz/wall.h"
#include "sampler/count.h"
#include "sampler/os.h"

#define PAGE 4096u

/* --- mappings -------------------------------------------------------------------------------- */

static void mapped_memory_is_zero_ours_and_gone_when_unmapped(void **state)
{
	char *p = os_map(3 * PAGE), byte;

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % PAGE, 0);
	for (size_t i = 0; i < 3 * PAGE; i++)
		assert_int_equal(p[i], 0);
	memset(p, 7, 3 * PAGE);
	os_unmap(p, 3 * PAGE);
	assert_int_equal(os_peek(&byte, (uintptr_t)p, 1), -EFAULT);
}

static void mapped_memory_grows_with_what_is_in_it(void **state)
{
	static const size_t sizes[] = { 5, PAGE, 3 * PAGE + 1, 64 * PAGE, 2u << 20, 4u << 20,
					(8u << 20) + 5 };
	uint64_t before = os_mapped_bytes();
	char *p = os_map(1), byte;
	size_t size = 1;

	(void)state;
	p[0] = 7;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		p = os_grow(p, size, sizes[i]);
		assert_non_null(p);
		for (size_t at = size; at < sizes[i]; at++)
			assert_int_equal(p[at], 0);
		assert_int_equal(p[size - 1], 7);
		size = sizes[i];
		p[size - 1] = 7;
		assert_in_range(os_mapped_bytes() - before, size, size + 2 * PAGE);
	}
	sys_refuse(SYS_mremap, 1, -ENOMEM);
	assert_null(os_grow(p, size, 2 * size));
	sys_refuse(0, 0, 0);
	assert_int_equal(p[size - 1], 7);
	os_unmap(p, size);
	assert_int_equal(os_mapped_bytes(), before);
	assert_int_equal(os_peek(&byte, (uintptr_t)p + size - 1, 1), -EFAULT);
}

static char *kept, *wiped;

static void look_in_child(void)
{
	CHILD_DEMAND(kept[0] == 7 && kept[PAGE] == 7);
	CHILD_DEMAND(wiped[0] == 0 && wiped[PAGE] == 0);
}

static void a_fork_child_finds_zeros_where_it_shall(void **state)
{
	(void)state;
	kept = os_map(2 * PAGE);
	wiped = os_map_wiped(2 * PAGE);
	memset(kept, 7, 2 * PAGE);
	memset(wiped, 7, 2 * PAGE);
	assert_child(look_in_child);
	assert_int_equal(wiped[PAGE], 7);
	os_unmap(kept, 2 * PAGE);
	os_unmap(wiped, 2 * PAGE);
}

static void a_reserve_is_one_mapping_for_many(void **state)
{
	char *a, *b, *c, *d;

	(void)state;
	sys_refuse(SYS_mmap, 0, 0);
	os_reserve_wiped(3 * PAGE);
	a = os_map_wiped(PAGE - 1);
	b = os_map_wiped(PAGE);
	assert_int_equal(sys_refused.seen, 1);
	c = os_map_wiped(2 * PAGE);             /* no room: for itself */
	assert_int_equal(sys_refused.seen, 2);
	d = os_map_wiped(PAGE);
	assert_int_equal(sys_refused.seen, 2);
	assert_ptr_equal(b, a + PAGE);
	assert_ptr_equal(d, b + PAGE);
	memset(a, 7, 3 * PAGE);
	memset(c, 7, 2 * PAGE);
	wiped = b;
	kept = os_map(2 * PAGE);
	memset(kept, 7, 2 * PAGE);
	assert_child(look_in_child);
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	os_reserve_wiped(3 * PAGE);
	assert_null(os_map_wiped(PAGE));
	sys_refuse(0, 0, 0);
	os_unmap(a, 3 * PAGE);
	os_unmap(c, 2 * PAGE);
	os_unmap(kept, 2 * PAGE);
}

/* Also where the kernel does not take it: a host has locked its memory, say. */
static void memory_that_was_cleared_is_zero(void **state)
{
	char *p = os_map(3 * PAGE);
	unsigned char in_core;

	(void)state;
	for (int refused = 0; refused < 2; refused++) {
		memset(p, 7, 3 * PAGE);
		sys_refuse(refused ? SYS_madvise : 0, refused, -EINVAL);
		os_clear(p, 2 * PAGE - 5);
		sys_refuse(0, 0, 0);
		assert_int_equal(mincore(p, PAGE, &in_core), 0);
		assert_int_equal(in_core & 1, refused);
		for (size_t i = 0; i < 2 * PAGE - 5; i++)
			assert_int_equal(p[i], 0);
		assert_int_equal(p[2 * PAGE], 7);
	}
	os_unmap(p, 3 * PAGE);
}

static void refused_memory_is_counted(void **state)
{
	uint64_t before = count_get(COUNT_MAP_REFUSED);

	(void)state;
	errno = 77;
	assert_null(os_map(SIZE_MAX / 2));
	assert_null(os_map(0));
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	assert_null(os_map(PAGE));
	sys_refuse(0, 0, 0);
	assert_int_equal(count_get(COUNT_MAP_REFUSED), before + 3);
	assert_int_equal(errno, 77);
}

/* Budgets are reserved at start: more of it than there is memory must be no problem. */
static void memory_that_is_not_touched_costs_nothing(void **state)
{
	FILE *overcommit = fopen("/proc/sys/vm/overcommit_memory", "r");
	char *p;

	(void)state;
	if (overcommit == NULL || fgetc(overcommit) == '2')
		skip();         /* this machine reserves all the same */
	fclose(overcommit);
	p = os_map(UINT64_C(64) << 30);
	assert_non_null(p);
	p[UINT64_C(40) << 30] = 1;
	os_unmap(p, UINT64_C(64) << 30);
}

static void a_guard_cannot_be_read(void **state)
{
	char *p = os_map(2 * PAGE), byte;

	(void)state;
	os_guard(p, PAGE);
	assert_int_equal(os_peek(&byte, (uintptr_t)p + PAGE - 1, 1), -EFAULT);
	assert_int_equal(os_peek(&byte, (uintptr_t)p + PAGE, 1), 1);
	assert_false(os_readable((uintptr_t)p));
	os_unmap(p, 2 * PAGE);
}

/* --- peeking --------------------------------------------------------------------------------- */

static void a_peek_copies_what_can_be_read(void **state)
{
	const char *at = wall_copy("0123456789", 10);
	char out[16] = "";

	(void)state;
	assert_int_equal(os_peek(out, (uintptr_t)at, 10), 10);
	assert_memory_equal(out, "0123456789", 10);
	assert_int_equal(os_peek(out, (uintptr_t)at, 0), 0);
	/* Into the wall: never all of it. */
	assert_true(os_peek(out, (uintptr_t)at, 11) < 11);
	assert_int_equal(os_peek(out, (uintptr_t)at + 10, 1), -EFAULT);
	assert_int_equal(os_peek(out, 0, 1), -EFAULT);
	assert_int_equal(os_peek(out, UINTPTR_MAX - 4, 4), -EFAULT);
	assert_int_equal(os_peek(NULL, (uintptr_t)at, 4), -EFAULT);
}

/* "12 (name) Z ...": the main thread has gone, its process has not. */
static bool main_has_left(void)
{
	char stat[512] = "";
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, stat, sizeof(stat) - 1);

	close(fd);
	return n > 0 && strstr(stat, ") Z ") != NULL;
}

static void *peek_when_main_has_left(void *unused)
{
	const char *text = "main";
	char out[4] = "";

	(void)unused;
	for (int i = 0; i < 10000 && !main_has_left(); i++)
		usleep(1000);
	CHILD_DEMAND(main_has_left());
	CHILD_DEMAND(os_peek(out, (uintptr_t)text, 4) == 4 && memcmp(out, text, 4) == 0);
	_exit(0);
}

static void leave_main(void)
{
	pthread_t thread;

	CHILD_DEMAND(pthread_create(&thread, NULL, peek_when_main_has_left, NULL) == 0);
	pthread_exit(NULL);
}

static void a_thread_can_peek_when_main_has_left(void **state)
{
	(void)state;
	assert_child(leave_main);
}

static void eight_bytes_are_readable_or_not(void **state)
{
	const char *end = wall_copy("", 0), *start = end - WALL_ROOM;

	(void)state;
	errno = 77;
	assert_true(os_readable((uintptr_t)start));
	assert_true(os_readable((uintptr_t)end - 8));
	for (unsigned i = 0; i < 8; i++)
		assert_false(os_readable((uintptr_t)end - i));
	assert_true(os_readable((uintptr_t)end - 2 * PAGE - 3));
	assert_false(os_readable(0));
	assert_false(os_readable(8));
	assert_false(os_readable(UINTPTR_MAX - 7));
	assert_false(os_readable(UINT64_C(1) << 47));
	assert_int_equal(errno, 77);
}

/* It asks by way of the signal mask. */
static void to_ask_changes_no_signal_mask(void **state)
{
	sigset_t before, now, all;

	(void)state;
	sigprocmask(SIG_SETMASK, NULL, &before);
	sigfillset(&all);
	assert_true(os_readable((uintptr_t)&all));
	sigprocmask(SIG_SETMASK, NULL, &now);
	for (int i = 1; i < 65; i++)
		assert_int_equal(sigismember(&before, i), sigismember(&now, i));
}

/* --- clocks ---------------------------------------------------------------------------------- */

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void clocks_are_the_systems(void **state)
{
	uint64_t before, at;

	(void)state;
	before = now(CLOCK_MONOTONIC);
	at = os_monotonic_ns();
	assert_in_range(at, before, now(CLOCK_MONOTONIC));
	before = now(CLOCK_REALTIME);
	at = os_realtime_ns();
	assert_in_range(at, before, now(CLOCK_REALTIME));
	before = now(CLOCK_THREAD_CPUTIME_ID);
	at = os_thread_cpu_ns(os_gettid());
	assert_in_range(at, before, now(CLOCK_THREAD_CPUTIME_ID));
}

static void *tell_tid(void *out)
{
	*(int *)out = os_gettid();
	return NULL;
}

static void a_thread_that_has_gone_has_used_nothing(void **state)
{
	pthread_t thread;
	int tid = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, tell_tid, &tid), 0);
	pthread_join(thread, NULL);
	assert_true(tid > 0 && tid != os_gettid());
	for (int i = 0; i < 1000 && syscall(SYS_tgkill, getpid(), tid, 0) == 0; i++)
		usleep(1000);
	assert_int_equal(os_thread_cpu_ns(tid), 0);
	assert_int_equal(os_getpid(), getpid());
}

static void a_poll_waits_as_long_as_it_is_told(void **state)
{
	uint64_t before = now(CLOCK_MONOTONIC);

	(void)state;
	assert_int_equal(os_poll(NULL, 0, 20000000), 0);
	assert_true(now(CLOCK_MONOTONIC) - before >= 20000000);
	assert_true(now(CLOCK_MONOTONIC) - before < 10000000000u);
}

/* --- timers ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t ticks, ticks_elsewhere;    /* periods: a late tick is for some */
static int ticking_tid;
static char cookie;

static void on_tick(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	if (info->si_code == SI_TIMER && info->si_value.sival_ptr == &cookie &&
	    os_gettid() == ticking_tid)
		ticks += 1 + info->si_overrun;
	else
		ticks_elsewhere++;
}

/* A sanitizer hands on only the last of those that wait. */
#ifdef __SANITIZE_THREAD__
#define TICKS_MIN 1
#else
#define TICKS_MIN 20
#endif

static void burn(uint64_t ns)
{
	uint64_t start = os_thread_cpu_ns(os_gettid());

	while (os_thread_cpu_ns(os_gettid()) - start < ns) {
#ifdef __SANITIZE_THREAD__
		usleep(0);      /* only at such a call are signals handed on */
#endif
	}
}

/* On a busy machine few of the kernel's ticks find a thread running: it takes as long as it takes. */
static void a_timer_ticks_on_its_thread_while_that_uses_cpu(void **state)
{
	struct sigaction action = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART };
	uint64_t began, used;
	int timer, seen;

	(void)state;
	assert_int_equal(sigaction(SIGPROF, &action, NULL), 0);
	ticking_tid = os_gettid();
	timer = os_timer_create(ticking_tid, &cookie);
	assert_true(timer >= 0);
	burn(20000000);
	assert_int_equal(ticks, 0);
	began = os_thread_cpu_ns(ticking_tid);
	assert_int_equal(os_timer_set(timer, 1000000, 5000000), 0);
	do {
		burn(150000000);
		used = os_thread_cpu_ns(ticking_tid) - began;
	} while (ticks < TICKS_MIN && used < 20000000000);
	assert_int_equal(os_timer_set(timer, 0, 0), 0);
	seen = ticks;
	used = os_thread_cpu_ns(ticking_tid) - began;
	assert_in_range(seen, TICKS_MIN, 1 + (used + 4000000) / 5000000);
	burn(50000000);
	assert_int_equal(ticks, seen);
	os_timer_delete(timer);
	assert_int_equal(os_timer_set(timer, 1, 1), -EINVAL);
	assert_int_equal(ticks_elsewhere, 0);
	assert_int_equal(os_timer_create(1 << 29, &cookie), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_memory_is_zero_ours_and_gone_when_unmapped),
		cmocka_unit_test(memory_that_was_cleared_is_zero),
		cmocka_unit_test(mapped_memory_grows_with_what_is_in_it),
		cmocka_unit_test(a_fork_child_finds_zeros_where_it_shall),
		cmocka_unit_test(a_reserve_is_one_mapping_for_many),
		cmocka_unit_test(refused_memory_is_counted),
		cmocka_unit_test(memory_that_is_not_touched_costs_nothing),
		cmocka_unit_test(a_guard_cannot_be_read),
		cmocka_unit_test(a_peek_copies_what_can_be_read),
		cmocka_unit_test(a_thread_can_peek_when_main_has_left),
		cmocka_unit_test(eight_bytes_are_readable_or_not),
		cmocka_unit_test(to_ask_changes_no_signal_mask),
		cmocka_unit_test(clocks_are_the_systems),
		cmocka_unit_test(a_thread_that_has_gone_has_used_nothing),
		cmocka_unit_test(a_poll_waits_as_long_as_it_is_told),
		cmocka_unit_test(a_timer_ticks_on_its_thread_while_that_uses_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
