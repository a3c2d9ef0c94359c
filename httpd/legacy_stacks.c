#include "httpd/legacy_stacks.h"

#include "httpd/chores.h"
#include "httpd/job.h"
#include "httpd/legacy_address.h"
#include "httpd/legacy_text.h"
#include "httpd/query.h"
#include "httpd/thread_dump.h"

struct legacy_stacks *legacy_stacks_new(struct exchange *x, const struct profile_kind *kind,
					int by, unsigned counter)
{
	struct legacy_stacks *s = arena_alloc(&x->arena, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->x = x;
	s->kind = kind;
	s->b = buf_to_sink(s->bytes, sizeof(s->bytes), &x->reply.body.sink);
	s->places = places_new(&x->arena, x->desk, NULL);
	samples_collect(&s->samples, &x->arena, &x->window, by);
	if (!x->arena.failed)
		profiles_merge(x, kind, s->places, s->frame, &s->samples);
	if (!x->arena.failed)
		samples_sort(&s->samples, &x->arena, counter);
	return x->arena.failed ? NULL : s;
}

struct legacy_stacks *legacy_stacks_now(struct exchange *x, const struct profile_kind *kind,
					int by, unsigned counter)
{
	struct request_text query = x->request.query;
	int64_t seconds;

	if (query_int(query.at, query.len, "seconds", &seconds) != QUERY_ABSENT) {
		exchange_error(x, 400,
			       "\"seconds\" parameter is not supported for this profile type");
		return NULL;
	}
	if (kind->ground == GROUND_MAPPED)
		profiles_compare_maps(x);
	chores_refresh(x->desk->ground);
	window_all(&x->window, x->desk->ground, kind->ground);
	exchange_text(x);
	return legacy_stacks_new(x, kind, by, counter);
}

static bool add(struct legacy_stacks *s, frame_t frame)
{
	const struct place *place = places_find(s->places, frame);

	if (place == NULL)
		return false;
	s->address[s->depth++] = legacy_address(s->x->desk->ground, place, frame);
	return true;
}

bool legacy_stacks_set(struct legacy_stacks *s, const struct sample *sample)
{
	struct profile_stack stack;

	job_breathe();
	profiles_stack(s->x, s->kind, s->places, sample->key.stack, s->frame, &stack);
	s->depth = 0;
	for (unsigned i = 0; i < stack.depth; i++)
		if (!add(s, stack.frame[i]))
			return false;
	return stack.depth > 0 || add(s, FRAME_NO_STACK);
}

/* The program first: of it readers take the name for the whole. */
void legacy_stacks_end(struct legacy_stacks *s)
{
	const struct ground *ground = s->x->desk->ground;
	uint32_t modules = ground->modules();

	for (int main_first = 1; main_first >= 0; main_first--)
		for (uint32_t i = 0; i < modules; i++) {
			const struct module *m = ground->module(i);

			if (m->alive && m->main == main_first)
				legacy_text_mapping(&s->b, m);
			job_breathe();
		}
	buf_flush(&s->b);
}
