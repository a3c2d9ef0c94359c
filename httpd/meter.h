/* httpd/meter.h -- what our thread does, counted by itself: requests, connections, CPU time, and
 * how long others wait for it.  A round is what it does between two looks at its sockets; a step is
 * a part of one, of a job, say.
 *
 * Both are measured by the thread's CPU clock: on a busy machine the time says nothing.
 *
 * Context   our thread.
 * Memory    static.  When full: requests beyond METER_REQUESTS kinds count as endpoint "other". */
#ifndef HTTPD_METER_H
#define HTTPD_METER_H

#include <stddef.h>
#include <stdint.h>

#define METER_REQUESTS 96       /* pairs of an endpoint and a status that were met */
#define METER_BOUNDS   8        /* of the histogram of rounds; one more is without a bound */

enum meter_part {
	METER_JOBS, METER_SOCKETS, METER_WALL, METER_BIRTHS, METER_CHORES, METER_MEMORY,
	METER_RECLAIM, METER_COMPILE, METER_PARTS
};

struct meter_request {
	const char *endpoint;
	int         status;
	uint64_t    count;
};

struct meter_rounds {
	uint64_t count[METER_BOUNDS + 1];
	uint64_t sum_ns;
	uint64_t step_max_ns[METER_PARTS];
};

/* The thread begins, and ends: another one goes on counting. */
void meter_begin(void);
void meter_end(void);
/* CPU time of all of them. */
uint64_t meter_cpu_ns(void);

/* A round begins, has done a step, is over. */
void meter_begin_round(void);
void meter_step(enum meter_part part);
void meter_end_round(void);
const struct meter_rounds *meter_rounds(void);
/* Upper bounds in ns. */
extern const uint64_t meter_bound_ns[METER_BOUNDS];
const char *meter_part_name(enum meter_part part);

/* An answer with this status; endpoint is a constant, NULL: no route has made it. */
void meter_request(const char *endpoint, int status);
/* NULL behind the last. */
const struct meter_request *meter_request_at(size_t i);

/* A client came, or went. */
void meter_connection(int change);
uint64_t meter_connections(uint64_t *now);

/* A fork child begins with nothing. */
void meter_after_fork(void);

#endif
