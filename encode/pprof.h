/* encode/pprof.h -- a profile.proto message, written piece by piece.
 *
 * All is packed as it comes (protobuf-c; a message is the sum of partial ones).  Only distinct
 * strings, the keys of functions, and mappings are kept, in the arena: memory follows what is
 * distinct, not what is sampled.
 *
 * Context   one thread, any; memory from the arena only.
 * Strings   are copied; invalid UTF-8 is replaced by U+FFFD (a receiver would reject the whole
 *           profile); equal strings are stored once.
 * Ids       mappings, functions and locations are numbered 1, 2, 3 in the order of first mention.
 * When full the arena's failed flag; every call is then harmless, an id is 0, and pprof_end says
 *           -ENOMEM. */
#ifndef ENCODE_PPROF_H
#define ENCODE_PPROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encode/arena.h"
#include "encode/sink.h"

#define PPROF_VALUES_MAX 4

struct pprof_value_type {
	const char *type, *unit;
};

struct pprof_head {
	struct pprof_value_type sample_type[PPROF_VALUES_MAX];
	unsigned                sample_types;
	struct pprof_value_type period_type;
	int64_t                 period;
	const char             *default_sample_type;    /* NULL: not set */
	int64_t                 time_nanos;
	int64_t                 duration_nanos;         /* 0: not set */
};

struct pprof_mapping {
	uint64_t    start, limit, offset;
	const char *file, *build_id;    /* build_id: lower-case hex, "" if none */
	bool        has_functions;
};

/* num_unit NULL and str not NULL: a string label, else a numeric one. */
struct pprof_label {
	const char *key, *str;
	int64_t     num;
	const char *num_unit;
};

struct pprof;

/* NULL if the arena is full.  *head is read at once, out is written to until pprof_end. */
struct pprof *pprof_begin(struct arena *arena, struct sink *out, const struct pprof_head *head);

void pprof_comment(struct pprof *p, const char *text);

/* Returns the mapping's id.  The first one must be the main program. */
uint64_t pprof_add_mapping(struct pprof *p, const struct pprof_mapping *mapping);
/* What is known of its names only after its last location. */
void pprof_set_has_functions(struct pprof *p, uint64_t mapping_id, bool has);

/* One id per distinct (system_name, file): a static function of the same name elsewhere is
 * another.  system_name "": there is none, name is taken for it.  file "" and start_line 0: not
 * known. */
uint64_t pprof_add_function(struct pprof *p, const char *name, const char *system_name,
			    const char *file, int64_t start_line);

/* A location is one address of one mapping (0: of none); the caller adds each address once.
 * function_id[0] is the innermost; lines without numbers. */
uint64_t pprof_add_location(struct pprof *p, uint64_t mapping_id, uint64_t address,
			    const uint64_t *function_id, unsigned functions);

/* location_id leaf first; as many values as the head has sample types. */
void pprof_add_sample(struct pprof *p, const uint64_t *location_id, size_t locations,
		      const int64_t *value, const struct pprof_label *label, size_t labels);

/* Writes what was kept.  0 or -ENOMEM. */
int pprof_end(struct pprof *p);

#endif
