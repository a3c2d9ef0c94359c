/* httpd/own.h -- what we cost, and how much we have recorded: for /metrics and the index.
 *
 * Context   our thread, inside a job. */
#ifndef HTTPD_OWN_H
#define HTTPD_OWN_H

#include "httpd/exchange.h"

struct own_cost {
	uint64_t desk_ns;               /* CPU time of our thread */
	uint64_t tick_ns, door_ns;      /* that samples have cost the host's threads (spent.h) */
	uint64_t process_ns;            /* of all threads; 0 unknown */
	uint64_t mapped;                /* bytes of address space */
	uint64_t resident;              /* bytes in memory, of the tables of all profiles */
	uint64_t names;                 /* bytes of the indexes of functions' names */
	uint64_t tables;                /* bytes of unwind tables */
};

void own_cost(const struct exchange *x, struct own_cost *out);

/* What a profile has recorded since the start: samples, but allocations of the heap that were
 * sampled, and waits (block, mutex) that samples stand for.  The exchange's window is used. */
uint64_t own_samples(struct exchange *x, enum ground_profile profile);

const char *own_profile_name(enum ground_profile profile);

#endif
