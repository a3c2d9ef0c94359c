#include "httpd/dump.h"

#include <string.h>

#include "sampler/random.h"

#define NUMBER_MAX (UINT64_C(1) << 56)  /* no address, no count is more */

struct text { const char *at, *end; };

/* --- words of a line ------------------------------------------------------------------------- */

static bool word(struct text *t, const char *want)
{
	size_t n = strlen(want);

	if ((size_t)(t->end - t->at) < n || memcmp(t->at, want, n) != 0)
		return false;
	t->at += n;
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* False: there is none, or it is more than NUMBER_MAX. */
static bool number(struct text *t, unsigned base, uint64_t *out)
{
	const char *first = t->at;

	for (*out = 0; t->at < t->end && (unsigned)digit(*t->at) < base; t->at++) {
		*out = *out * base + (unsigned)digit(*t->at);
		if (*out > NUMBER_MAX)
			return false;
	}
	return t->at > first;
}

/* --- lines ----------------------------------------------------------------------------------- */

static void read_stack(struct dump *d, struct text t)
{
	uint64_t address;

	d->now.depth = 0;
	while (d->now.depth < DUMP_FRAMES_MAX && word(&t, " 0x") && number(&t, 16, &address))
		if (address != 0)
			d->now.frame[d->now.depth++] = address - 1;
	d->has_stack = d->now.depth > 0;
}

static int64_t scale(uint64_t n, uint64_t weight)
{
	unsigned __int128 all = (unsigned __int128)n * weight / RANDOM_WEIGHT_ONE;

	return all > NUMBER_MAX ? (int64_t)NUMBER_MAX : (int64_t)all;
}

static void unbias(uint64_t objects, uint64_t bytes, uint64_t rate, int64_t *objects_out,
		   int64_t *bytes_out)
{
	uint64_t weight;

	*objects_out = *bytes_out = 0;
	if (objects == 0 || bytes < objects)
		return;
	weight = random_weight(bytes / objects, rate);
	*objects_out = scale(objects, weight);
	*bytes_out = scale(bytes, weight);
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* " 98: 235032 [0: 0]" of the stack above. */
static void read_counts(struct dump *d, struct text t)
{
	struct dump_row *r = &d->now;
	uint64_t inuse, inuse_bytes, alloc, alloc_bytes;

	d->has_stack = false;
	if (!word(&t, " ") || !number(&t, 10, &inuse) || !word(&t, ": ") ||
	    !number(&t, 10, &inuse_bytes) || !word(&t, " [") || !number(&t, 10, &alloc) ||
	    !word(&t, ": ") || !number(&t, 10, &alloc_bytes) || !word(&t, "]"))
		return;
	unbias(inuse, inuse_bytes, d->rate, &r->inuse_objects, &r->inuse_bytes);
	unbias(alloc, alloc_bytes, d->rate, &r->alloc_objects, &r->alloc_bytes);
	r->alloc_objects = larger(r->alloc_objects, r->inuse_objects);
	r->alloc_bytes = larger(r->alloc_bytes, r->inuse_bytes);
	if (r->alloc_objects > 0)
		d->row(d->with, r);
}

static void read_line(struct dump *d)
{
	struct text t = { d->line, d->line + d->len };

	if (!d->begun) {
		d->begun = true;
		if (!word(&t, "heap_v2/") || !number(&t, 10, &d->rate))
			d->rate = 0;
	} else if (word(&t, "MAPPED_LIBRARIES:")) {
		d->whole = true;
	} else if (d->row != NULL && word(&t, "@")) {
		read_stack(d, t);
	} else if (d->has_stack && word(&t, "  t*:")) {
		read_counts(d, t);
	}
}

void dump_feed(struct dump *d, const char *bytes, size_t n)
{
	const char *end = bytes + n;

	while (bytes < end && !d->whole && (!d->begun || d->rate != 0)) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
		size_t len = (size_t)((newline != NULL ? newline : end) - bytes);

		d->too_long = d->too_long || len > sizeof(d->line) - d->len;
		if (!d->too_long) {
			memcpy(d->line + d->len, bytes, len);
			d->len += len;
		}
		bytes += len;
		if (newline == NULL)
			return;
		bytes++;
		if (d->too_long)
			d->begun = true;
		else
			read_line(d);
		d->too_long = false;
		d->len = 0;
	}
}
