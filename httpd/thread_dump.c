#include "httpd/thread_dump.h"

#include "httpd/chores.h"
#include "httpd/job.h"
#include "httpd/order.h"
#include "httpd/serve.h"
#include "sampler/limits.h"
#include "sampler/os.h"
#include "sampler/sample.h"

#define TIDS_FIRST 512

/* Between two rounds: a tick of a kernel with HZ=250. */
#define ROUND_NS 4000000u

/* --- which threads there are ----------------------------------------------------------------- */

struct tids {
	int     *tid;
	uint32_t count, room;
};

static bool grow(struct arena *arena, struct tids *t)
{
	uint32_t room = t->room == 0 ? TIDS_FIRST : 2 * t->room;
	int *tid = arena_alloc(arena, room * sizeof(*tid));

	if (tid == NULL)
		return false;
	for (uint32_t i = 0; i < t->count; i++)
		tid[i] = t->tid[i];
	t->tid = tid;
	t->room = room;
	return true;
}

/* 1 us for each. */
static void list(struct exchange *x, struct tids *t)
{
	struct looks_list l;
	long n;

	if (chores_list_open(x, &l) < 0)
		return;
	do {
		uint32_t room;

		if (t->count == t->room && !grow(&x->arena, t))
			break;
		room = t->room - t->count;
		n = chores_list_step(x, t->tid + t->count, room < TIDS_FIRST ? room : TIDS_FIRST);
		if (n > 0)
			t->count += (uint32_t)n;
	} while (n > 0);
	chores_list_close(x);
}

/* --- looking --------------------------------------------------------------------------------- */

struct taking {
	struct exchange    *x;
	struct thread_dump *d;
	uintptr_t          *pc;         /* room for a stack */
	uint32_t           *silent;     /* who was asked */
	uint32_t            silents;
};

static void keep_stack(struct taking *t, struct thread_seen *s)
{
	unsigned depth = s->look.depth;
	frame_t *frame = arena_alloc(&t->x->arena, (depth + 1u) * sizeof(*frame));

	s->frame = frame;
	if (frame == NULL) {
		s->look.depth = 0;
		return;
	}
	for (unsigned i = 0; i < depth; i++)
		frame[i] = t->x->desk->ground->frame(t->pc[i]);
	if (s->look.truncated && depth > 0)
		frame[s->look.depth++] = FRAME_TRUNCATED;
}

static bool has_ended(const struct look *look)
{
	return look->how == LOOK_GONE || look->letter == 'Z' || look->letter == 'X';
}

/* False: it has no stack yet. */
static bool look_at(struct taking *t, struct thread_seen *s, int tid)
{
	/* What an earlier look has found stays if it has gone since. */
	struct look look;

	t->x->desk->ground->look(tid, &look, t->pc, STACK_DEPTH_MAX);
	if (look.how == LOOK_GONE || look.how == LOOK_SILENT || look.how == LOOK_HIDDEN)
		look.depth = 0;
	s->look = look;
	s->look.tid = tid;
	s->door = look.door != 0 ? t->x->desk->ground->frame(look.door) : 0;
	keep_stack(t, s);
	return look.how != LOOK_SILENT;
}

static void look_at_all(struct taking *t, const struct tids *tids)
{
	for (uint32_t i = 0; i < tids->count && !t->x->arena.failed; i++) {
		if (tids->tid[i] == t->d->own)
			continue;
		if (!look_at(t, &t->d->thread[t->d->count], tids->tid[i]))
			t->silent[t->silents++] = t->d->count;
		t->d->count++;
		job_breathe();
	}
}

static void collect_answers(struct taking *t)
{
	uint64_t end_ns = os_monotonic_ns() + THREAD_DUMP_WAIT_NS;

	while (t->silents > 0 && os_monotonic_ns() < end_ns && !t->x->arena.failed) {
		uint32_t left = 0;

		job_sleep_until(os_monotonic_ns() + ROUND_NS);
		for (uint32_t i = 0; i < t->silents; i++) {
			struct thread_seen *s = &t->d->thread[t->silent[i]];

			if (!look_at(t, s, s->look.tid))
				t->silent[left++] = t->silent[i];
			job_breathe();
		}
		t->silents = left;
	}
	t->x->desk->ground->look_rest();
}

/* --- what was known of them before ------------------------------------------------------------ */

static void drop_ended(struct thread_dump *d)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < d->count; i++)
		if (!has_ended(&d->thread[i].look))
			d->thread[kept++] = d->thread[i];
	d->count = kept;
}

static bool sort(struct exchange *x, struct thread_dump *d)
{
	struct order *order = arena_alloc(&x->arena, (d->count + 1) * sizeof(*order));

	d->by_tid = arena_alloc(&x->arena, (d->count + 1) * sizeof(*d->by_tid));
	if (x->arena.failed)
		return false;
	for (uint32_t i = 0; i < d->count; i++)
		order[i] = (struct order){ (uint64_t)d->thread[i].look.tid, i };
	order_sort(order, d->count);
	for (uint32_t i = 0; i < d->count; i++)
		d->by_tid[i] = order[i].at;
	return true;
}

static uint32_t find(const struct thread_dump *d, int32_t tid)
{
	uint32_t lo = 0, hi = d->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (d->thread[d->by_tid[mid]].look.tid < tid)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == d->count || d->thread[d->by_tid[lo]].look.tid != tid)
		return UINT32_MAX;
	return d->by_tid[lo];
}

const struct thread_seen *thread_dump_find(const struct thread_dump *d, int32_t tid)
{
	uint32_t i = find(d, tid);

	return i != UINT32_MAX ? &d->thread[i] : NULL;
}

/* The scan's memory counts if the thread has not run since. */
static void add_still(void *with, const struct still *still)
{
	const struct thread_dump *d = with;
	uint32_t i = find(d, still->tid);
	struct thread_seen *s;

	if (i == UINT32_MAX)
		return;
	s = &d->thread[i];
	if (s->look.how != LOOK_RUNNING && s->look.how != LOOK_SILENT &&
	    s->look.cpu_ns == still->cpu_ns && s->look.at_ns > still->since_ns)
		s->still_ns = s->look.at_ns - still->since_ns;
}

bool thread_dump_take(struct exchange *x, struct thread_dump *d)
{
	struct taking t = { .x = x, .d = d };
	struct tids tids = { NULL, 0, 0 };

	*d = (struct thread_dump){ .own = os_gettid() };
	chores_refresh(x->desk->ground);
	list(x, &tids);
	d->thread = arena_alloc(&x->arena, (tids.count + 1) * sizeof(*d->thread));
	t.silent = arena_alloc(&x->arena, (tids.count + 1) * sizeof(*t.silent));
	t.pc = arena_alloc(&x->arena, STACK_DEPTH_MAX * sizeof(*t.pc));
	if (x->arena.failed)
		return false;
	look_at_all(&t, &tids);
	collect_answers(&t);
	drop_ended(d);
	if (!sort(x, d))
		return false;
	x->desk->ground->stills(add_still, d);
	return !x->arena.failed;
}

frame_t thread_dump_own_frame(const struct exchange *x)
{
	return x->desk->ground->frame((uintptr_t)serve_goroutine);
}
