/* httpd/profiles.h -- what all profiles have in common: the parameters of Go's named profiles, the
 * window of a delta, and the way of its samples into an answer.
 *
 * Context   our thread, inside a job. */
#ifndef HTTPD_PROFILES_H
#define HTTPD_PROFILES_H

#include "encode/pprof.h"
#include "httpd/exchange.h"
#include "httpd/formats.h"
#include "httpd/places.h"
#include "httpd/samples.h"
#include "httpd/writer.h"
#include "sampler/compiler.h"
#include "sampler/random.h"

/* A kind of profile: one row for each. */
struct profile_kind {
	const char              *name;          /* also of the file */
	enum ground_profile      ground;
	struct pprof_value_type  sample_type[PPROF_VALUES_MAX];
	unsigned                 sample_types;
	struct pprof_value_type  period_type;
	const char              *default_sample_type;   /* NULL: the client takes the last */
	bool                     hides_allocator;       /* leaf frames of malloc are left out */
	bool                     has_ages;              /* min_age= is asked for */
	bool                     has_inuse;             /* inuse= is asked for: values 2 and 3 */
	bool                     any_debug_is_text;     /* also below 0 */
	bool                     is_window;             /* always; debug= means nothing */
	bool                     has_sizes;             /* samples are of objects of one size */
	bool                     has_locks;             /* key.size is a lock; by delay */
	unsigned                 sorted_by;             /* number of a value + 1; 0: as they came */
	const char              *folded_value;          /* sample type; NULL: the default one */
	const char              *labels;                /* of labels=; NULL: it means nothing */
	int64_t (*period)(const struct ground_rates *rates);
	/* Instead: that of its window, which is being read from then on. */
	int64_t (*period_of)(struct exchange *x);
	/* The values of one sample from its counters. */
	void (*values)(const int64_t counter[SITES_VALUES], int64_t *value);
	/* The debug=1 form, of x->window; the reply is text already.  NULL: counts_text_write. */
	void (*text)(struct exchange *x);
};

/* What was counted in units of 1 / RANDOM_WEIGHT_ONE, rounded. */
static inline int64_t profiles_whole(int64_t weight)
{
	int64_t half = weight < 0 ? -RANDOM_WEIGHT_ONE / 2 : RANDOM_WEIGHT_ONE / 2;

	return (weight + half) / RANDOM_WEIGHT_ONE;
}

/* The parameters of a named profile: seconds 0 is no delta, min_age_s 0 any age. */
struct profiles_query {
	int64_t        seconds, min_age_s;
	bool           absolute;        /* inuse=absolute */
	struct formats formats;
};

/* Go's order of checks for a named profile: seconds, gc, debug (go-contract.md 1.3, 1.4); ours
 * come after.  False: one failed, and that is the answer. */
MUST_CHECK bool profiles_read_query(struct exchange *x, const struct profile_kind *kind,
				    struct profiles_query *q);
void profiles_serve_named(struct exchange *x, const struct profile_kind *kind);
/* What has happened since the last call of the same client= (since.h). */
void profiles_serve_since(struct exchange *x, const struct profile_kind *kind,
			  const char *filename);

/* In steps: what no door saw is counted as it is now (mapped.h, births.h). */
void profiles_compare_maps(struct exchange *x);
void profiles_count_threads(struct exchange *x);

/* Waits until `seconds` after the beginning of x->window and writes what happened in it. */
void profiles_serve_window(struct exchange *x, const struct profile_kind *kind,
			   const struct formats *f, int64_t seconds);

/* What happened in x->window up to now, as the answer's body. */
void profiles_write(struct exchange *x, const struct profile_kind *kind, const struct formats *f);

/* False: labels= has a name that is none of these ("thread, lock"), and that is the answer. */
MUST_CHECK bool profiles_check_labels(struct exchange *x, const char *allowed);
/* True if it is one of labels=thread,lock. */
bool profiles_wants_label(const struct exchange *x, const char *label);

/* What was given up since the start. */
void profiles_add_drops(struct writer *w);

/* A stack as it was cut, and the mark that it was. */
#define PROFILES_FRAMES_MAX (STACK_DEPTH_MAX + 1)

/* The greatest first, by one of the kind's values. */
void profiles_sort(struct exchange *x, const struct profile_kind *kind, struct samples *samples,
		   unsigned value);

/* The frames of a sample, leaf first, in the arena or in scratch that the next call uses again. */
struct profile_stack {
	const frame_t *frame;
	unsigned       depth;
};
void profiles_stack(struct exchange *x, const struct profile_kind *kind, struct places *places,
		    uint32_t stack, frame_t scratch[static PROFILES_FRAMES_MAX],
		    struct profile_stack *out);

/* Samples whose stacks are shown alike become one: what differed were frames left out, or the
 * epochs of one module. */
void profiles_merge(struct exchange *x, const struct profile_kind *kind, struct places *places,
		    frame_t scratch[static PROFILES_FRAMES_MAX], struct samples *samples);

#endif
