#include "httpd/thread_text.h"

#include <string.h>

#include "encode/buf.h"
#include "httpd/go_text.h"
#include "httpd/job.h"
#include "httpd/lock_names.h"
#include "httpd/places.h"
#include "httpd/profiles.h"
#include "httpd/thread_states.h"
#include "sampler/sample.h"

#define MINUTE_NS 60000000000ull

struct dumping {
	struct exchange          *x;
	const struct thread_dump *d;
	struct places            *places;
	struct thread_state      *state;        /* of each thread */
	struct lock_names        *locks;        /* NULL: none has a name */
	bool                      labels;
	frame_t                   frame[PROFILES_FRAMES_MAX];
	struct buf                b;
};

/* --- states and locks ------------------------------------------------------------------------ */

static const char *name_of(struct dumping *w, frame_t frame)
{
	const struct place *place = places_find(w->places, frame);

	return place != NULL ? place->function.name : NULL;
}

static void find_state(struct dumping *w, uint32_t i)
{
	const struct thread_seen *s = &w->d->thread[i];
	const char *name[THREAD_STATE_NAMES];
	unsigned n = 0;

	/* libc's function may have jumped to one without a name: the door has it, too. */
	if (s->door != 0)
		name[n++] = name_of(w, s->door);
	for (unsigned k = 0; k < s->look.depth && n < COUNT_OF(name); k++)
		name[n++] = name_of(w, s->frame[k]);
	thread_state_of(&s->look, name, n, &w->state[i]);
}

static void find_states(struct dumping *w)
{
	uint64_t *lock = arena_alloc(&w->x->arena, (w->d->count + 1) * sizeof(*lock));

	if (lock == NULL)
		return;
	for (uint32_t i = 0; i < w->d->count && !w->x->arena.failed; i++) {
		find_state(w, i);
		lock[i] = w->state[i].lock;
		job_breathe();
	}
	if (w->x->desk->names && !w->x->arena.failed)
		w->locks = lock_names_make(&w->x->arena, w->x->desk->ground, lock, w->d->count);
}

/* --- the pieces of a line -------------------------------------------------------------------- */

static void put_hex(struct buf *b, uint64_t v)
{
	buf_string(b, "0x");
	buf_hex(b, v, 1);
}

/* --- one frame ------------------------------------------------------------------------------- */

static void put_name(struct dumping *w, const struct place *place)
{
	if (place->function.name != NULL)
		go_text_function(&w->b, place->function.name);
	else
		put_hex(&w->b, frame_pc(place->frame));
}

static void put_location(struct dumping *w, const struct place *place)
{
	uint64_t start = place->function.name != NULL ? place->function.start : 0;

	buf_char(&w->b, '\t');
	if (place->module != NULL && place->module->path[0] != '\0') {
		go_text_path(&w->b, place->module->path);
		buf_string(&w->b, ".s");
	} else {
		buf_string(&w->b, "\?\?");
	}
	buf_string(&w->b, ":0 +");
	/* As the return address that it was. */
	put_hex(&w->b, frame_pc(place->frame) + 1 - start);
	buf_char(&w->b, '\n');
}

static void put_frame(struct dumping *w, frame_t frame)
{
	const struct place *place = places_find(w->places, frame);

	if (place == NULL)
		return;
	put_name(w, place);
	buf_string(&w->b, "(...)\n");
	put_location(w, place);
}

static void put_stack(struct dumping *w, const frame_t *frame, unsigned depth)
{
	if (depth == 0) {
		buf_string(&w->b, "\tgoroutine running on other thread; stack unavailable\n");
		return;
	}
	for (unsigned i = 0; i < depth; i++) {
		if (frame[i] == FRAME_TRUNCATED)
			buf_string(&w->b, "...additional frames elided...\n");
		else
			put_frame(w, frame[i]);
	}
}

/* --- one thread ------------------------------------------------------------------------------ */

static void put_thread(struct dumping *w, int32_t tid)
{
	const struct thread_seen *s = thread_dump_find(w->d, tid);

	buf_signed(&w->b, tid);
	if (s == NULL) {
		buf_string(&w->b, " not here");
	} else if (s->look.name[0] != '\0') {
		buf_char(&w->b, ' ');
		go_text_word(&w->b, s->look.name);
	}
}

