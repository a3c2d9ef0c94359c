/* httpd/routes.h -- path -> function. */
#ifndef HTTPD_ROUTES_H
#define HTTPD_ROUTES_H

#include <stddef.h>

#include "httpd/exchange.h"

#define ROUTES_PREFIX "/debug/pprof/"

struct route {
	const char *name;               /* behind the prefix; "" is the index */
	void (*serve)(struct exchange *x);
	const char *methods;            /* as in an Allow header */
	const char *help;               /* a sentence for the index; NULL: not listed there */
	int         profile;            /* enum ground_profile whose sites it counts; -1 none */
};

/* Answers the exchange: finds the route, checks the method.  Inside a job. */
void routes_serve(struct exchange *x);

/* All of them, sorted by name; NULL behind the last. */
const struct route *routes_at(size_t i);

#endif
