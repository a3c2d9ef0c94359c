/* The doors of vfork, clone and syscall: which marks they leave, for whose child runs on their data
 * (sampler/self.h). */
#include "preload/hook_clone_x86_64.c"
#include "preload/hook_syscall_x86_64.c"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include <cmocka.h>

struct real real;
_Thread_local struct self self __attribute__((tls_model("initial-exec")));

/* --- what is behind them --------------------------------------------------------------------- */

const uint8_t hook_syscall_has_door[HOOK_SYSCALL_NUMBERS] = {
	[SYS_clone] = HOOK_SYSCALL_SHARES,
	[SYS_setuid] = HOOK_SYSCALL_DOOR,
};

static long got[7];

long hook_syscall_by_door(long nr, long a, long b, long c, long d, long e, long f)
{
	(void)nr, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
	return -7;
}

static long paper_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	const long all[] = { nr, a, b, c, d, e, f };

	for (unsigned i = 0; i < COUNT_OF(all); i++)
		got[i] = all[i];
	return 7;
}

static int paper_vfork(void) { return 5; }

static int paper_clone(real_child child, void *stack, int flags, void *arg, void *a, void *b,
		       void *c)
{
	(void)child, (void)stack, (void)arg, (void)a, (void)b, (void)c;
	return flags;
}

static int begin(void **state)
{
	(void)state;
	real.vfork = real.__vfork = paper_vfork;
	real.clone = real.__clone = paper_clone;
	real.syscall = paper_syscall;
	self.shared = SELF_ALONE;
	return 0;
}

/* --- the doors -------------------------------------------------------------------------------- */

/* The compiler sees what the doors are declared as, and calls nothing else by that name. */
static void *hide(void (*door)(void))
{
	__asm__("" : "+r"(door));
	return (void *)door;
}

/* As what they are for their callers. */
#define AS(paper, door) ((__typeof__(&(paper)))hide(door))

static int by_vfork(void)
{
	return AS(paper_vfork, door_vfork)();
}

static int by_old_vfork(void)
{
	return AS(paper_vfork, door___vfork)();
}

static int by_clone(void)
{
	return AS(paper_clone, door_clone)(NULL, NULL, 5, NULL, NULL, NULL, NULL);
}

static int by_old_clone(void)
{
	return AS(paper_clone, door___clone)(NULL, NULL, 5, NULL, NULL, NULL, NULL);
}

static long by_syscall(long nr) { return AS(paper_syscall, door_syscall)(nr, 1, 2, 3, 4, 5, 6); }

static void each_leaves_its_own_mark(void **state)
{
	static const struct { int (*door)(void); int mark; } doors[] = {
		{ by_vfork, SELF_VFORKED }, { by_old_vfork, SELF_VFORKED },
		{ by_clone, SELF_CLONED }, { by_old_clone, SELF_CLONED },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(doors); i++) {
		self.shared = SELF_ALONE;
		assert_int_equal(doors[i].door(), 5);
		assert_int_equal(self.shared, doors[i].mark);
	}
}

/* Who has cloned has a child for ever, whatever comes after. */
static void none_takes_away_anothers(void **state)
{
	(void)state;
	by_clone();
	by_vfork();
	assert_int_equal(self.shared, SELF_CLONED | SELF_VFORKED);
	by_clone();
	assert_int_equal(self.shared, SELF_CLONED | SELF_VFORKED);
	self.shared = SELF_VFORKED;
	by_syscall(SYS_clone);
	assert_int_equal(self.shared, SELF_CLONED | SELF_VFORKED);
}

static void of_system_calls_only_those_that_share_do(void **state)
{
	(void)state;
	assert_int_equal(by_syscall(SYS_getpid), 7);
	assert_int_equal(by_syscall(SYS_setuid), -7);
	assert_int_equal(by_syscall(-1), 7);
	assert_int_equal(by_syscall(HOOK_SYSCALL_NUMBERS), 7);
	assert_int_equal(self.shared, SELF_ALONE);
	assert_int_equal(by_syscall(SYS_clone), 7);
	assert_int_equal(self.shared, SELF_CLONED);
	assert_int_equal(got[0], SYS_clone);
	for (unsigned i = 1; i < COUNT_OF(got); i++)
		assert_int_equal(got[i], i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_leaves_its_own_mark, begin),
		cmocka_unit_test_setup(none_takes_away_anothers, begin),
		cmocka_unit_test_setup(of_system_calls_only_those_that_share_do, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