/* Who has it now, if the thread still waits as it did when it was looked at. */
static int32_t holder_of(struct dumping *w, const struct thread_seen *s,
			 const struct thread_state *state)
{
	int32_t holder = thread_state_holder(state);

	return w->x->desk->ground->look_is_same(&s->look) ? holder : 0;
}

/* " (hot_lock held by 4241 worker)" */
static void put_waits(struct dumping *w, const struct thread_seen *s,
		      const struct thread_state *state)
{
	const char *name = NULL;
	int32_t holder;

	if (state->ends != 0) {
		buf_string(&w->b, " (end of ");
		put_thread(w, state->ends);
		buf_char(&w->b, ')');
		return;
	}
	if (state->lock == 0)
		return;
	if (w->locks != NULL)
		name = lock_names_find(w->locks, state->lock);
	buf_string(&w->b, " (");
	if (name != NULL)
		go_text_word(&w->b, name);
	else
		put_hex(&w->b, state->lock);
	holder = holder_of(w, s, state);
	if (holder != 0) {
		buf_string(&w->b, " held by ");
		put_thread(w, holder);
	}
	buf_char(&w->b, ')');
}

static void put_head(struct dumping *w, const struct thread_seen *s,
		     const struct thread_state *state)
{
	uint64_t minutes = s->still_ns / MINUTE_NS;

	buf_string(&w->b, "goroutine ");
	buf_signed(&w->b, s->look.tid);
	buf_string(&w->b, " [");
	buf_string(&w->b, state->word);
	if (s->look.how == LOOK_HIDDEN)
		buf_string(&w->b, " (its system call is not to be had)");
	else
		put_waits(w, s, state);
	if (minutes > 0) {
		buf_string(&w->b, ", ");
		buf_unsigned(&w->b, minutes);
		buf_string(&w->b, " minutes");
	}
	buf_char(&w->b, ']');
	if (w->labels && s->look.name[0] != '\0') {
		buf_string(&w->b, " {thread: ");
		go_text_label(&w->b, s->look.name);
		buf_char(&w->b, '}');
	}
	buf_string(&w->b, ":\n");
}

/* Where it was made: the caller of pthread_create. */
static void put_maker(struct dumping *w, int32_t tid)
{
	const struct ground *ground = w->x->desk->ground;
	struct thread_birth birth;
	const struct place *place;

	if (!ground->birth(tid, &birth) ||
	    ground->frames(GROUND_CREATE, birth.stack, w->frame, COUNT_OF(w->frame)) == 0)
		return;
	place = places_find(w->places, w->frame[0]);
	if (place == NULL || place->module == NULL)
		return;
	buf_string(&w->b, "created by ");
	put_name(w, place);
	buf_string(&w->b, " in goroutine ");
	buf_signed(&w->b, birth.creator);
	buf_char(&w->b, '\n');
	put_location(w, place);
}

static void put_threads(struct dumping *w)
{
	for (uint32_t i = 0; i < w->d->count && !w->x->arena.failed; i++) {
		const struct thread_seen *s = &w->d->thread[i];

		buf_char(&w->b, '\n');
		put_head(w, s, &w->state[i]);
		put_stack(w, s->frame, s->look.depth);
		put_maker(w, s->look.tid);
		job_breathe();
	}
}

static void put_own(struct dumping *w)
{
	frame_t frame = thread_dump_own_frame(w->x);

	buf_string(&w->b, "goroutine ");
	buf_signed(&w->b, w->d->own);
	buf_string(&w->b, " [running]:\n");
	put_stack(w, &frame, 1);
}

void thread_text_write(struct exchange *x, const struct thread_dump *d)
{
	struct dumping *w = arena_alloc(&x->arena, sizeof(*w));
	char bytes[4096];

	if (w == NULL)
		return;
	w->x = x;
	w->d = d;
	w->labels = profiles_wants_label(x, "thread");
	w->places = places_new(&x->arena, x->desk, NULL);
	w->state = arena_alloc(&x->arena, (d->count + 1) * sizeof(*w->state));
	if (x->arena.failed)
		return;
	w->b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);
	find_states(w);
	put_own(w);
	put_threads(w);
	buf_flush(&w->b);
}
