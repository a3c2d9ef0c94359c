/* httpd/profiles.h -- what all profiles have in common: the parameters of Go's named profiles, the
 * window of a delta, and the way of its samples into a profile.proto.
 *
 * Context   our thread, inside a job. */
#ifndef HTTPD_PROFILES_H
#define HTTPD_PROFILES_H

#include "encode/pprof.h"
#include "httpd/exchange.h"
#include "httpd/places.h"
#include "httpd/samples.h"
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
	bool                     has_sizes;             /* samples are of objects of one size */
	bool                     has_locks;             /* key.size is a lock; by delay */
	int64_t (*period)(const struct ground_rates *rates);
	/* The values of one sample from its counters. */
	void (*values)(const int64_t counter[SITES_VALUES], int64_t *value);
	/* The debug=1 form; the reply is text already. */
	void (*text)(struct exchange *x);
};

/* What was counted in units of 1 / RANDOM_WEIGHT_ONE, rounded. */
static inline int64_t profiles_whole(int64_t weight)
{
	int64_t half = weight < 0 ? -RANDOM_WEIGHT_ONE / 2 : RANDOM_WEIGHT_ONE / 2;

	return (weight + half) / RANDOM_WEIGHT_ONE;
}

/* Go's order of checks for a named profile: seconds, gc, debug (go-contract.md 1.3, 1.4); ours
 * come after. */
void profiles_serve_named(struct exchange *x, const struct profile_kind *kind);

/* In steps: what no door saw is counted as it is now (mapped.h). */
void profiles_compare_maps(struct exchange *x);

/* Waits until `seconds` after the beginning of x->window and writes what happened in it. */
void profiles_serve_window(struct exchange *x, const struct profile_kind *kind, int64_t seconds,
			   const char *filename);

/* What happened in x->window up to now, as the answer's body. */
void profiles_write_proto(struct exchange *x, const struct profile_kind *kind);

/* A stack as it was cut, and the mark that it was. */
#define PROFILES_FRAMES_MAX (STACK_DEPTH_MAX + 1)

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
