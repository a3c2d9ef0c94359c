/* Many threads put the same stacks into an empty table at once, again and again: only then do they
 * meet on the same words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fake/crowd.h"
#include "sampler/random.h"
#include "sampler/stacks.h"
#include "fake/stacks_add.h"

#define THREADS 8
#define STACKS  2000
#define DEPTH   12
#define SECONDS 1.0

static struct stacks stacks;
static uint64_t round_seed;
static uint32_t id_of[THREADS][STACKS];

/* Stack number i of this round: overlapping, for there are few different frames. */
static unsigned make(uint64_t i, frame_t frame[DEPTH])
{
	uint64_t random = random_seed(round_seed ^ i << 20);
	unsigned depth = 1 + (unsigned)(random_next(&random) % DEPTH);

	for (unsigned k = 0; k < depth; k++)
		frame[k] = 0x1000 + random_next(&random) % 6;
	return depth;
}

static void add_all(unsigned who)
{
	frame_t frame[DEPTH], got[DEPTH];
	/* Odd threads go the other way round, each from a place of its own. */
	uint64_t step = who % 2 != 0 ? STACKS - 1 : 1, i = who / 2 * (STACKS / 64);

	for (unsigned n = 0; n < STACKS; n++, i = (i + step) % STACKS) {
		unsigned depth = make(i, frame);

		id_of[who][i] = stacks_add(&stacks, frame, depth);
		/* What was given out can be read at once, whoever has written it. */
		CROWD_DEMAND(stacks_frames(&stacks, id_of[who][i], got, DEPTH) == depth);
		CROWD_DEMAND(memcmp(got, frame, depth * sizeof(*got)) == 0);
	}
}

/* Every stack has one id, the same for all threads, and no node is published twice. */
static void check_ids(void)
{
	static uint8_t published[1u << 20];
	frame_t frame[DEPTH], got[DEPTH];

	memset(published, 0, sizeof(published));
	for (unsigned i = 0; i < STACKS; i++) {
		unsigned depth = make(i, frame);

		assert_int_not_equal(id_of[0][i], 0);
		for (unsigned who = 1; who < THREADS; who++)
			assert_int_equal(id_of[who][i], id_of[0][i]);
		assert_int_equal(stacks_frames(&stacks, id_of[0][i], got, DEPTH), depth);
		assert_memory_equal(got, frame, depth * sizeof(*got));
	}
	for (size_t at = 0; at < levels_words(&stacks.index); at++) {
		uint32_t id = (uint32_t)stacks.index.words[at];

		assert_true(id <= stacks_nodes(&stacks) && id < sizeof(published));
		assert_int_equal(published[id], 0);
		published[id] = id != 0;
	}
}

static void no_two_words_hold_the_same_node(void)
{
	for (size_t at = 0; at < levels_words(&stacks.index); at++) {
		uint32_t id = (uint32_t)stacks.index.words[at];
		frame_t path[DEPTH];
		unsigned depth;

		if (id == 0)
			continue;
		depth = stacks_frames(&stacks, id, path, DEPTH);
		assert_in_range(depth, 1, DEPTH);
		assert_int_equal(stacks_add(&stacks, path, depth), id);
	}
}

/* Empty again.  The nodes are left dirty, as no real table is: a node that is read before it was
 * written shows. */
static void empty_the_table(void)
{
	memset(stacks.node, 0xee, (stacks_nodes(&stacks) + 1) * sizeof(*stacks.node));
	memset((void *)(uintptr_t)stacks.index.words, 0, levels_words(&stacks.index) * 8);
	stacks.nodes = 1;
}

static void a_stack_gets_one_id_however_many_threads_add_it(void **state)
{
	double end = crowd_now_s() + SECONDS;

	(void)state;
	assert_int_equal(stacks_init(&stacks, 4u << 20), 0);
	do {
		round_seed++;
		crowd_run(THREADS, add_all);
		crowd_check();
		check_ids();
		no_two_words_hold_the_same_node();
		empty_the_table();
	} while (crowd_now_s() < end);
	print_message("%u rounds\n", (unsigned)round_seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_gets_one_id_however_many_threads_add_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
