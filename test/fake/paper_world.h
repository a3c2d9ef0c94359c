/* test/fake/paper_world.h -- stands in for sampler/sys_<arch>.c and sampler/looks.c: threads and a
 * clock that exist on paper only.  Each thread goes through stretches of sleeping, running and
 * waiting for a CPU as its program draws them, and the world keeps the truth of where it was.  What
 * our thread does takes time of its own. */
#ifndef TEST_FAKE_PAPER_WORLD_H
#define TEST_FAKE_PAPER_WORLD_H

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fake/odds.h"
#include "sampler/looks.h"
#include "sampler/random.h"
#include "sampler/sys.h"
#include "sampler/threads.h"
#include "sampler/cpu.h"
#include "sampler/wall.h"
#include "sampler/wall_hits.h"

#define WORLD_THREADS 4096
#define WORLD_STACKS  8
#define WORLD_TID(i)  (world.first_tid + (int)(i))
#define WORLD_PC(i)   (0x1000u * ((unsigned)(i) + 1))
#define MS            1000000u

/* The kernel's ticks (CONFIG_HZ=250), unless it has better ones, and the period of threads' CPU
 * timers. */
#define WORLD_TICK_NS  (4 * MS)
#define WORLD_TIMER_NS (10 * MS)
#define WORLD_HITS     4096
/* What our thread's calls cost it. */
#define WORLD_CLOCK_NS 300
#define WORLD_LOOK_NS  30000

struct world_stretch {
	enum wall_state state;
	unsigned        stack;          /* below WORLD_STACKS */
	uint64_t        ns;
};

struct world_thread {
	void (*program)(struct world_thread *t, struct world_stretch *next);
	unsigned step;                  /* the program's */
	struct world_stretch now;
	uint64_t begin_ns;              /* of now */
	uint64_t cpu_ns, wait_ns;       /* before now */
	uint64_t timer_ns;              /* CPU time at which its timer expires */
	uint64_t ticked_ns;             /* the kernel's last tick */
	bool     silent, hidden, gone, zombie;
};

static struct {
	uint64_t now_ns, desk_cpu_ns, random, tick_ns;
	unsigned looks;
	int      first_tid;             /* others in each test: none is known from before */
	bool     wants_hits;
	struct wall_hit hit[WORLD_HITS];
	unsigned hits, hits_taken;
	uint32_t row[WORLD_STACKS];     /* of cpu_table */
	struct world_thread thread[WORLD_THREADS];
	struct thread_slot *slot[WORLD_THREADS];
	unsigned threads;
	uint64_t spent[WALL_OFF_CPU + 1][WORLD_STACKS]; /* the truth */
} world;

/* --- what happens ---------------------------------------------------------------------------- */

static inline uint64_t world_draw(uint64_t lo, uint64_t hi)
{
	return lo + random_next(&world.random) % (hi - lo);
}

static inline void world_hit(struct world_thread *t, uint64_t periods)
{
	unsigned i = (unsigned)(t - world.thread);

	if (!world.wants_hits || t->silent || world.hits == WORLD_HITS)
		return;
	world.hit[world.hits++] = (struct wall_hit){ world.slot[i]->number, WORLD_TID(i),
						     world.row[t->now.stack],
						     periods * WORLD_TIMER_NS };
}

/* The kernel's ticks until then, if it runs. */
static inline void world_tick(struct world_thread *t, uint64_t end_ns)
{
	uint64_t from = t->begin_ns > t->ticked_ns ? t->begin_ns : t->ticked_ns, at;

	if (t->now.state != WALL_ON_CPU)
		return;
	for (at = (from / world.tick_ns + 1) * world.tick_ns; at <= end_ns; at += world.tick_ns) {
		uint64_t cpu_ns = t->cpu_ns + at - t->begin_ns, periods;

		t->ticked_ns = at;
		if (cpu_ns < t->timer_ns)
			continue;
		periods = (cpu_ns - t->timer_ns) / WORLD_TIMER_NS + 1;
		t->timer_ns += periods * WORLD_TIMER_NS;
		world_hit(t, periods);
	}
}

/* How it is now. */
static inline void world_follow(struct world_thread *t)
{
	while (t->begin_ns + t->now.ns <= world.now_ns) {
		world_tick(t, t->begin_ns + t->now.ns);
		world.spent[t->now.state][t->now.stack] += t->now.ns;
		t->cpu_ns += t->now.state == WALL_ON_CPU ? t->now.ns : 0;
		t->wait_ns += t->now.state == WALL_RUNNABLE ? t->now.ns : 0;
		t->begin_ns += t->now.ns;
		t->program(t, &t->now);
	}
	world_tick(t, world.now_ns);
}

/* The truth from here on; what goes on begins anew. */
static inline void world_begin(void)
{
	for (unsigned i = 0; i < world.threads; i++) {
		struct world_thread *t = &world.thread[i];
		uint64_t done;

		world_follow(t);
		done = world.now_ns - t->begin_ns;
		t->cpu_ns += t->now.state == WALL_ON_CPU ? done : 0;
		t->wait_ns += t->now.state == WALL_RUNNABLE ? done : 0;
		t->begin_ns += done;
		t->now.ns -= done;
	}
	memset(world.spent, 0, sizeof(world.spent));
}

/* The truth up to here. */
static inline void world_end(void)
{
	for (unsigned i = 0; i < world.threads; i++) {
		struct world_thread *t = &world.thread[i];

		world_follow(t);
		world.spent[t->now.state][t->now.stack] += world.now_ns - t->begin_ns;
	}
}

static inline struct world_thread *world_add(void (*program)(struct world_thread *,
							      struct world_stretch *))
{
	unsigned i = world.threads++;
	struct world_thread *t = &world.thread[i];

