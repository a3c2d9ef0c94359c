#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sampler/births.h"
#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/os.h"
#include "sampler/reclaim.h"
#include "sampler/sample.h"
#include "sampler/self.h"

#define BUDGET (64u << 10)

/* --- what is counted ------------------------------------------------------------------------- */

struct sums { uint64_t created, ended; };

static struct sums sums(void)
{
	struct sums s = { 0, 0 };
	uint64_t value[SITES_VALUES];
	struct site_key key;

	for (uint32_t row = 1; row < sites_end(&births_table.sites); row++)
		if (sites_read(&births_table.sites, row, &key, value)) {
			s.created += value[BIRTHS_CREATED];
			s.ended += value[BIRTHS_ENDED];
		}
	return s;
}

static void assert_sums(uint64_t created, uint64_t ended)
{
	struct sums s = sums();

	assert_int_equal(s.created, created);
	assert_int_equal(s.ended, ended);
	assert_int_equal(births_live(), created - ended);
}

/* The frames of a slot's row, leaf first. */
static unsigned frames_of(const struct thread_slot *slot, frame_t *frame, unsigned max)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;

	assert_true(sites_read(&births_table.sites, slot->birth, &key, value));
	return generations_frames(&births_table, key.stack, frame, max);
}

/* --- creations, each from a stack of its own -------------------------------------------------- */

/* Another profile, whose samples have the same scratch. */
static struct generations other_table;
static bool elsewhere;

/* Both have generations of the same number. */
static void forget_all(void)
{
	births_after_fork();
	generations_after_fork(&other_table);
}

static NOINLINE void sample_elsewhere(void)
{
	static const struct sample_losses losses = { COUNT_HEAP_NO_STACK, COUNT_HEAP_NO_SITE };
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	struct capture *c = threads_capture(CAPTURE_HEAP);
	struct site_key key = { .stack = 0 };

	threads_begin(CAPTURE_HEAP);
	regs_here(&c->regs);
	assert_true(sample_row(c, &bounds, &other_table, &key, &losses) >= GENERATIONS_ROWS);
	threads_end(CAPTURE_HEAP);
}

static NOINLINE struct thread_slot *create(unsigned path);

static NOINLINE struct thread_slot *by_one(unsigned path)
{
	struct thread_slot *s = create(path);

	__asm__ volatile("" ::: "memory");
	return s;
}

static NOINLINE struct thread_slot *by_another(unsigned path)
{
	struct thread_slot *s = create(path);

	__asm__ volatile("nop" ::: "memory");
	return s;
}

static NOINLINE struct thread_slot *create(unsigned path)
{
	struct thread_slot *s;

	if (path <= 1 && elsewhere) {
		sample_elsewhere();
		s = NULL;
	} else if (path > 1) {
		s = path % 2 != 0 ? by_one(path / 2) : by_another(path / 2);
	} else {
		s = threads_claim();
		assert_non_null(s);
		births_begin(s);
	}
	__asm__ volatile("" ::: "memory");
	return s;
}

/* As the scan and the thread's end do it. */
static void end_of(struct thread_slot *s)
{
	births_ended(s);
	threads_release(s);
}

