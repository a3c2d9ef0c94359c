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
	/* Not on the index: who follows a link there would take what a scraper waits for. */
	{ "delta_block", serve_delta_block, GET, NULL, -1 },
	{ "delta_heap", serve_delta_heap, GET, NULL, -1 },
	{ "delta_mutex", serve_delta_mutex, GET, NULL, -1 },
	{ "goroutine", serve_goroutine, GET,
	  "What all threads do now; debug=2: each by itself, and for whom it waits. "
	  "Also called threads.",
	  GROUND_CREATE },
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
	{ "threadcreate", serve_threadcreate, GET,
	  "The stacks that created the threads which live now.", GROUND_CREATE },
	{ "threads", serve_goroutine, GET, NULL, -1 },
	{ "wall", serve_wall, GET,
	  "Where all threads are in the next seconds=N (30), on a CPU or not; hz=99, "
	  "labels=state, format=folded. The same as /debug/fgprof.",
	  GROUND_WALL },
};

/* By their whole path. */
static const struct route elsewhere[] = {
	/* Where github.com/felixge/fgprof is found, and so a scraper's default. */
	{ "/debug/fgprof", serve_fgprof, GET, NULL, -1 },
	/* Its names, with symbolize=none: there go tool pprof asks for them. */
	{ "/debug/symbolz", serve_symbol, GET ", POST", NULL, -1 },
	{ "/healthz", serve_health, GET, NULL, -1 },
	{ "/metrics", serve_metrics, GET, NULL, -1 },
	/* gperftools' dialect: what its clients ask for, and those of Go for it. */
	{ "/pprof/censusprofile", serve_legacy_unknown, GET, NULL, -1 },
	{ "/pprof/cmdline", serve_legacy_cmdline, GET, NULL, -1 },
	{ "/pprof/contention", serve_legacy_contention, GET, NULL, GROUND_MUTEX },
	{ "/pprof/filteredprofile", serve_legacy_unknown, GET, NULL, -1 },
	{ "/pprof/growth", serve_legacy_growth, GET, NULL, GROUND_MAPPED },
	{ "/pprof/heap", serve_legacy_heap, GET, NULL, GROUND_HEAP },
	{ "/pprof/pmuprofile", serve_legacy_unknown, GET, NULL, -1 },
	{ "/pprof/profile", serve_legacy_profile, GET, NULL, -1 },
	{ "/pprof/symbol", serve_symbol, GET ", POST", NULL, -1 },
	/* go tool pprof, of a profile whose name it does not know: wall. */
	{ "/pprof/symbolz", serve_symbol, GET ", POST", NULL, -1 },
	{ "/pprof/wall", serve_legacy_wall, GET, NULL, GROUND_WALL },
	/* That of Go 1.19, for both. */
	{ "/symbolz", serve_symbol, GET ", POST", NULL, -1 },
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

static const struct route *find_in(const struct route *table, size_t count, const char *name,
				   size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
			return &table[i];
	return NULL;
}

static const struct route *find(const char *name, size_t len)
{
	if (is_symbol(name, len)) {
		name = "symbol";
		len = 6;
	}
	return find_in(routes, COUNT_OF(routes), name, len);
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

/* As /metrics calls it: "heap", "index", "pprof/heap". */
static const char *endpoint_of(const struct route *route)
{
	if (route == NULL)
		return "unknown";
	return route->name[0] == '/' ? route->name + 1 : route->name[0] != '\0' ? route->name
										 : "index";
}

static void serve(const struct route *route, struct exchange *x)
{
	x->endpoint = endpoint_of(route);
	if (!allows(route != NULL ? route->methods : GET, x->request.method)) {
		exchange_mux_error(x, 405, "Method Not Allowed");
		x->reply.allow = route != NULL ? route->methods : GET;
	} else if (route == NULL) {
		exchange_error(x, 404, "Unknown profile");
	} else {
		route->serve(x);
	}
}

void routes_serve(struct exchange *x)
{
	size_t prefix = strlen(ROUTES_PREFIX);
	const struct route *other;

	if (strcmp(x->path, "/debug/pprof") == 0 || strcmp(x->path, "/") == 0) {
		exchange_redirect(x, ROUTES_PREFIX);
		return;
	}
	other = find_in(elsewhere, COUNT_OF(elsewhere), x->path, x->path_len);
	if (other != NULL)
		serve(other, x);
	else if (has_prefix(x, ROUTES_PREFIX))
		serve(find(x->path + prefix, x->path_len - prefix), x);
	else
		exchange_mux_error(x, 404, "404 page not found");
}
