/* Many threads take samples of a few stacks that come again and again, of others that never do, and
 * of some that live, while one gives memory back and reads: at the end all that they counted is
 * there, and while they count no total ever falls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fake/crowd.h"
#include "fake/made_samples.h"
#include "fake/odds.h"
#include "sampler/random.h"
#include "sampler/reclaim.h"

#define WRITERS 6
#define BUDGET  (1u << 20)
#define DEPTH   8
#define KNOWN   40      /* stacks that all know */
#define LIVING  8       /* live at once, of a thread */
#define SECONDS 1.5
#define PATIENCE 60.0   /* on a machine that is busy, until enough has happened */

/* As the heap does: what is given up is added after, and read before, what was taken. */
enum { TAKEN = 0, GIVEN_UP = SITES_VALUES - 2 };

static bool lives(const struct site_row *r)
{
	uint64_t given_up = atomic_load_explicit(&r->value[GIVEN_UP], memory_order_acquire);

	return atomic_load_explicit(&r->value[TAKEN], memory_order_acquire) != given_up;
}

static const struct generations_kind kind = {
	.capture = CAPTURE_HEAP, .rows_eighths = 2, .reclaim_eighths = 2, .samples_eighths = 4,
	.lives = lives, .evicted = COUNT_HEAP_EVICTED,
};

static struct generations table;
static double end_s;
static uint64_t seed;
static _Atomic unsigned writing;
static _Atomic bool enough;
static _Atomic uint64_t taken, told, new_number;

static uint32_t number_of(const frame_t *frame)
{
	return (uint32_t)(frame[0] >> 8);
}

/* Frames can be told from each other, and say whose they are: number << 8 | place. */
static void make(uint64_t number, frame_t frame[DEPTH])
{
	for (unsigned k = 0; k < DEPTH; k++)
		frame[k] = number << 8 | k;
}

static uint32_t take(uint64_t number, uint64_t much)
{
	struct site_key key = { .size = (uint32_t)number };
	frame_t frame[DEPTH];
	uint32_t row;

	make(number, frame);
	threads_begin(CAPTURE_HEAP);
	row = made_sample(&table, frame, DEPTH, &key);
	sites_add(&table.sites, row, TAKEN, much, 7 * much);
	threads_end(CAPTURE_HEAP);
	return row;
}

static bool goes_on(void)
{
	double now_s = crowd_now_s();

	return now_s < end_s || (!enough && now_s < end_s + PATIENCE);
}

static void write_all(unsigned who)
{
	struct { uint32_t row; uint64_t much; } live[LIVING];
	uint64_t random = random_seed(seed + who), sum = 0;

	threads_enter(NULL);
	memset(live, 0, sizeof(live));
	for (unsigned n = 0; n % 64 != 0 || goes_on(); n++) {
		unsigned i = (unsigned)(random_next(&random) >> 61);
		uint64_t much = 1 + (random_next(&random) >> 44);
		bool is_new = random_next(&random) >> 62 != 0;
		uint64_t number = is_new ? KNOWN + atomic_fetch_add(&new_number, 1)
					 : 1 + (random_next(&random) >> 33) % (KNOWN - 1);

		/* Nobody is inside meanwhile: what lives keeps its row. */
		if (live[i].row != 0)
			sites_add(&table.sites, live[i].row, GIVEN_UP, live[i].much, 0);
		live[i].row = take(number, much);
		live[i].much = much;
		sum += much;
	}
	for (unsigned i = 0; i < LIVING; i++)
		if (live[i].row != 0)
			sites_add(&table.sites, live[i].row, GIVEN_UP, live[i].much, 0);
	atomic_fetch_add(&taken, sum);
	threads_leave();
	atomic_fetch_sub(&writing, 1);
}

static void note_move(uint32_t row, void *arg)
{
	(void)arg;
	CROWD_DEMAND(row >= GENERATIONS_ROWS && row < table.sites.rows_max);
	told++;
}

/* What stands on a row is what its stack says. */
static void check_row(const struct site_key *key)
{
	frame_t frame[DEPTH + 1], want[DEPTH];
	unsigned depth = generations_frames(&table, key->stack, frame, DEPTH + 1);

	if (key->stack == GENERATIONS_STACK_EVICTED) {
		CROWD_DEMAND(depth == 1 && frame[0] == FRAME_EVICTED && key->size == 0);
		return;
	}
	make(number_of(frame), want);
	CROWD_DEMAND(depth == DEPTH && key->size == number_of(frame));
	CROWD_DEMAND(memcmp(frame, want, sizeof(want)) == 0);
}

static uint64_t read_all(uint64_t *given_up)
{
	uint64_t sum = 0, value[SITES_VALUES];
	struct site_key key;

	*given_up = 0;
	for (uint32_t row = 1; row < sites_end(&table.sites); row++) {
		if (!sites_read(&table.sites, row, &key, value))
			continue;
		check_row(&key);
		CROWD_DEMAND(value[GIVEN_UP] <= value[TAKEN]);
		CROWD_DEMAND(value[TAKEN + 1] == 7 * value[TAKEN]);
		sum += value[TAKEN];
		*given_up += value[GIVEN_UP];
	}
	return sum;
}

static void run(unsigned who)
{
	uint64_t last = 0, given_up;

	if (who < WRITERS) {
		write_all(who);
		return;
	}
	while (atomic_load(&writing) > 0) {
		uint64_t sum = read_all(&given_up);

		CROWD_DEMAND(sum >= last);
		last = sum;
		table.reclaim.not_before_ns = 0;
		for (int i = 0; i < 20; i++)
			reclaim_go_on(&table, false, note_move, NULL);
		enough = told > 1000 && generations_number(generations_now(&table)) >= 4;
	}
}

static void nothing_is_lost_while_generations_come_and_go(void **state)
{
	uint64_t number, sum, given_up;

	(void)state;
	assert_int_equal(generations_init(&table, &kind, BUDGET), 0);
	writing = WRITERS;
	end_s = crowd_now_s() + SECONDS;
	crowd_run(WRITERS + 1, run);
	crowd_check();
	number = generations_number(generations_now(&table));
	sum = read_all(&given_up);
	crowd_check();
	print_message("%llu generations, %llu new stacks, %llu rows evicted\n",
		      (unsigned long long)number, (unsigned long long)new_number,
		      (unsigned long long)told);
	assert_true(number >= 4 && told > 1000);
	assert_true(sum == taken);
	assert_true(given_up == taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_while_generations_come_and_go),
	};

	seed = odds_seed();
	threads_init(STACK_DEPTH_DEFAULT);
	threads_enter(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
