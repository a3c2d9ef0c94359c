/* The index page: Go's table and list, then what only we have to say (index_own.c). */
#include "encode/buf.h"
#include "httpd/chores.h"
#include "httpd/index_own.h"
#include "httpd/job.h"
#include "httpd/profiles.h"
#include "httpd/routes.h"
#include "httpd/serve.h"
#include "sampler/compiler.h"
#include "sampler/levels.h"

/* --- how many -------------------------------------------------------------------------------- */

/* A stack of its own, of the heap also an object size of its own (go-contract.md 1.6): also if all
 * of it was freed. */
struct seen {
	uint64_t *key;                  /* + 1; 0: free */
	uint64_t  mask, count;
};

static void see(struct seen *s, uint64_t key)
{
	uint64_t at = levels_hash(key) & s->mask;

	while (s->key[at] != 0 && s->key[at] != key + 1)
		at = (at + 1) & s->mask;
	s->count += s->key[at] == 0;
	s->key[at] = key + 1;
}

static bool any(const uint64_t value[SITES_VALUES])
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < SITES_VALUES; i++)
		bits |= value[i];
	return bits != 0;
}

static uint64_t count_distinct(struct exchange *x, enum ground_profile profile)
{
	const struct ground *ground = x->desk->ground;
	uint64_t value[SITES_VALUES], slots = 16;
	struct seen seen = { NULL, 0, 0 };
	struct site_key key;
	uint32_t end;

	window_all(&x->window, ground, profile);
	window_begin_reading(&x->window);
	end = ground->end(profile);
	while (slots < 2 * (uint64_t)end)
		slots *= 2;
	seen.key = arena_alloc(&x->arena, slots * sizeof(*seen.key));
	seen.mask = slots - 1;
	for (uint32_t row = 1; seen.key != NULL && row < end; row++) {
		if (ground->read(profile, row, &key, value) && any(value))
			see(&seen, (uint64_t)key.stack << 32 |
					   (profile == GROUND_HEAP ? key.size : 0));
		if (row % 256 == 0)
			job_breathe();
	}
	window_close(&x->window);
	return seen.count;
}

/* As a dump has them, our own among them. */
static uint64_t count_threads(struct exchange *x)
{
	struct looks_list l;
	uint64_t count = 0;
	int tid[256];
	long n;

	if (chores_list_open(x, &l) < 0)
		return 0;
	while ((n = chores_list_step(x, tid, COUNT_OF(tid))) > 0)
		count += (uint64_t)n;
	chores_list_close(x);
	return count;
}

static uint64_t count_of(struct exchange *x, const struct route *r)
{
	if (r->profile < 0)
		return 0;
	if (r->serve == serve_goroutine)
		return count_threads(x);
	if (r->profile == GROUND_CREATE) {
		profiles_count_threads(x);
		return x->desk->ground->sites(GROUND_CREATE);
	}
	return count_distinct(x, (enum ground_profile)r->profile);
}

/* --- Go's part ------------------------------------------------------------------------------- */

static void write_table(struct exchange *x, struct buf *b)
{
	const struct route *r;

	buf_string(b, "<table>\n<thead><tr><td>Count</td><td>Profile</td></tr></thead>\n");
	for (size_t i = 0; (r = routes_at(i)) != NULL; i++) {
		if (r->help == NULL)
			continue;
		buf_string(b, "<tr><td>");
		buf_unsigned(b, count_of(x, r));
		buf_string(b, "</td><td><a href='");
		buf_html(b, r->name);
		buf_string(b, "?debug=1'>");
		buf_html(b, r->name);
		buf_string(b, "</a></td></tr>\n");
	}
	buf_string(b, "</table>\n<a href=\"goroutine?debug=2\">full goroutine stack dump</a>\n");
}

static void write_descriptions(struct buf *b)
{
	const struct route *r;

	buf_string(b, "<p>\nProfile Descriptions:\n</p>\n<ul>\n");
	for (size_t i = 0; (r = routes_at(i)) != NULL; i++) {
		if (r->help == NULL)
			continue;
		buf_string(b, "<li><div class=profile-name>");
		buf_html(b, r->name);
		buf_string(b, ": </div> ");
		buf_html(b, r->help);
		buf_string(b, "</li>\n");
	}
	buf_string(b, "</ul>\n");
}

void serve_index(struct exchange *x)
{
	char bytes[1024];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	exchange_text(x);
	x->reply.content_type = "text/html; charset=utf-8";
	buf_string(&b, "<!DOCTYPE html>\n<html>\n<head>\n<title>/debug/pprof/</title>\n<style>\n"
		       ".profile-name{\n\tdisplay:inline-block;\n\twidth:6rem;\n}\n"
		       "</style>\n</head>\n<body>\n/debug/pprof/\n<br>\n"
		       "<p>Add debug=1 to a profile's address for its text form.</p>\n<br>\n"
		       "Types of profiles available:\n");
	write_table(x, &b);
	write_descriptions(&b);
	index_own(x, &b);
	buf_string(&b, "</body>\n</html>\n");
	buf_flush(&b);
}
