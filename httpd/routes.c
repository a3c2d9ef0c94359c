#include "httpd/routes.h"

#include <string.h>

#include "httpd/serve.h"
#include "sampler/compiler.h"

#define GET "GET, HEAD"

/* Sorted by name, as the index shows them. */
static const struct route routes[] = {
	{ "", serve_index, GET, NULL, -1 },
	{ "allocs", serve_allocs, GET, "All sampled allocations since the start, also those freed.",
	  GROUND_HEAP },
	{ "block", serve_block, GET,
	  "Where threads waited: locks, conditions, joins, barriers, semaphores, futexes. "
	  "labels=lock: for which one.",
	  GROUND_BLOCK },
	{ "cmdline", serve_cmdline, GET, "The command line, NUL between two arguments.", -1 },
	{ "config", serve_config, GET ", POST",
	  "The rates as JSON; POST changes them, as JSON or as a form.", -1 },
	{ "heap", serve_heap, GET,
	  "Sampled allocations that are live now. min_age=60: those of a minute ago or before. "
	  "gc=1 is accepted; there is no collector to run.",
	  GROUND_HEAP },
	{ "mmap", serve_mmap, GET,
	  "Anonymous memory that is mapped now; what no call showed is in brackets.",
	  GROUND_MAPPED },
	{ "mutex", serve_mutex, GET,
	  "Who held the locks that others waited for, by where they were given back. "
	  "labels=lock: which one. view=pairs: who waited for whom.",
	  GROUND_MUTEX },
	{ "profile", serve_profile, GET,
	  "CPU time of the next seconds=N (30), for any number of clients at once.",
	  -1 },
	{ "symbol", serve_symbol, GET ", POST",
	  "Names of addresses: 0x1+0x2 as the query of a GET or the body of a POST.", -1 },
};

const struct route *routes_at(size_t i)
{
	return i < COUNT_OF(routes) ? &routes[i] : NULL;
}

static bool has_prefix(const struct exchange *x, const char *prefix)
{
	size_t n = strlen(prefix);

	return x->path_len >= n && memcmp(x->path, prefix, n) == 0;
}

/* go tool pprof asks for symbol beside whatever it fetched, also below a name with slashes. */
static bool is_symbol(const char *name, size_t len)
{
	return len >= 7 && memcmp(name + len - 7, "/symbol", 7) == 0;
}

static const struct route *find(const char *name, size_t len)
{
	if (is_symbol(name, len)) {
		name = "symbol";
		len = 6;
	}
	for (size_t i = 0; i < COUNT_OF(routes); i++)
		if (strlen(routes[i].name) == len && memcmp(routes[i].name, name, len) == 0)
			return &routes[i];
	return NULL;
}

/* True if the method is one of "GET, HEAD, POST". */
static bool allows(const char *methods, struct request_text method)
{
	while (*methods != '\0') {
		size_t n = strcspn(methods, ",");

		if (n == method.len && memcmp(methods, method.at, n) == 0)
			return true;
		methods += n;
		methods += strspn(methods, ", ");
	}
	return false;
}

void routes_serve(struct exchange *x)
{
	const struct route *route;
	size_t prefix = strlen(ROUTES_PREFIX);

	if (strcmp(x->path, "/debug/pprof") == 0 || strcmp(x->path, "/") == 0) {
		exchange_mux_error(x, 307, "Temporary Redirect");
		x->reply.location = ROUTES_PREFIX;
		return;
	}
	if (!has_prefix(x, ROUTES_PREFIX)) {
		exchange_mux_error(x, 404, "404 page not found");
		return;
	}
	route = find(x->path + prefix, x->path_len - prefix);
	if (!allows(route != NULL ? route->methods : GET, x->request.method)) {
		exchange_mux_error(x, 405, "Method Not Allowed");
		x->reply.allow = route != NULL ? route->methods : GET;
	} else if (route == NULL) {
		exchange_error(x, 404, "Unknown profile");
	} else {
		route->serve(x);
	}
}
