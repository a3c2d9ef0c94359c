/* delta_heap, delta_block, delta_mutex: as github.com/grafana/pyroscope-go/godeltaprof serves them,
 * but for any number of clients. */
#include <string.h>

#include "httpd/chores.h"
#include "httpd/profiles.h"
#include "httpd/query.h"
#include "httpd/since.h"
#include "sampler/os.h"

/* Of our clock: when this process, or its program, began. */
static uint64_t began_ns(const struct exchange *x)
{
	uint64_t age_ns = os_realtime_ns() - (uint64_t)x->desk->born_s * 1000000000u;
	uint64_t now_ns = os_monotonic_ns();

	return age_ns < now_ns ? now_ns - age_ns : 0;
}

/* False: it is too long, and that is the answer. */
static bool read_client(struct exchange *x, char name[SINCE_NAME_MAX + 1])
{
	ssize_t n = query_find(x->request.query.at, x->request.query.len, "client", name,
			       SINCE_NAME_MAX + 1);

	if (n < 0)
		name[0] = '\0';
	if (n <= SINCE_NAME_MAX && (n < 0 || strlen(name) == (size_t)n))
		return true;
	exchange_error(x, 400,
		       "invalid value for \"client\" - allowed: a name of 63 bytes at most");
	return false;
}

void profiles_serve_since(struct exchange *x, const struct profile_kind *kind,
			  const char *filename)
{
	char name[SINCE_NAME_MAX + 1];
	struct formats f;

	if (!formats_read(x, kind, &f) || !read_client(x, name) ||
	    !profiles_check_labels(x, kind->labels))
		return;
	formats_answer(x, &f, filename);
	if (exchange_is_head(x)) {
		x->reply.length_unknown = true;
		return;
	}
	chores_refresh(x->desk->ground);
	if (since_begin(&x->window, &x->arena, x->desk->ground, kind->ground, name,
			began_ns(x)) < 0) {
		exchange_error(x, 503, "no room for what this client was told last");
		return;
	}
	profiles_write(x, kind, &f);
	if (!x->arena.failed)
		since_commit(&x->window);
}
