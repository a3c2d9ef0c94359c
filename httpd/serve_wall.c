/* Where all threads are, on a CPU or not: /debug/pprof/wall, and the same as github.com/felixge/
 * fgprof serves it. */
#include "httpd/chores.h"
#include "httpd/profiles.h"
#include "httpd/query.h"
#include "httpd/serve.h"

#define SECONDS_DEFAULT 30
#define HZ_DEFAULT      99              /* fgprof's: not in step with what happens 100 times */

/* Of the ticks; a thread among thousands is looked at less often. */
static int64_t period(struct exchange *x)
{
	return 1000000000 / (int64_t)x->window.wall_hz;
}

static void values(const int64_t c[SITES_VALUES], int64_t *value)
{
	value[0] = profiles_whole(c[WALL_SAMPLES]);
	value[1] = c[WALL_NANOSECONDS];
}

/* fgprof's folded lines count samples. */
#define WALL_KIND(kind_name, folded)                                                               \
	{                                                                                          \
		.name = (kind_name),                                                               \
		.ground = GROUND_WALL,                                                             \
		.sample_type = { { "samples", "count" }, { "time", "nanoseconds" } },              \
		.sample_types = 2,                                                                 \
		.period_type = { "wallclock", "nanoseconds" },                                     \
		.is_window = true,                                                                 \
		.folded_value = (folded),                                                          \
		.labels = "thread, state",                                                         \
		.period_of = period,                                                               \
		.values = values,                                                                  \
	}

static const struct profile_kind wall = WALL_KIND("wall", NULL);
static const struct profile_kind fgprof = WALL_KIND("fgprof", "samples");

/* False: it is no rate, and that is the answer. */
static bool read_hz(struct exchange *x, int64_t *hz)
{
	struct request_text query = x->request.query;
	int asked;

	*hz = HZ_DEFAULT;
	asked = query_int(query.at, query.len, "hz", hz);
	if (asked != QUERY_BAD && *hz >= 1 && *hz <= WALL_HZ_MAX)
		return true;
	exchange_error(x, 400, "invalid value for \"hz\" - must be an integer from 1 to 1000");
	return false;
}

static void serve(struct exchange *x, const struct profile_kind *kind, int64_t seconds)
{
	struct formats f;
	int64_t hz;

	if (!read_hz(x, &hz) || !formats_read(x, kind, &f) ||
	    !profiles_check_labels(x, kind->labels))
		return;
	formats_answer(x, &f, kind->name);
	if (exchange_is_head(x)) {
		x->reply.length_unknown = true;
		return;
	}
	chores_find_threads(x->desk->ground);
	window_open_wall(&x->window, &x->arena, x->desk->ground, (unsigned)hz);
	profiles_serve_window(x, kind, &f, seconds);
}

/* As profile: what is no number is as if it were not there. */
void serve_wall(struct exchange *x)
{
	struct request_text query = x->request.query;
	int64_t seconds = query_int_or(query.at, query.len, "seconds", 0);

	serve(x, &wall, seconds > 0 ? seconds : SECONDS_DEFAULT);
}

/* fgprof refuses it, with its own words. */
void serve_fgprof(struct exchange *x)
{
	struct request_text query = x->request.query;
	int64_t seconds = SECONDS_DEFAULT;
	int asked = query_int(query.at, query.len, "seconds", &seconds);

	if (asked == QUERY_BAD || seconds <= 0)
		exchange_error(x, 400, "bad seconds: must be a positive integer");
	else
		serve(x, &fgprof, seconds);
}
