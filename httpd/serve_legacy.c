/* /pprof/: gperftools' remote dialect, for google-pprof, jeprof and who else speaks it.
 *
 * What is counted is what /debug/pprof/ has; the forms know neither names nor modules, so readers
 * ask for those at /pprof/symbol, with HEAD (is it elsewhere?) and POST. */
#include "httpd/chores.h"
#include "httpd/job.h"
#include "httpd/legacy_stacks.h"
#include "httpd/legacy_text.h"
#include "httpd/legacy_words.h"
#include "httpd/query.h"
#include "httpd/serve.h"

#define SECONDS_DEFAULT 30
#define SECONDS_MAX     1000000         /* as profiles.c */
#define WALL_HZ_DEFAULT 99              /* as serve_wall.c */
#define CPU_HZ_DEFAULT  100             /* of the period, while the sampler is off */
#define SECOND_NS       1000000000ull

static_assert(GROUND_CPU_HZ_MAX == 1000 && WALL_HZ_MAX == 1000, "as the text of 400 says");

/* --- profile and wall ------------------------------------------------------------------------ */

static const struct profile_kind cpu = { .name = "profile", .ground = GROUND_CPU };
static const struct profile_kind wall = { .name = "wall", .ground = GROUND_WALL };

static void write_words(struct legacy_stacks *s, uint64_t period_ns, unsigned counter)
{
	struct legacy_words w;

	legacy_words_begin(&w, &s->b, period_ns >= 1000 ? (period_ns + 500) / 1000 : 1);
	for (uint32_t i = 0; i < s->samples.count; i++) {
		int64_t ns = s->samples.sample[i].value[counter];

		if (ns <= 0)
			continue;
		if (!legacy_stacks_set(s, &s->samples.sample[i]))
			return;
		legacy_words_add(&w, (uint64_t)ns, s->address, s->depth);
	}
	legacy_words_end(&w);
	legacy_stacks_end(s);
}

/* What one sample stands for, in the mean: the rate may have been raised for another's window. */
static uint64_t cpu_period_ns(const struct legacy_stacks *s)
{
	uint64_t samples = 0, ns = 0, hz = s->x->window.cpu_hz;
	struct ground_rates rates;

	for (uint32_t i = 0; i < s->samples.count; i++) {
		samples += (uint64_t)s->samples.sample[i].value[CPU_SAMPLES];
		ns += (uint64_t)s->samples.sample[i].value[CPU_NANOSECONDS];
		job_breathe();
	}
	if (samples != 0)
		return ns / samples;
	s->x->desk->ground->get_rates(&rates);
	if (rates.cpu_hz > hz)
		hz = rates.cpu_hz;
	return SECOND_NS / (hz != 0 ? hz : CPU_HZ_DEFAULT);
}

/* seconds= as of Go's profile: what is no number is as if it were not there.  False: hz= is none
 * that can be, and that is the answer. */
static bool read_times(struct exchange *x, int64_t *seconds, int64_t *hz)
{
	struct request_text query = x->request.query;
	int asked = query_int(query.at, query.len, "hz", hz);

	*seconds = query_int_or(query.at, query.len, "seconds", 0);
	if (*seconds <= 0)
		*seconds = SECONDS_DEFAULT;
	if (*seconds > SECONDS_MAX)
		*seconds = SECONDS_MAX;
	if (asked != QUERY_BAD && (asked == QUERY_ABSENT || (*hz >= 1 && *hz <= WALL_HZ_MAX)))
		return true;
	exchange_error(x, 400, "invalid value for \"hz\" - must be an integer from 1 to 1000");
	return false;
}

/* True: nothing is measured for that. */
static bool is_answered_by_head(struct exchange *x, const struct profile_kind *kind)
{
	exchange_file(x, kind->name);
	x->reply.length_unknown = exchange_is_head(x);
	return x->reply.length_unknown;
}

static void wait_for_window(struct exchange *x, int64_t seconds)
{
	job_sleep_until(x->window.begin_ns + (uint64_t)seconds * SECOND_NS);
	chores_refresh(x->desk->ground);
}

void serve_legacy_profile(struct exchange *x)
{
	int64_t seconds, hz = 0;
	struct legacy_stacks *s;

	if (!read_times(x, &seconds, &hz) || is_answered_by_head(x, &cpu))
		return;
	window_open_cpu(&x->window, &x->arena, x->desk->ground, (unsigned)hz);
	wait_for_window(x, seconds);
	s = legacy_stacks_new(x, &cpu, SAMPLES_BY_STACK, CPU_NANOSECONDS);
	if (s != NULL)
		write_words(s, cpu_period_ns(s), CPU_NANOSECONDS);
}

void serve_legacy_wall(struct exchange *x)
{
	int64_t seconds, hz = WALL_HZ_DEFAULT;
	struct legacy_stacks *s;

	if (!read_times(x, &seconds, &hz) || is_answered_by_head(x, &wall))
		return;
	chores_find_threads(x->desk->ground);
	window_open_wall(&x->window, &x->arena, x->desk->ground, (unsigned)hz);
	wait_for_window(x, seconds);
	s = legacy_stacks_new(x, &wall, SAMPLES_BY_STACK, WALL_NANOSECONDS);
	if (s != NULL)
		write_words(s, SECOND_NS / (uint64_t)hz, WALL_NANOSECONDS);
}

/* --- contention ------------------------------------------------------------------------------ */

/* Who held a lock while others waited: there, too, it is who unlocks that is charged.  Where they
 * waited, also for what is no lock, is in /debug/pprof/block. */
void serve_legacy_contention(struct exchange *x)
{
	static const struct profile_kind contention = { .name = "contention",
							.ground = GROUND_MUTEX };
	struct legacy_stacks *s;

	s = legacy_stacks_now(x, &contention, SAMPLES_BY_STACK, LOCKS_DELAY_NS);
	if (s == NULL)
		return;
	legacy_text_contention(&s->b);
	for (uint32_t i = 0; i < s->samples.count; i++) {
		const int64_t *value = s->samples.sample[i].value;

		if (!legacy_stacks_set(s, &s->samples.sample[i]))
			return;
		if (legacy_text_delay(&s->b, value[LOCKS_DELAY_NS],
				      profiles_whole(value[LOCKS_CONTENTIONS])))
			text_addresses(&s->b, s->address, s->depth);
	}
	buf_string(&s->b, "--- Memory map: ---\n");
	legacy_stacks_end(s);
}

/* --- the rest -------------------------------------------------------------------------------- */

/* A line for each argument: what serve_cmdline says, and with it what it leaves out. */
void serve_legacy_cmdline(struct exchange *x)
{
	serve_cmdline(x);
	if (x->reply.status != 200)
		return;
	for (struct body_piece *piece = x->reply.body.first; piece != NULL; piece = piece->next) {
		for (size_t i = 0; i < piece->len; i++) {
			if (piece->bytes[i] == '\n')
				piece->bytes[i] = ' ';
			else if (piece->bytes[i] == '\0')
				piece->bytes[i] = '\n';
		}
		job_breathe();
	}
	body_text(&x->reply.body, "\n");
}

void serve_legacy_unknown(struct exchange *x)
{
	exchange_error(x, 501, "not supported here: /pprof/ has profile, wall, heap, growth, "
			       "contention, symbol and cmdline");
}
