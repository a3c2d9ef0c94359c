/* /metrics: what we cost and what we have given up, as Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).  Labels have values that we name
 * ourselves, but for the version. */
#include "encode/buf.h"
#include "httpd/meter.h"
#include "httpd/own.h"
#include "httpd/serve.h"

#define SECOND_NS 1000000000ull

static void family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_string(b, "# HELP pprofshim_");
	buf_string(b, name);
	buf_string(b, " ");
	buf_string(b, help);
	buf_string(b, "\n# TYPE pprofshim_");
	buf_string(b, name);
	buf_string(b, " ");
	buf_string(b, type);
	buf_string(b, "\n");
}

/* pprofshim_NAME{LABEL="IS"} -- label NULL: none. */
static void sample(struct buf *b, const char *name, const char *label, const char *is)
{
	buf_string(b, "pprofshim_");
	buf_string(b, name);
	if (label != NULL) {
		buf_string(b, "{");
		buf_string(b, label);
		buf_string(b, "=\"");
		buf_string(b, is);
		buf_string(b, "\"}");
	}
	buf_string(b, " ");
}

static void number(struct buf *b, uint64_t v)
{
	buf_unsigned(b, v);
	buf_string(b, "\n");
}

static void seconds_text(struct buf *b, uint64_t ns)
{
	buf_unsigned(b, ns / SECOND_NS);
	buf_string(b, ".");
	buf_padded(b, ns % SECOND_NS, 9);
}

static void seconds(struct buf *b, uint64_t ns)
{
	seconds_text(b, ns);
	buf_string(b, "\n");
}

static void one_number(struct buf *b, const char *name, const char *type, const char *help,
		       uint64_t v)
{
	family(b, name, type, help);
	sample(b, name, NULL, NULL);
	number(b, v);
}

static void one_time(struct buf *b, const char *name, const char *type, const char *help,
		     uint64_t ns)
{
	family(b, name, type, help);
	sample(b, name, NULL, NULL);
	seconds(b, ns);
}

/* --- what is recorded ------------------------------------------------------------------------ */

static void write_build(struct exchange *x, struct buf *b)
{
	struct ground_rates rates;

	x->desk->ground->get_rates(&rates);
	family(b, "build_info", "gauge", "Always 1; the version of the library.");
	sample(b, "build_info", "version", SHIM_VERSION);
	number(b, 1);
	one_number(b, "start_time_seconds", "gauge",
		   "Unix time at which this process was first profiled.",
		   (uint64_t)x->desk->born_s);
	one_number(b, "cpu_rate_hertz", "gauge", "CPU samples per second of CPU time; 0 off.",
		   rates.cpu_hz);
	one_number(b, "heap_rate_bytes", "gauge", "Mean bytes between heap samples; 0 off.",
		   rates.heap_rate);
	one_time(b, "block_rate_seconds", "gauge",
		 "Mean time of waiting between block samples; 0 off.", rates.block_rate);
	one_number(b, "mutex_fraction", "gauge",
		   "One in so many releases that made others wait is sampled; 0 off.",
		   rates.mutex_fraction);
}

static void write_samples(struct exchange *x, struct buf *b)
{
	family(b, "samples_total", "counter",
	       "What each profile has recorded: samples; of block and mutex the waits that they "
	       "stand for.");
	for (unsigned i = 0; i < GROUND_PROFILES; i++) {
		enum ground_profile profile = (enum ground_profile)i;

		sample(b, "samples_total", "profile", own_profile_name(profile));
		number(b, own_samples(x, profile));
	}
	family(b, "sites", "gauge",
	       "Distinct stacks, with what else is kept apart; threadcreate: live threads.");
	for (unsigned i = 0; i < GROUND_PROFILES; i++) {
		enum ground_profile profile = (enum ground_profile)i;

		sample(b, "sites", "profile", own_profile_name(profile));
		number(b, x->desk->ground->sites(profile));
	}
	family(b, "dropped_total", "counter", "What was given up, by reason; the index explains.");
	for (unsigned i = 0; i < COUNT_REASONS; i++) {
		sample(b, "dropped_total", "reason", count_name((enum count)i));
		number(b, x->desk->ground->dropped((enum count)i));
	}
}

/* --- what it costs --------------------------------------------------------------------------- */

