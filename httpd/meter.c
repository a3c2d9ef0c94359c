#include "httpd/meter.h"

#include <stdbool.h>
#include <string.h>

#include "sampler/compiler.h"
#include "sampler/os.h"

static struct {
	bool     used;
	uint64_t before_ns;             /* CPU time of our threads that have ended */
	uint64_t round_ns, mark_ns;     /* when it began, and the present step */
	struct meter_rounds  rounds;
	struct meter_request request[METER_REQUESTS];
	size_t   requests;
	uint64_t clients, clients_now;
} meter;

const uint64_t meter_bound_ns[METER_BOUNDS] = {
	100000, 500000, 1000000, 2000000, 4000000, 8000000, 16000000, 32000000,
};

const char *meter_part_name(enum meter_part part)
{
	static const char *const names[METER_PARTS] = {
		"jobs", "sockets", "wall", "births", "chores", "memory", "reclaim", "compile",
	};

	return names[part];
}

/* --- time ------------------------------------------------------------------------------------ */

void meter_begin(void)
{
	meter.used = true;
	meter.clients_now = 0;
}

void meter_end(void)
{
	meter.before_ns += os_thread_cpu_ns(0);
}

uint64_t meter_cpu_ns(void)
{
	return meter.before_ns + os_thread_cpu_ns(0);
}

void meter_begin_round(void)
{
	meter.round_ns = meter.mark_ns = os_thread_cpu_ns(0);
}

void meter_step(enum meter_part part)
{
	uint64_t now_ns = os_thread_cpu_ns(0), ns = now_ns - meter.mark_ns;

	meter.mark_ns = now_ns;
	if (ns > meter.rounds.step_max_ns[part])
		meter.rounds.step_max_ns[part] = ns;
}

/* With a step that has just ended. */
void meter_end_round(void)
{
	uint64_t ns = meter.mark_ns - meter.round_ns;
	unsigned i = 0;

	while (i < METER_BOUNDS && ns > meter_bound_ns[i])
		i++;
	meter.rounds.count[i]++;
	meter.rounds.sum_ns += ns;
}

const struct meter_rounds *meter_rounds(void)
{
	return &meter.rounds;
}

/* --- requests -------------------------------------------------------------------------------- */

static struct meter_request *find(const char *endpoint, int status)
{
	struct meter_request *r;

	for (size_t i = 0; i < meter.requests; i++) {
		r = &meter.request[i];
		if (r->status == status && strcmp(r->endpoint, endpoint) == 0)
			return r;
	}
	/* The last place is for all that have none. */
	if (meter.requests == METER_REQUESTS)
		return &meter.request[METER_REQUESTS - 1];
	r = &meter.request[meter.requests++];
	*r = (struct meter_request){ endpoint, status, 0 };
	if (meter.requests == METER_REQUESTS)
		*r = (struct meter_request){ "other", 0, 0 };
	return r;
}

void meter_request(const char *endpoint, int status)
{
	find(endpoint != NULL ? endpoint : "none", status)->count++;
}

const struct meter_request *meter_request_at(size_t i)
{
	return i < meter.requests ? &meter.request[i] : NULL;
}

void meter_connection(int change)
{
	meter.clients += change > 0;
	meter.clients_now += (uint64_t)(int64_t)change;
}

uint64_t meter_connections(uint64_t *now)
{
	*now = meter.clients_now;
	return meter.clients;
}

void meter_after_fork(void)
{
	/* A child pays for each page that is written. */
	if (meter.used)
		memset(&meter, 0, sizeof(meter));
}