static int start(void **state)
{
	(void)state;
	forget_all();
	threads_capture(CAPTURE_CREATE)->seen = 0;
	count_reset();
	return 0;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void who_is_made_counts_from_before_its_begin_to_its_end(void **state)
{
	struct thread_slot *one = create(5), *other;

	(void)state;
	assert_sums(1, 0);
	assert_int_equal(one->creator, os_gettid());
	assert_true(one->birth >= GENERATIONS_ROWS);
	other = create(5);
	assert_sums(2, 0);
	end_of(one);
	assert_sums(2, 1);
	/* A second end, of whoever came too late, is none. */
	births_ended(one);
	assert_sums(2, 1);
	end_of(other);
	assert_sums(2, 2);
}

static void errno_is_kept(void **state)
{
	(void)state;
	errno = 77;
	end_of(create(3));
	assert_int_equal(errno, 77);
}

static void the_stack_is_that_of_the_creator(void **state)
{
	frame_t one[64], other[64], again[64];
	struct thread_slot *s[] = { create(9), create(10), create(9) };
	unsigned n = frames_of(s[0], one, COUNT_OF(one));

	(void)state;
	assert_true(n > 4);
	assert_int_not_equal(s[0]->birth, s[1]->birth);
	assert_int_equal(frames_of(s[1], other, COUNT_OF(other)), n);
	/* The last two calls are those of this function. */
	assert_memory_not_equal(one, other, n * sizeof(*one));
	assert_int_equal(frames_of(s[2], again, COUNT_OF(again)), n);
	assert_memory_equal(one, again, 5 * sizeof(*one));
	for (unsigned i = 0; i < COUNT_OF(s); i++)
		end_of(s[i]);
}

/* What the thread remembers of its last stack is of another profile: nodes of another table. */
static void a_sample_of_another_profile_before_changes_nothing(void **state)
{
	frame_t want[64], got[64];
	struct thread_slot *s;
	unsigned n;

	(void)state;
	for (unsigned path = 16; path < 48; path++) {
		forget_all();
		s = create(path);
		n = frames_of(s, want, COUNT_OF(want));
		end_of(s);
		forget_all();
		elsewhere = true;
		create(path);
		elsewhere = false;
		s = create(path);
		assert_int_equal(frames_of(s, got, COUNT_OF(got)), n);
		/* But for where this function called it from. */
		for (unsigned i = 0, differ = 0; i < n; i++)
			assert_true((differ += got[i] != want[i]) <= 1);
		end_of(s);
	}
}

static void who_is_met_is_counted_once_and_said_to_be_unseen(void **state)
{
	struct thread_slot *s = threads_claim();
	frame_t frame[4];

	(void)state;
	assert_false(births_are_due());
	threads_set_tid(s, os_getpid() + 1);
	assert_true(births_are_due());
	births_met(s);
	births_met(s);
	assert_false(births_are_due());
	assert_sums(1, 0);
	assert_int_equal(frames_of(s, frame, 4), 1);
	assert_int_equal(frame[0], FRAME_BIRTH_UNSEEN);
	end_of(s);
	assert_sums(1, 1);
	s = threads_claim();
	threads_set_tid(s, os_getpid());
	births_met(s);
	assert_int_equal(frames_of(s, frame, 4), 1);
	assert_int_equal(frame[0], FRAME_BIRTH_MAIN);
	end_of(s);
	/* One that was made here is counted already. */
	s = create(4);
	births_met(s);
	assert_sums(3, 2);
	end_of(s);
}

static void it_is_known_who_made_a_thread(void **state)
{
	struct thread_slot *s = create(6), *unseen = threads_claim();
	uint64_t now = os_monotonic_ns();
	struct thread_birth b;

	(void)state;
	threads_set_tid(s, 1000001);
	threads_set_tid(unseen, 1000002);
	births_met(unseen);
	s->start = (void *(*)(void *))(void (*)(void))end_of;
	assert_true(births_of(1000001, &b));
	assert_int_equal(b.creator, os_gettid());
	assert_int_equal(b.start, (uintptr_t)end_of);
	assert_in_range(b.born_ns, now - 1000000000, now);
	assert_int_equal(births_table.sites.row[s->birth].stack, b.stack);
	assert_false(births_of(1000002, &b));
	assert_false(births_of(1000003, &b));
	end_of(s);
	assert_false(births_of(1000001, &b));
	end_of(unseen);
}

/* A tid that is used again before the scan has seen that its first owner left. */
static void of_two_threads_with_one_tid_the_newer_one_is_meant(void **state)
{
	struct thread_slot *old = create(12), *new = create(13), *third = create(14);
	struct thread_birth b;

	(void)state;
	threads_set_tid(old, 1000001);
	new->born_ns = old->born_ns + 1;
	threads_set_tid(new, 1000001);
	assert_ptr_equal(threads_find(1000001), new);
	/* A third one takes the hint: now all are looked through. */
	threads_set_tid(third, 1000001 + 4096);
	assert_ptr_equal(threads_find(1000001), new);
	assert_true(births_of(1000001, &b));
	assert_int_equal(births_table.sites.row[new->birth].stack, b.stack);
	end_of(old);
	end_of(new);
	end_of(third);
}

static void where_no_stack_can_be_taken_the_sum_is_right(void **state)
{
	struct thread_slot *s;

	(void)state;
	threads_begin(CAPTURE_CREATE);
	self.slot->visit[CAPTURE_CREATE].frame = 0;
	s = create(3);
	threads_end(CAPTURE_CREATE);
	assert_int_equal(s->birth, GENERATIONS_NO_ROOM);
	assert_int_equal(count_get(COUNT_CREATE_NESTED), 1);
	assert_sums(1, 0);
	end_of(s);
	assert_sums(1, 1);
}

static void nobody_moved(uint32_t row, void *unused)
{
	(void)row;
	(void)unused;
}

/* The budget has room for a hundred rows. */
static void rows_of_the_living_stay_and_of_the_dead_come_back(void **state)
{
	enum { LIVING = 5, DEAD = 3000 };
	struct thread_slot *living[LIVING];
	frame_t before[LIVING][64], after[64];
	unsigned depth[LIVING];

	(void)state;
	for (unsigned i = 0; i < LIVING; i++) {
		living[i] = create(100 + i);
		depth[i] = frames_of(living[i], before[i], 64);
	}
	for (unsigned i = 0; i < DEAD; i++) {
		end_of(create(1000 + i));
		reclaim_go_on(&births_table, false, nobody_moved, NULL);
	}
	assert_true(generations_number(births_table.now) > 2);
	assert_sums(LIVING + DEAD, DEAD);
	for (unsigned i = 0; i < LIVING; i++) {
		assert_int_equal(frames_of(living[i], after, 64), depth[i]);
		assert_memory_equal(after, before[i], depth[i] * sizeof(*after));
		end_of(living[i]);
	}
	assert_sums(LIVING + DEAD, LIVING + DEAD);
	printf("%d of %d without room\n",
	       (int)(count_get(COUNT_CREATE_NO_STACK) + count_get(COUNT_CREATE_NO_SITE)), DEAD);
}

static void without_memory_nothing_is_counted(void **state)
{
	const struct generations_kind *kind = births_table.kind;
	struct thread_slot *s;

	(void)state;
	births_table.kind = NULL;
	s = create(3);
	assert_int_equal(s->birth, 0);
	assert_false(births_are_due());
	births_met(s);
	end_of(s);
	births_table.kind = kind;
	assert_sums(0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(who_is_made_counts_from_before_its_begin_to_its_end, start),
		cmocka_unit_test_setup(errno_is_kept, start),
		cmocka_unit_test_setup(the_stack_is_that_of_the_creator, start),
		cmocka_unit_test_setup(a_sample_of_another_profile_before_changes_nothing, start),
		cmocka_unit_test_setup(who_is_met_is_counted_once_and_said_to_be_unseen, start),
		cmocka_unit_test_setup(it_is_known_who_made_a_thread, start),
		cmocka_unit_test_setup(of_two_threads_with_one_tid_the_newer_one_is_meant, start),
		cmocka_unit_test_setup(where_no_stack_can_be_taken_the_sum_is_right, start),
		cmocka_unit_test_setup(rows_of_the_living_stay_and_of_the_dead_come_back, start),
		cmocka_unit_test_setup(without_memory_nothing_is_counted, start),
	};

	threads_init(64);
	sample_init(UNWIND_AUTO);
	if (births_init(BUDGET) < 0 || generations_init(&other_table, births_table.kind, 1u << 20) < 0 ||
	    modules_scan(false) < 0)
		return 1;
	threads_enter(NULL);
	self.slot->birth = 1;           /* this thread is none of those that are counted here */
	self.slot->stack_hi = (uintptr_t)__builtin_frame_address(0) + 256;
	self.slot->stack_lo = self.slot->stack_hi - (1u << 20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
