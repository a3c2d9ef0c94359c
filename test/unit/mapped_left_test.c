/* Doors of mapped memory that are interrupted, and left, after each of their instructions. */
#include "sampler/mapped.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/single_step.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"

#define PAGE   4096u
#define BASE   UINT64_C(0x400000000000) /* where nobody maps anything */
#define BUDGET (1u << 20)

static uint64_t before[SITES_VALUES];
static uint32_t row;                    /* of calls that do not come with a stack */

static uintptr_t page(uint64_t i)
{
	return BASE + i * PAGE;
}

static void sum_up(uint64_t sum[SITES_VALUES])
{
	memset(sum, 0, SITES_VALUES * sizeof(sum[0]));
	for (uint32_t i = 1; i < sites_end(&mapped_table.sites); i++)
		for (unsigned k = 0; k < SITES_VALUES; k++)
			sum[k] += mapped_table.sites.row[i].value[k];
}

/* How it was left is not known yet. */
static void begin(void)
{
	sum_up(before);
}

static uint64_t grown(enum mapped_value which)
{
	uint64_t sum[SITES_VALUES];

	sum_up(sum);
	return sum[which] - before[which];
}

NOINLINE static void add(uint64_t from, uint64_t n)
{
	sites_add(&mapped_table.sites, row, MAPPED_NOTED_OBJECTS, 1, n * PAGE);
	tell(mapped.state, page(from), page(from + n), row, 0);
}

NOINLINE static void take_away(uint64_t from, uint64_t n)
{
	mapped_gone(page(from), n * PAGE, mapped_ticket());
}

/* Objects and pages in use, which are those that the table has. */
static void assert_in_use(uint64_t objects, uint64_t pages)
{
	uint64_t seen = (uint64_t)mapped_seen(0, UINTPTR_MAX);          /* works off what waits */
	uint64_t bytes = grown(MAPPED_ALLOC_BYTES) - grown(MAPPED_FREE_BYTES);

	assert_int_equal(seen, bytes);
	assert_int_equal(mapped.state->ranges.bytes, bytes);
	assert_int_equal(bytes, pages * PAGE);
	assert_int_equal(grown(MAPPED_ALLOC_OBJECTS) - grown(MAPPED_FREE_OBJECTS), objects);
}

/* Nothing is left, and all can be used again: so nothing has got lost of the table either. */
static void assert_whole(void)
{
	take_away(0, 10000);
	assert_in_use(0, 0);
	for (unsigned i = 0; i < mapped.max; i++)
		add(2 * i, 1);
	assert_in_use(mapped.max, mapped.max);
	for (unsigned i = 0; i < mapped.max; i++)
		take_away(2 * i, 1);
	assert_in_use(0, 0);
	assert_int_equal(count_get(COUNT_MMAP_NO_ROOM), 0);
	assert_int_equal(count_get(COUNT_MMAP_LOST), 0);
}

/* --- a handler at each instruction ----------------------------------------------------------- */

/* Not at each in one run: who is put off 1000 times gives up, and counts that.  Address sanitizer
 * makes one try longer than 97 instructions. */
#ifdef __SANITIZE_ADDRESS__
#define EVERY 997
#else
#define EVERY 97
#endif
#define STRIDE (EVERY / 97)

static unsigned first, looks;

static void map_and_unmap(void)
{
	if (single_step.steps % EVERY != first)
		return;
	mapped_new(page(5000), 2 * PAGE);
	take_away(5000, 1);
	take_away(5001, 1);
	looks++;
}

static void map_with_stack(void)
{
	mapped_new(page(0), 8 * PAGE);
}

static void a_handler_may_map_in_the_midst_of_it(void **state)
{
	uint64_t nested = count_get(COUNT_MMAP_NESTED);
	unsigned runs = 0;

	(void)state;
	if (!SINGLE_STEP_WORKS)
		skip();
	begin();
	looks = 0;
	for (first = 0; first < EVERY; first += STRIDE) {
		map_with_stack();
		take_away(2, 2);
		single_step_through(map_with_stack, map_and_unmap);
		assert_in_use(1, 8);
		/* One call more than those of the handler; the older one's parts are gone. */
		runs++;
		assert_int_equal(grown(MAPPED_ALLOC_OBJECTS), looks + 2 * runs);
		assert_int_equal(grown(MAPPED_ALLOC_BYTES), (looks + 8 * runs) * 2 * PAGE);
	}
	assert_true(looks > 1000);
	/* Where the interrupted one was at its stack there can be no other. */
	nested = count_get(COUNT_MMAP_NESTED) - nested;
	assert_in_range(nested, 1, looks - 1);
	assert_whole();
}

