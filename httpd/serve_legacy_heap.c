/* /pprof/heap and /pprof/growth. */
#include "httpd/job.h"
#include "httpd/legacy_scale.h"
#include "httpd/legacy_stacks.h"
#include "httpd/legacy_text.h"
#include "httpd/serve.h"

/* How the counters of a sample become a row. */
struct form {
	/* False: readers who scale by the rate would not make of the row what it stands for. */
	bool   (*row)(const struct form *f, const int64_t c[SITES_VALUES], struct text_heap *row);
	bool     scaled;
	uint64_t rate;
};

static bool heap_row_scaled(const struct form *f, const int64_t c[SITES_VALUES],
			    struct text_heap *row)
{
	struct legacy_scale alloc = { c[HEAP_ALLOC_RAW], c[HEAP_ALLOC_RAW_BYTES] };
	struct legacy_scale inuse = { alloc.objects - c[HEAP_FREE_RAW],
				      alloc.bytes - c[HEAP_FREE_RAW_BYTES] };
	bool says_alloc = legacy_scale(&alloc, c[HEAP_ALLOC_OBJECTS], c[HEAP_ALLOC_BYTES], f->rate);
	bool says_inuse = legacy_scale(&inuse, c[HEAP_ALLOC_OBJECTS] - c[HEAP_FREE_OBJECTS],
				       c[HEAP_ALLOC_BYTES] - c[HEAP_FREE_BYTES], f->rate);

	*row = (struct text_heap){ inuse.objects, inuse.bytes, alloc.objects, alloc.bytes };
	return says_alloc && says_inuse;
}

static bool heap_row(const struct form *f, const int64_t c[SITES_VALUES], struct text_heap *row)
{
	if (f->scaled)
		return heap_row_scaled(f, c, row);
	*row = (struct text_heap){
		.inuse_objects = profiles_whole(c[HEAP_ALLOC_OBJECTS] - c[HEAP_FREE_OBJECTS]),
		.inuse_bytes = c[HEAP_ALLOC_BYTES] - c[HEAP_FREE_BYTES],
		.alloc_objects = profiles_whole(c[HEAP_ALLOC_OBJECTS]),
		.alloc_bytes = c[HEAP_ALLOC_BYTES],
	};
	return true;
}

/* It only ever grows: what has been unmapped since is not taken away. */
static bool growth_row(const struct form *f, const int64_t c[SITES_VALUES], struct text_heap *row)
{
	int64_t objects = c[MAPPED_ALLOC_OBJECTS] + c[MAPPED_LOST_OBJECTS];
	int64_t bytes = c[MAPPED_ALLOC_BYTES] + c[MAPPED_LOST_BYTES];

	(void)f;
	*row = (struct text_heap){ objects, bytes, objects, bytes };
	return true;
}

/* False: as row says. */
static bool add_up(const struct legacy_stacks *s, const struct form *f, struct text_heap *total)
{
	struct text_heap row;
	bool exact = true;

	*total = (struct text_heap){ 0, 0, 0, 0 };
	for (uint32_t i = 0; i < s->samples.count; i++) {
		exact &= f->row(f, s->samples.sample[i].value, &row);
		if (legacy_text_clean(&row)) {
			total->inuse_objects += row.inuse_objects;
			total->inuse_bytes += row.inuse_bytes;
			total->alloc_objects += row.alloc_objects;
			total->alloc_bytes += row.alloc_bytes;
		}
		job_breathe();
	}
	return exact;
}

static void write_rows(struct legacy_stacks *s, const struct form *f)
{
	struct text_heap row;

	for (uint32_t i = 0; i < s->samples.count; i++) {
		(void)f->row(f, s->samples.sample[i].value, &row);
		if (!legacy_text_clean(&row))
			continue;
		if (!legacy_stacks_set(s, &s->samples.sample[i]))
			return;
		text_heap_values(&s->b, &row);
		text_addresses(&s->b, s->address, s->depth);
	}
	buf_string(&s->b, "\nMAPPED_LIBRARIES:\n");
	legacy_stacks_end(s);
}

/* What was sampled, for readers to scale; where they could not (legacy_scale.h), what it stands
 * for. */
void serve_legacy_heap(struct exchange *x)
{
	static const struct profile_kind heap = { .name = "heap", .ground = GROUND_HEAP,
						  .hides_allocator = true };
	struct form form = { .row = heap_row };
	struct ground_rates rates;
	struct legacy_stacks *s;
	struct text_heap total;

	x->desk->ground->get_rates(&rates);
	form.rate = rates.heap_rate;
	form.scaled = legacy_text_is_scaled(rates.heap_rate);
	s = legacy_stacks_now(x, &heap, SAMPLES_BY_SIZE, HEAP_ALLOC_BYTES);
	if (s == NULL)
		return;
	if (!add_up(s, &form, &total)) {
		form.scaled = false;
		(void)add_up(s, &form, &total);
	}
	legacy_text_heap(&s->b, &total, form.scaled ? form.rate : 0);
	write_rows(s, &form);
}

void serve_legacy_growth(struct exchange *x)
{
	static const struct profile_kind growth = { .name = "growth", .ground = GROUND_MAPPED };
	struct form form = { .row = growth_row };
	struct legacy_stacks *s;
	struct text_heap total;

	s = legacy_stacks_now(x, &growth, SAMPLES_BY_STACK, MAPPED_ALLOC_BYTES);
	if (s == NULL)
		return;
	(void)add_up(s, &form, &total);
	legacy_text_growth(&s->b, &total);
	write_rows(s, &form);
}
