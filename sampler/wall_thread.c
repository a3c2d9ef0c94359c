#include "sampler/wall_thread.h"

#include <string.h>

#include "sampler/cpu.h"
#include "sampler/looks.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/sample.h"
#include "sampler/thread_names.h"
#include "sampler/wall_rows.h"

#define ONE RANDOM_WEIGHT_ONE

/* A thread that has used so much CPU without being met by a tick gets none: so many periods, and
 * five ticks of the slowest kernel (CONFIG_HZ=100). */
#define SILENT_PERIODS 10
#define SILENT_NS      50000000

/* Who has run for less than this since it slept was hardly put off its CPU: it has waited for one
 * when it woke up, in the call that it slept in (linux, kernel/sched/fair.c: a slice is 0.7 ms for
 * one processor, 2.8 ms for eight and more). */
#define SLICE_NS 3000000

/* --- what was put off ------------------------------------------------------------------------ */

static uint32_t row_of(const struct wall_thread *t, uint32_t stack, enum wall_state state)
{
	return wall_rows_of(stack, t->name, state);
}

/* What is kept of another generation may be another's by now. */
static void renew(struct wall_thread *t)
{
	uint32_t now = wall_rows_generation();

	if (t->generation == now)
		return;
	t->generation = now;
	t->off_row = t->off_stack = t->run_stack = 0;
}

static uint64_t waited(const struct wall_thread *t)
{
	return t->waited_ns < t->rest_ns ? t->waited_ns : t->rest_ns;
}

static bool has_hardly_run(const struct wall_thread *t)
{
	return t->off_stack != 0 && t->ran_ns < SLICE_NS;
}

/* Of its CPU time so much was on run_stack; wait_ns: has the rest of the looks. */
static void credit_on(struct wall_thread *t, uint64_t on_ns, uint64_t wait_ns)
{
	uint64_t all_ns = on_ns + wait_ns, looks = t->looks;

	if (all_ns != 0)
		looks = t->looks * ((on_ns << 16) / all_ns) >> 16;
	renew(t);
	if (on_ns != 0 || looks != 0)
		wall_rows_credit(row_of(t, t->run_stack, WALL_ON_CPU), looks, on_ns);
	t->on_ns -= on_ns;
	t->looks -= looks;
}

static void credit_waits(struct wall_thread *t, uint64_t wait_ns)
{
	uint32_t stack;

	renew(t);
	stack = has_hardly_run(t) ? t->off_stack : t->run_stack;
	if (wait_ns != 0 || t->looks != 0)
		wall_rows_credit(row_of(t, stack, WALL_RUNNABLE), t->looks, wait_ns);
	t->rest_ns -= wait_ns;
	t->waited_ns = t->looks = 0;
}

static void credit_all(struct wall_thread *t)
{
	uint64_t wait_ns = waited(t);

	if (t->on_ns != 0)
		credit_on(t, t->on_ns, wait_ns);
	credit_waits(t, wait_ns);
	if (t->rest_ns != 0)
		wall_rows_credit(t->off_row != 0 ? t->off_row
						 : row_of(t, t->run_stack, WALL_RUNNABLE),
				 0, t->rest_ns);
	t->rest_ns = 0;
}

/* What has passed since the last look, and whether what was seen then is so. */
struct span { uint64_t begin_ns, passed_ns; bool known; };

static struct span begin(struct wall_thread *t, int tid, uint64_t since_ns, uint64_t now_ns)
{
	uint64_t last_ns = t->last_ns;
	struct span s = { since_ns, 0, t->tid == tid && t->doing != WALL_UNKNOWN };

	/* The last look was for windows that were closed since. */
	if (last_ns < since_ns) {
		t->on_ns = t->waited_ns = t->rest_ns = t->looks = 0;
		s.known = false;
		last_ns = since_ns;
	}
	if (now_ns > last_ns)
		s.passed_ns = now_ns - last_ns;
	if (t->tid != tid) {
		credit_all(t);
		*t = (struct wall_thread){ .tid = tid };
	}
	t->last_ns = now_ns;
	return s;
}

/* True: it is where it was, asleep, and that is credited; or it has ended. */
static bool has_not_run(struct wall_thread *t, uint64_t samples, uint64_t passed_ns)
{
	if ((t->doing != WALL_SLEEPS && t->doing != WALL_ENDED) ||
	    os_thread_cpu_ns(t->tid) != t->cpu_ns)
		return false;
	renew(t);
	if (t->doing == WALL_SLEEPS && t->off_row != 0)
		wall_rows_credit(t->off_row, samples, passed_ns);
	return t->doing == WALL_ENDED || t->off_row != 0;
}

/* --- looks ----------------------------------------------------------------------------------- */

/* What the kernel has counted since the last look. */
static void account(struct wall_thread *t, const struct span *s, uint64_t cpu_ns)
{
	uint64_t on_ns = s->known && cpu_ns > t->cpu_ns ? cpu_ns - t->cpu_ns : 0;

	/* Not known: it counts for what is seen now. */
	if (!s->known && t->doing == WALL_RUNS)
		on_ns = s->passed_ns;
	if (on_ns > s->passed_ns)
		on_ns = s->passed_ns;
	t->on_ns += on_ns;
	t->ran_ns += on_ns;
	t->rest_ns += s->passed_ns - on_ns;
	t->cpu_ns = cpu_ns;
}

static void account_waits(struct wall_thread *t, const struct span *s, uint64_t wait_ns)
{
	if (s->known && wait_ns > t->wait_ns)
		t->waited_ns += wait_ns - t->wait_ns;
	t->wait_ns = wait_ns;
}

