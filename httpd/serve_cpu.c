#include "httpd/job.h"
#include "httpd/profiles.h"
#include "httpd/query.h"
#include "httpd/serve.h"

#define SECONDS_DEFAULT 30
#define HZ_DEFAULT      100             /* of the period, while the sampler is off */

/* What one sample stands for, in the mean: the rate may have been raised for another's window. */
static int64_t period(struct exchange *x)
{
	uint64_t samples = 0, ns = 0, hz = x->window.cpu_hz;
	int64_t value[SITES_VALUES];
	struct ground_rates rates;
	struct site_key key;

	window_begin_reading(&x->window);
	for (uint32_t row = 1, end = x->desk->ground->end(GROUND_CPU); row < end; row++) {
		if (window_read(&x->window, row, &key, value)) {
			samples += (uint64_t)value[CPU_SAMPLES];
			ns += (uint64_t)value[CPU_NANOSECONDS];
		}
		if (row % 256 == 0)
			job_breathe();
	}
	if (samples != 0)
		return (int64_t)((ns + samples / 2) / samples);
	x->desk->ground->get_rates(&rates);
	if (rates.cpu_hz > hz)
		hz = rates.cpu_hz;
	return 1000000000 / (int64_t)(hz != 0 ? hz : HZ_DEFAULT);
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
	.is_window = true,
	.labels = "thread",
	.period_of = period,
	.values = values,
};

/* Unlike Go, any number of these at once, each at the rate that it asks for or a higher one; and a
 * HEAD does not wait. */
void serve_profile(struct exchange *x)
{
	struct request_text query = x->request.query;
	int64_t seconds = query_int_or(query.at, query.len, "seconds", 0), hz = 0;
	int asked = query_int(query.at, query.len, "hz", &hz);
	struct formats f;

	if (asked == QUERY_BAD || (asked == QUERY_INT && (hz < 1 || hz > GROUND_CPU_HZ_MAX))) {
		exchange_error(x, 400,
			       "invalid value for \"hz\" - must be an integer from 1 to 1000");
		return;
	}
	if (!formats_read(x, &kind, &f) || !profiles_check_labels(x, kind.labels))
		return;
	formats_answer(x, &f, kind.name);
	if (exchange_is_head(x)) {
		x->reply.length_unknown = true;
		return;
	}
	window_open_cpu(&x->window, &x->arena, x->desk->ground, (unsigned)hz);
	profiles_serve_window(x, &kind, &f, seconds > 0 ? seconds : SECONDS_DEFAULT);
}