	if (i >= WORLD_THREADS)
		abort();
	*t = (struct world_thread){ .program = program, .begin_ns = world.now_ns };
	t->timer_ns = world_draw(0, WORLD_TIMER_NS);
	program(t, &t->now);
	world.slot[i] = threads_claim();
	world.slot[i]->tid = WORLD_TID(i);
	return t;
}

/* Where the CPU profile counts what is met on this stack. */
static inline uint32_t world_row(unsigned stack)
{
	struct site_key key = { 0 };
	uint64_t now;

	if (cpu_table.kind == NULL && cpu_init(1u << 20) < 0)
		abort();
	now = generations_now(&cpu_table);
	key.stack = generations_stack(now, stacks_child(&generations_at(&cpu_table, now)->stacks, 0,
							modules_frame(WORLD_PC(stack))));
	return generations_row(&cpu_table, now, &key);
}

static inline void world_reset(void)
{
	for (unsigned i = 0; i < world.threads; i++)
		threads_release(world.slot[i]);
	world.tick_ns = WORLD_TICK_NS;
	world.first_tid = 1000000 + (world.first_tid + WORLD_THREADS) % (WORLD_THREADS * 10000);
	world.threads = world.looks = world.hits = world.hits_taken = 0;
	if (world.random == 0)
		world.random = odds_seed() | 1;
	for (unsigned i = 0; i < WORLD_STACKS && world.row[i] == 0; i++)
		world.row[i] = world_row(i);
	/* On from where it was: never back. */
	world.now_ns += world_draw(1000u * MS, 2000u * MS);
}

/* Our thread does as it is told until then, late by up to late_ns. */
static inline void world_run(unsigned hz, uint64_t ns, uint64_t late_ns)
{
	uint64_t end_ns = world.now_ns + ns;

	for (;;) {
		uint64_t due = wall_go_on(hz);

		if (due >= end_ns)
			break;
		if (due > world.now_ns)
			world.now_ns = due;
		world.now_ns += late_ns != 0 ? world_draw(0, late_ns) : 0;
	}
	if (end_ns > world.now_ns)
		world.now_ns = end_ns;
}

static inline void world_settle(void)
{
	uint32_t next = 0;

	while (!wall_settle(&next))
		continue;
}

/* --- what the library asks ------------------------------------------------------------------- */

static inline struct world_thread *world_find(int tid)
{
	return tid >= WORLD_TID(0) && tid < WORLD_TID(world.threads)
		       ? &world.thread[tid - WORLD_TID(0)] : NULL;
}

static inline uint64_t world_cpu_ns(struct world_thread *t)
{
	world_follow(t);
	return t->gone ? 0 : t->cpu_ns + (t->now.state == WALL_ON_CPU ? world.now_ns - t->begin_ns : 0);
}

static inline void world_spend(uint64_t ns)
{
	world.now_ns += ns;
	world.desk_cpu_ns += ns;
}

/* Thread clocks are ~tid << 3 | 6 (os.c). */
static inline long world_clock(int clock, struct timespec *out)
{
	uint64_t ns = world.now_ns;
	struct world_thread *t;

	if (clock < 0 && (t = world_find((int)~((unsigned)clock >> 3 | 0xe0000000u))) != NULL) {
		world_spend(WORLD_CLOCK_NS);
		ns = world_cpu_ns(t);
	} else if (clock < 0) {
		ns = world.desk_cpu_ns;
	}
	*out = (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	return 0;
}

long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (nr == SYS_clock_gettime)
		return world_clock((int)a, (struct timespec *)b);
	result = syscall(nr, a, b, c, d, e, f);
	return result < 0 ? -errno : result;
}

static inline void world_show(struct look *out, unsigned stack, uintptr_t *pc)
{
	pc[0] = WORLD_PC(stack);
	out->depth = 1;
}

enum look_how looks_peek(int tid, struct look *out, uintptr_t *pc, unsigned max)
{
	struct world_thread *t = world_find(tid);

	(void)max;
	world.looks++;
	world_spend(WORLD_LOOK_NS);
	*out = (struct look){ .tid = tid, .how = LOOK_GONE, .name = "paper", .at_ns = world.now_ns };
	if (t == NULL || t->gone)
		return out->how;
	out->cpu_ns = world_cpu_ns(t);
	out->wait_ns = t->wait_ns;
	out->letter = t->zombie ? 'Z' : t->now.state == WALL_OFF_CPU ? 'S' : 'R';
	if (t->hidden)
		return out->how = LOOK_HIDDEN;
	if (t->now.state == WALL_OFF_CPU && !t->zombie)
		world_show(out, t->now.stack, pc);
	if (t->now.state == WALL_OFF_CPU || t->zombie)
		return out->how = LOOK_BLOCKED;
	return out->how = LOOK_SILENT;
}

void wall_hits_want(bool wanted)
{
	world.wants_hits = wanted;
	world.hits = world.hits_taken = 0;
}

void wall_hits_write(uint32_t row, uint64_t ns)
{
	(void)row;
	(void)ns;
}

void wall_hits_after_fork(void) {}
_Atomic bool wall_hits_wanted;

bool wall_hits_take(struct wall_hit *out)
{
	static uint64_t followed_ns;

	if (followed_ns != world.now_ns)
		for (unsigned i = 0; i < world.threads; i++)
			world_follow(&world.thread[i]);
	followed_ns = world.now_ns;
	if (world.hits_taken == world.hits) {
		world.hits = world.hits_taken = 0;
		return false;
	}
	*out = world.hit[world.hits_taken++];
	return true;
}

#endif