static void found_asleep(struct wall_thread *t, const struct wall_stack *w)
{
	struct site_key key = { .thread = t->name, .labels = WALL_OFF_CPU };
	uint64_t wait_ns = waited(t);
	uint32_t row = wall_rows_find(w, &key);

	renew(t);
	t->off_row = row;
	t->off_stack = key.stack;
	wall_rows_credit(row, ONE, t->rest_ns - wait_ns);
	t->rest_ns = wait_ns;
	if (has_hardly_run(t) || t->run_stack == 0) {
		t->ran_ns = 0;
		credit_waits(t, wait_ns);
	}
	t->ran_ns = 0;
}

static void found_running(struct wall_thread *t)
{
	t->looks += ONE;
	if (t->on_ns <= SILENT_NS + SILENT_PERIODS * cpu_period())
		return;
	t->run_stack = 0;
	credit_on(t, t->on_ns, 0);
}

static enum wall_doing doing(const struct look *l)
{
	if (l->how == LOOK_GONE || l->letter == 'Z' || l->letter == 'X')
		return WALL_ENDED;
	if (l->how == LOOK_BLOCKED || (l->how == LOOK_HIDDEN && l->letter != 'R'))
		return WALL_SLEEPS;
	return WALL_RUNS;
}

static uint16_t name_of(const struct look *l)
{
	char name[THREAD_NAME_BYTES] = "";

	for (unsigned i = 0; i < sizeof(name) - 1 && l->name[i] != '\0'; i++)
		name[i] = l->name[i];
	return thread_names_of(name);
}

static void look(struct wall_thread *t, const struct span *s)
{
	static uintptr_t pc[STACK_DEPTH_MAX];           /* our thread's, */
	static frame_t frame[STACK_DEPTH_MAX + 1];      /* too */
	struct wall_stack is = { frame, 0 };
	struct look l;

	(void)looks_peek(t->tid, &l, pc, threads_depth());
	t->doing = (uint8_t)doing(&l);
	if (t->doing == WALL_ENDED) {
		credit_all(t);
		t->cpu_ns = l.how == LOOK_GONE ? 0 : l.cpu_ns;
		return;
	}
	t->name = name_of(&l);
	account(t, s, l.cpu_ns);
	account_waits(t, s, l.wait_ns);
	if (t->doing == WALL_RUNS) {
		found_running(t);
		return;
	}
	while (is.depth < l.depth) {
		frame[is.depth] = modules_frame(pc[is.depth]);
		is.depth++;
	}
	if (is.depth == 0)
		frame[is.depth++] = FRAME_WALL_HIDDEN;
	else if (l.truncated)
		frame[is.depth++] = FRAME_TRUNCATED;
	found_asleep(t, &is);
}

void wall_thread_look(struct wall_thread *t, int tid, uint64_t since_ns, uint64_t now_ns)
{
	struct span s = begin(t, tid, since_ns, now_ns);

	if (tid != 0 && !has_not_run(t, ONE, s.passed_ns))
		look(t, &s);
}

void wall_thread_settle(struct wall_thread *t, int tid, uint64_t since_ns, uint64_t now_ns)
{
	struct span s = begin(t, tid, since_ns, now_ns);

	if (tid == 0)
		return;
	if (has_not_run(t, 0, s.passed_ns)) {
		/* That is counted. */
	} else if (s.known) {
		account(t, &s, os_thread_cpu_ns(tid));
	} else {
		wall_rows_credit(wall_rows_instead(FRAME_WALL_UNSEEN, t->name, WALL_NO_STATE), 0,
				 s.passed_ns);
		t->doing = WALL_UNKNOWN;
	}
	credit_all(t);
}

/* Where it ran for so long.  Of waits that belong to a sleep nothing is known here. */
static void ran_here(struct wall_thread *t, uint64_t ns)
{
	uint64_t on_ns = ns < t->on_ns ? ns : t->on_ns, wait_ns = waited(t);

	if (has_hardly_run(t)) {
		wall_rows_credit(row_of(t, t->run_stack, WALL_ON_CPU), 0, on_ns);
		t->on_ns -= on_ns;
	} else {
		credit_on(t, on_ns, wait_ns);
		credit_waits(t, wait_ns);
	}
}

/* Its CPU time is not read before now, but what it has used since the tick stays for the next one:
 * else who runs on for long would get more. */
void wall_thread_hit(struct wall_thread *t, const struct wall_hit *hit, uint64_t since_ns,
		     uint64_t now_ns)
{
	static frame_t frame[STACK_DEPTH_MAX + 1];      /* our thread's */
	struct wall_stack w = { frame, 0 };
	uint64_t value[SITES_VALUES];
	struct site_key key;
	struct span s;

	if (t->tid != hit->tid || t->doing == WALL_UNKNOWN || t->last_ns < since_ns ||
	    !sites_read(&cpu_table.sites, hit->row, &key, value))
		return;
	s = begin(t, hit->tid, since_ns, now_ns);
	account(t, &s, os_thread_cpu_ns(hit->tid));
	t->doing = WALL_RUNS;
	w.depth = generations_frames(&cpu_table, key.stack, frame, COUNT_OF(frame));
	key = (struct site_key){ .thread = t->name, .labels = WALL_ON_CPU };
	(void)wall_rows_find(&w, &key);
	renew(t);
	t->run_stack = key.stack;
	ran_here(t, hit->ns);
}
