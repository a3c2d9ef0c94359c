#include "sampler/wall.h"

#include <string.h>

#include "sampler/limits.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/wall_hits.h"
#include "sampler/wall_thread.h"

#define SECOND_NS 1000000000u
#define STEP_NS   1000000u

struct generations wall_table;

static struct {
	unsigned hz;                    /* 0: nobody wants any */
	bool     first;                 /* not all threads were looked at since then */
	uint32_t number;                /* of the slot whose turn is next */
	uint64_t begin_ns;              /* time before this is nobody's */
	uint64_t turned_ns;             /* when the last round was over */
	uint64_t due_ns;
	uint64_t random;
	struct wall_thread *chunk[THREAD_CHUNKS_MAX];   /* as the slots' of threads.c */
} wall;

int wall_init(uint64_t budget_bytes)
{
	/* Nobody but our thread is in this table: which handlers reclaim.h waits for is all one.
	 * Threads sleep on few stacks: what is given up was not met for long. */
	static const struct generations_kind kind = {
		.capture = CAPTURE_TICK,
		.rows_eighths = 2,
		.reclaim_eighths = 6,
		.samples_eighths = 8,
		.evicted = COUNT_REASONS,
	};

	return generations_init(&wall_table, &kind, budget_bytes);
}

/* What was seen of the parent's threads is no child's: none has such a tid, or such a row. */
void wall_after_fork(void)
{
	generations_after_fork(&wall_table);
	wall_hits_after_fork();
	wall.hz = 0;
}

const char *wall_state_name(uint16_t state)
{
	static const char *const names[] = { NULL, "on-cpu", "runnable", "off-cpu" };

	return state < COUNT_OF(names) ? names[state] : NULL;
}

/* NULL: no memory. */
static struct wall_thread *at(uint32_t number)
{
	struct wall_thread **chunk = &wall.chunk[number / THREADS_PER_CHUNK];

	if (*chunk == NULL)
		*chunk = os_map(THREADS_PER_CHUNK * sizeof(**chunk));
	return *chunk != NULL ? *chunk + number % THREADS_PER_CHUNK : NULL;
}

/* Calls f for this slot.  True if a thread is in it. */
static bool visit(uint32_t number, void (*f)(struct wall_thread *t, int tid, uint64_t since_ns,
					     uint64_t now_ns))
{
	const struct thread_slot *slot = threads_at(number);
	struct wall_thread *t = at(number);
	int tid = slot != NULL ? slot->tid : 0;
	uint64_t since_ns = wall.begin_ns;

	if (t == NULL)
		return false;
	/* Nobody has ever been here: there was no such slot when the last round came by. */
	if (t->last_ns == 0 && wall.turned_ns > since_ns)
		since_ns = wall.turned_ns;
	f(t, tid, since_ns, os_monotonic_ns());
	return tid != 0;
}

/* True when all slots have had their turn; false when the time is over. */
static bool go_round(uint32_t *number, uint64_t end_ns,
		     void (*f)(struct wall_thread *t, int tid, uint64_t since_ns, uint64_t now_ns))
{
	uint32_t end = threads_slots();

	while (*number < end)
		if (visit((*number)++, f) && os_monotonic_ns() >= end_ns)
			break;
	if (*number < end)
		return false;
	*number = 0;
	return true;
}

static void take_hits(uint64_t end_ns)
{
	struct wall_hit hit;

	while (os_monotonic_ns() < end_ns && wall_hits_take(&hit)) {
		struct wall_thread *t = at(hit.slot);

		if (t != NULL)
			wall_thread_hit(t, &hit, wall.begin_ns, os_monotonic_ns());
	}
}

/* --- ticks ----------------------------------------------------------------------------------- */

/* From half to three halves of the mean, all alike. */
static uint64_t draw(uint64_t mean_ns)
{
	unsigned __int128 part = (unsigned __int128)mean_ns * random_next(&wall.random);

	return mean_ns / 2 + (uint64_t)(part >> 64);
}

static void start(unsigned hz, uint64_t now_ns)
{
	if (wall.random == 0)
		wall.random = random_seed(now_ns);
	wall.hz = hz;
	wall.first = true;
	wall.number = 0;
	wall.turned_ns = 0;
	wall.due_ns = now_ns + draw(SECOND_NS / hz);
	wall_hits_want(true);
}

static void stop(void)
{
	if (wall.hz != 0)
		wall_hits_want(false);
	wall.hz = 0;
}

static void tick(void)
{
	uint64_t period_ns = SECOND_NS / wall.hz, most_ns = period_ns / WALL_REST;
	uint64_t cpu_ns = os_thread_cpu_ns(0), now_ns = os_monotonic_ns(), rest_ns;
	bool first = wall.first;

	if (first || most_ns > STEP_NS)
		most_ns = STEP_NS;
	take_hits(now_ns + most_ns);
	if (go_round(&wall.number, now_ns + most_ns, wall_thread_look)) {
		wall.first = false;
		wall.turned_ns = os_monotonic_ns();
	}
	rest_ns = (os_thread_cpu_ns(0) - cpu_ns) * (first ? WALL_REST_FIRST : WALL_REST);
	/* The rest of the first round is not put off until the next tick. */
	if (!wall.first && rest_ns < period_ns)
		rest_ns = period_ns;
	wall.due_ns = now_ns + draw(rest_ns);
}

uint64_t wall_go_on(unsigned hz)
{
	uint64_t now_ns = os_monotonic_ns();

	if (wall_table.kind == NULL)    /* there was no memory for it */
		return UINT64_MAX;
	if (hz == 0) {
		stop();
		return UINT64_MAX;
	}
	if (wall.hz == 0) {
		start(hz, now_ns);
	} else if (hz != wall.hz) {
		wall.hz = hz;
		if (wall.due_ns > now_ns + SECOND_NS / hz)
			wall.due_ns = now_ns + draw(SECOND_NS / hz);
	}
	if (now_ns >= wall.due_ns)
		tick();
	return wall.due_ns;
}

bool wall_settle(uint32_t *next)
{
	uint64_t end_ns;

	if (wall.hz == 0) {
		wall.begin_ns = os_monotonic_ns();
		return true;
	}
	end_ns = os_monotonic_ns() + STEP_NS;
	if (*next == 0)
		take_hits(end_ns);
	return go_round(next, end_ns, wall_thread_settle);
}
