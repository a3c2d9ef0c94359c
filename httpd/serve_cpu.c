#include "httpd/profiles.h"
#include "httpd/query.h"
#include "httpd/serve.h"

#define SECONDS_DEFAULT 30
#define PERIOD_DEFAULT  10000000        /* of 100 Hz: while the sampler is off */

static int64_t period(const struct ground_rates *rates)
{
	return rates->cpu_hz != 0 ? 1000000000 / (int64_t)rates->cpu_hz : PERIOD_DEFAULT;
}

static void values(const int64_t counter[SITES_VALUES], int64_t *value)
{
	value[0] = counter[CPU_SAMPLES];
	value[1] = counter[CPU_NANOSECONDS];
}

static const struct profile_kind kind = {
	.name = "profile",
	.ground = GROUND_CPU,
	.sample_type = { { "samples", "count" }, { "cpu", "nanoseconds" } },
	.sample_types = 2,
	.period_type = { "cpu", "nanoseconds" },
	.period = period,
	.values = values,
};

/* Unlike Go, any number of these at once; and a HEAD does not wait. */
void serve_profile(struct exchange *x)
{
	struct request_text query = x->request.query;
	int64_t seconds = query_int_or(query.at, query.len, "seconds", 0);

	if (exchange_is_head(x)) {
		exchange_file(x, kind.name);
		x->reply.length_unknown = true;
		return;
	}
	window_open(&x->window, &x->arena, x->desk->ground, kind.ground);
	profiles_serve_window(x, &kind, seconds > 0 ? seconds : SECONDS_DEFAULT, kind.name);
}