static void write_memory(struct exchange *x, struct buf *b, const struct own_cost *cost)
{
	static const char *const name[] = { "table_budget_bytes", "table_used_bytes" };
	static const char *const help[] = {
		"Room for stacks and counters of a profile.",
		"Of that, what is in use, or was before it was cleared.",
	};

	for (unsigned k = 0; k < 2; k++) {
		family(b, name[k], "gauge", help[k]);
		for (unsigned i = 0; i < GROUND_PROFILES; i++) {
			struct ground_memory m;

			x->desk->ground->memory((enum ground_profile)i, &m);
			sample(b, name[k], "profile", own_profile_name((enum ground_profile)i));
			number(b, k == 0 ? m.budget : m.used);
		}
	}
	one_number(b, "tables_resident_bytes", "gauge", "Resident memory of all these tables.",
		   cost->resident);
	one_number(b, "names_bytes", "gauge", "Indexes of the names of functions.", cost->names);
	one_number(b, "unwind_tables_bytes", "gauge",
		   "Unwind tables: copies of them, and what they were compiled to.", cost->tables);
	one_number(b, "mapped_bytes", "gauge",
		   "Address space of the library's own, most of it never touched.", cost->mapped);
}

static void write_time(struct buf *b, const struct own_cost *cost)
{
	one_time(b, "desk_cpu_seconds_total", "counter", "CPU time of the library's own thread.",
		 cost->desk_ns);
	family(b, "handler_cpu_seconds_total", "counter",
	       "CPU time of the program's threads for samples, in ticks and in doors (malloc, "
	       "locks): one in 64 is timed. The kernel's part of a signal is not in it.");
	sample(b, "handler_cpu_seconds_total", "in", "tick");
	seconds(b, cost->tick_ns);
	sample(b, "handler_cpu_seconds_total", "in", "door");
	seconds(b, cost->door_ns);
	one_time(b, "process_cpu_seconds_total", "counter",
		 "CPU time of the whole process, the two above included.", cost->process_ns);
}

static void write_rounds(struct buf *b)
{
	const struct meter_rounds r = *meter_rounds();
	uint64_t sum = 0;

	family(b, "desk_round_seconds", "histogram",
	       "CPU time of the library's own thread between two looks at its sockets.");
	for (unsigned i = 0; i <= METER_BOUNDS; i++) {
		sum += r.count[i];
		buf_string(b, "pprofshim_desk_round_seconds_bucket{le=\"");
		if (i < METER_BOUNDS)
			seconds_text(b, meter_bound_ns[i]);
		else
			buf_string(b, "+Inf");
		buf_string(b, "\"} ");
		number(b, sum);
	}
	sample(b, "desk_round_seconds_sum", NULL, NULL);
	seconds(b, r.sum_ns);
	sample(b, "desk_round_seconds_count", NULL, NULL);
	number(b, sum);
	family(b, "desk_step_max_seconds", "gauge", "The longest step of a round, by what it did.");
	for (unsigned i = 0; i < METER_PARTS; i++) {
		sample(b, "desk_step_max_seconds", "part", meter_part_name((enum meter_part)i));
		seconds(b, r.step_max_ns[i]);
	}
}

static void write_requests(struct buf *b)
{
	const struct meter_request *r;
	uint64_t now, all = meter_connections(&now);

	family(b, "requests_total", "counter",
	       "Answers by endpoint and status; none: no endpoint has made it.");
	for (size_t i = 0; (r = meter_request_at(i)) != NULL; i++) {
		buf_string(b, "pprofshim_requests_total{endpoint=\"");
		buf_string(b, r->endpoint);
		buf_string(b, "\",status=\"");
		buf_unsigned(b, (uint64_t)r->status);
		buf_string(b, "\"} ");
		number(b, r->count);
	}
	one_number(b, "accepted_total", "counter", "Connections that were accepted.", all);
	one_number(b, "connections", "gauge", "Connections that are open now.", now);
}

void serve_metrics(struct exchange *x)
{
	char bytes[2048];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);
	struct own_cost cost;

	exchange_text(x);
	x->reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
	own_cost(x, &cost);
	write_build(x, &b);
	write_samples(x, &b);
	write_memory(x, &b, &cost);
	write_time(&b, &cost);
	write_rounds(&b);
	write_requests(&b);
	buf_flush(&b);
}