/* --- and one that leaves --------------------------------------------------------------------- */

static sigjmp_buf away;
static unsigned leave_at;

static void leave(void)
{
	if (single_step.steps == leave_at)
		siglongjmp(away, 1);
}

/* False: it was not left any more. */
static bool is_left(void (*f)(void), unsigned at)
{
	leave_at = at;
	if (sigsetjmp(away, 1) != 0)
		return true;
	single_step_through(f, leave);
	return false;
}

/* What was there is overwritten, as other calls would: all of it, and no sanitizer's zones about the
 * bytes are left out. */
NOINLINE __attribute__((no_sanitize_address)) static void use_stack(void)
{
	char bytes[4096];

	memset(bytes, 0x55, sizeof(bytes));
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

/* Whoever comes next, two or three times: the table comes back. */
static void go_on(void)
{
	use_stack();
	for (unsigned i = 0; i < 4; i++) {
		add(9000, 1);
		take_away(9000, 1);
	}
}

/* What is there at first: 0-9 and 20-39 in two objects, of which the second has a hole at 30. */
static void prepare(void)
{
	begin();
	add(0, 10);
	add(20, 20);
	take_away(30, 1);
	assert_in_use(2, 29);
}

static void add_over_both(void)
{
	add(5, 20);
}

static void take_from_both(void)
{
	take_away(5, 20);
}

static void make_a_hole(void)
{
	take_away(3, 2);
}

/* Each of some thousand instructions would take minutes: so many of them, as far apart as it takes.
 * Under address sanitizer there are ten times as many. */
#ifdef __SANITIZE_ADDRESS__
#define RUNS 60
#else
#define RUNS 300
#endif

static void do_nothing(void) {}

static unsigned stride_of(void (*f)(void))
{
	unsigned steps;

	prepare();
	steps = single_step_through(f, do_nothing);
	take_away(0, 10000);
	return steps / RUNS + 1;
}

/* Left at any point, it has happened or it has not. */
static void try_all(void (*f)(void), const uint64_t not_yet[2], const uint64_t done[2])
{
	unsigned n = 0, stride = stride_of(f), runs = 0, happened = 0, broken = 0;

	for (bool left = true; left; n += stride, runs++) {
		uint64_t bytes;

		prepare();
		left = is_left(f, n + 1);
		broken += !hold_is_free(&mapped.state->lock);
		go_on();
		assert_true(hold_is_free(&mapped.state->lock));
		assert_false(mapped.state->ranges.broken);
		bytes = (uint64_t)mapped_seen(0, UINTPTR_MAX);
		happened += bytes != not_yet[1] * PAGE;
		if (bytes == not_yet[1] * PAGE)
			assert_in_use(not_yet[0], not_yet[1]);
		else
			assert_in_use(done[0], done[1]);
		take_away(0, 10000);
		assert_in_use(0, 0);
	}
	/* Both, and many times while it had the table. */
	assert_in_range(happened, RUNS / 30, runs - RUNS / 30);
	assert_in_range(broken, RUNS / 6, runs - RUNS / 30);
	assert_whole();
}

static void a_door_may_be_left_anywhere(void **state)
{
	(void)state;
	if (!SINGLE_STEP_WORKS)
		skip();
	try_all(add_over_both, (uint64_t[]){ 2, 29 }, (uint64_t[]){ 3, 39 });
	try_all(take_from_both, (uint64_t[]){ 2, 29 }, (uint64_t[]){ 2, 19 });
	try_all(make_a_hole, (uint64_t[]){ 2, 29 }, (uint64_t[]){ 2, 27 });
}

/* The next one is left, too, at each instruction of its mending. */
static void who_mends_may_be_left_too(void **state)
{
	unsigned broken = 0, begins = 0, stride;
	bool left = true;

	(void)state;
	if (!SINGLE_STEP_WORKS)
		skip();
	stride = 2 * stride_of(make_a_hole);    /* with what is to be mended it is twice as long */
	/* From where on the first one has the table, whatever the compiler has made of it. */
	for (bool held = false; !held; take_away(0, 10000)) {
		prepare();
		(void)is_left(add_over_both, ++begins);
		held = !hold_is_free(&mapped.state->lock);
		go_on();
	}
	for (unsigned n = 0; left; n += stride) {
		uint64_t bytes;

		prepare();
		(void)is_left(add_over_both, begins + n * 11 % 300);
		left = is_left(make_a_hole, n + 1);
		broken += !hold_is_free(&mapped.state->lock);
		go_on();
		bytes = (uint64_t)mapped_seen(0, UINTPTR_MAX);
		assert_int_equal(grown(MAPPED_ALLOC_BYTES) - grown(MAPPED_FREE_BYTES), bytes);
		assert_int_equal(mapped.state->ranges.bytes, bytes);
		take_away(0, 10000);
		assert_in_use(0, 0);
	}
	assert_true(broken > RUNS / 6);
	assert_whole();
}

/* --- and one that forks ---------------------------------------------------------------------- */

static unsigned fork_at, within;
static int told;                        /* of the child: in_child is called, as it is by fork */
static pid_t child;

static void fork_once(void)
{
	if (single_step.steps != fork_at)
		return;
	within += !hold_is_free(&mapped.state->lock);
	child = fork();
	if (child == 0)
		alarm(20);
	if (child != 0 || !told)
		return;
	mapped_in_child();
	self.tid = os_gettid();
	mapped_before_settling();
	threads_after_fork();
	count_reset();
	mapped_after_fork();
}

/* It goes on with what was interrupted, in a table that is empty; then it maps what it likes. */
static bool child_is_well(void)
{
	bool recorded, off = mapped.mine == NULL;

	for (unsigned i = 0; i < 300; i++) {
		mapped_new(page(i), PAGE);
		take_away(i / 2, 2);
	}
	if (!told)
		return true;
	mapped_new(page(1000), PAGE);
	recorded = mapped_seen(page(1000), page(2000)) == PAGE;
	/* What it was about to say is of its parent's time, and lost to it. */
	return recorded == !off && count_get(COUNT_MMAP_LOST) <= 1 &&
	       (!off || count_get(COUNT_MMAP_LOST) == 1);
}

static unsigned fork_everywhere(void (*f)(void))
{
	unsigned stride = stride_of(f), steps = UINT_MAX;

	for (fork_at = 1; fork_at < steps; fork_at += stride) {
		int status;

		prepare();
		child = -1;
		steps = single_step_through(f, fork_once);
		if (child == 0)
			_exit(child_is_well() ? 0 : 1);
		if (child > 0) {
			assert_int_equal(waitpid(child, &status, 0), child);
			assert_int_equal(status, 0);
		}
		take_away(0, 10000);
	}
	return within;
}

/* With the doors of fork, and without (_Fork): a child that begins in the midst of a change neither
 * dies of it nor waits, and if it is told it records nothing. */
static void a_handler_may_fork_anywhere(void **state)
{
	(void)state;
	if (!SINGLE_STEP_WORKS)
		skip();
	for (told = 0; told < 2; told++) {
		within = 0;
		(void)fork_everywhere(make_a_hole);
		(void)fork_everywhere(add_over_both);
		assert_true(within > RUNS / 3);
	}
	assert_whole();
}

static int init(void **state)
{
	struct site_key key = { 0 };
	uint64_t now;

	(void)state;
	threads_init(64);
	if (modules_scan(true) < 0 || mapped_init(BUDGET) < 0)
		return 1;
	threads_enter(NULL);
	now = generations_now(&mapped_table);
	key.stack = generations_stack(now, stacks_child(&generations_at(&mapped_table, now)->stacks,
							0, FRAME_MAPPED_OTHER));
	row = generations_row(&mapped_table, now, &key);
	return self.slot == NULL || row == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_may_map_in_the_midst_of_it),
		cmocka_unit_test(a_door_may_be_left_anywhere),
		cmocka_unit_test(who_mends_may_be_left_too),
		cmocka_unit_test(a_handler_may_fork_anywhere),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
