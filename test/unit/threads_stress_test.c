/* Threads come and go, some with a slot from the door of their maker, some by themselves, while
 * others look for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <string.h>

#include "fake/crowd.h"
#include "sampler/count.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/threads.h"

#define MAKERS  6
#define THREADS (MAKERS + 2)
#define BROOD   30      /* threads of a maker at a time: more than a chunk in all */
#define DEPTH   16
#define SECONDS 1.0

static _Atomic unsigned making;
static _Atomic unsigned born;

/* What it keeps is its own as long as it lives; the scratch, as long as it has it. */
static void live(void)
{
	uintptr_t mine = (uintptr_t)self.tid;
	struct scratch *s[CAPTURE_KINDS];

	for (int kind = 0; kind < CAPTURE_KINDS; kind++) {
		struct capture *c = threads_capture(kind);

		s[kind] = scratch_take(&c->scratch);
		for (unsigned i = 0; i < DEPTH; i++)
			c->seen_pc[i] = s[kind]->pc[i] = mine + i + (uintptr_t)kind * 1000;
	}
	sched_yield();
	for (int kind = 0; kind < CAPTURE_KINDS; kind++) {
		struct capture *c = threads_capture(kind);

		for (unsigned i = 0; i < DEPTH; i++) {
			CROWD_DEMAND(c->seen_pc[i] == mine + i + (uintptr_t)kind * 1000);
			CROWD_DEMAND(s[kind]->pc[i] == mine + i + (uintptr_t)kind * 1000);
		}
		/* Now and then it ends in the middle. */
		if (mine % 8 != 0)
			scratch_give(&c->scratch);
	}
}

static void *be_born(void *slot)
{
	threads_enter(slot);
	atomic_fetch_add(&born, 1);
	CROWD_DEMAND(self.phase == SELF_READY && self.slot != NULL);
	CROWD_DEMAND(slot == NULL || self.slot == slot);
	CROWD_DEMAND(self.tid == os_gettid());
	CROWD_DEMAND(threads_find(self.tid) == self.slot);
	live();
	CROWD_DEMAND(self.slot->tid == self.tid);
	threads_leave();
	CROWD_DEMAND(self.phase == SELF_GONE && self.slot == NULL);
	return NULL;
}

static void make_threads(void)
{
	double end = crowd_now_s() + SECONDS;
	pthread_t brood[BROOD];

	do {
		for (unsigned i = 0; i < BROOD; i++) {
			struct thread_slot *slot = i % 2 != 0 ? threads_claim() : NULL;

			CROWD_DEMAND(i % 2 == 0 || slot != NULL);
			if (pthread_create(&brood[i], NULL, be_born, slot) != 0)
				abort();
		}
		for (unsigned i = 0; i < BROOD; i++)
			pthread_join(brood[i], NULL);
	} while (crowd_now_s() < end);
	atomic_fetch_sub(&making, 1);
}

static bool count_slot(struct thread_slot *slot, void *arg)
{
	CROWD_DEMAND(slot->timer == 0);
	++*(unsigned *)arg;
	return true;
}

static void look_around(void)
{
	while (atomic_load(&making) > 0) {
		unsigned n = 0;

		threads_each(count_slot, &n);
		/* Whoever leaves during the walk may be counted twice: in its slot, and its
		 * heir. */
		CROWD_DEMAND(n <= 2 * MAKERS * BROOD);
		(void)threads_find(1);
	}
}

static void run(unsigned who)
{
	if (who < MAKERS)
		make_threads();
	else
		look_around();
}

static bool any(struct thread_slot *slot, void *arg)
{
	(void)slot;
	*(bool *)arg = true;
	return false;
}

static void no_two_threads_ever_share_a_slot(void **state)
{
	bool left = false;

	(void)state;
	threads_init(DEPTH);
	making = MAKERS;
	crowd_run(THREADS, run);
	crowd_check();
	threads_each(any, &left);
	assert_false(left);
	assert_int_equal(count_get(COUNT_THREAD_NO_SLOT), 0);
	assert_true(born >= MAKERS * BROOD);
	print_message("%u threads\n", born);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_threads_ever_share_a_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
