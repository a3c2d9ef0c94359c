/* httpd/exchange.h -- one request and its answer, from the first byte of the one to the last of the
 * other.  What a route's function is given. */
#ifndef HTTPD_EXCHANGE_H
#define HTTPD_EXCHANGE_H

#include <stdbool.h>

#include "encode/arena.h"
#include "httpd/address.h"
#include "httpd/body.h"
#include "httpd/guard.h"
#include "httpd/request.h"
#include "httpd/window.h"
#include "sampler/ground.h"

/* An option of ours as it is in force; texts that stay. */
struct desk_option {
	const char *name, *value;
	bool        is_set;             /* else it is the default */
};

/* What is told of the command line: its arguments may hold secrets. */
enum desk_cmdline { DESK_CMDLINE_FULL, DESK_CMDLINE_ARGV0, DESK_CMDLINE_OFF };

/* What all requests share: fixed when the thread is born. */
struct desk_view {
	const struct ground *ground;
	const struct desk_option *option;
	size_t options;
	bool names;             /* functions by name; else addresses only */
	enum desk_cmdline cmdline;
	struct guard_policy guard;
	int64_t born_s;         /* CLOCK_REALTIME at which this process or program began */
};

struct reply {
	int         status;             /* 0: not answered yet */
	const char *content_type;
	const char *filename;           /* NULL: no Content-Disposition */
	const char *location;           /* redirects; the query goes with it */
	const char *allow;              /* 405 */
	bool        from_pprof;         /* X-Go-Pprof: an error in pprof's own words */
	bool        length_unknown;     /* of a HEAD: nobody made the body */
	bool        preflight;          /* a browser was told what a listed page may do */
	struct body body;
};

struct exchange {
	const struct desk_view *desk;
	const struct address   *local;  /* what it came in at */
	struct arena            arena;  /* of this request: the answer lives here */
	struct window           window; /* of this request, closed with it */
	struct request          request;
	bool                    origin_is_listed; /* of a page that may read (guard.h) */
	const char             *path;   /* clean and decoded; path_len bytes and a 0 */
	size_t                  path_len;
	const char             *endpoint; /* whose answer it is, a constant; NULL: no route's */
	const char             *data;   /* the request's body */
	size_t                  data_len;
	struct looks_list      *list;   /* open, on the job's stack: closed with it; NULL none */
	struct reply            reply;
};

/* An error in Go's shape: text/plain, X-Go-Pprof, the text and a newline; whatever was written is
 * dropped. */
void exchange_error(struct exchange *x, int status, const char *text);
/* The same without X-Go-Pprof: what a Go server's mux answers outside of pprof.  NULL: the text is
 * still to come. */
void exchange_mux_error(struct exchange *x, int status, const char *text);

void exchange_text(struct exchange *x);                         /* 200, text/plain */
void exchange_file(struct exchange *x, const char *filename);   /* 200, octet-stream, attachment */
/* 307 to path (still encoded, it stays) with the query of the request, as Go's http.Redirect. */
void exchange_redirect(struct exchange *x, const char *path);

/* The request wants to know what would be answered, not the answer. */
bool exchange_is_head(const struct exchange *x);

#endif
