/* httpd/request_path.h -- the path of a request: clean and decoded, or where to go instead.
 *
 * Context   pure.
 * Tests     test/unit/request_test.c, test/fuzz/request_fuzz.c */
#ifndef HTTPD_REQUEST_PATH_H
#define HTTPD_REQUEST_PATH_H

#include "httpd/request.h"

/* Puts the path into out, followed by a 0, and returns its length.
 *
 * *moved false   the path is clean, and out is what it decodes to: any bytes, also 0.  An encoded
 *                slash in the first two segments stays %2F: it separates nothing (Go's mux
 *                compares segments), so /debug%2Fpprof/heap is not /debug/pprof/heap.
 * *moved true    it has //, /./ or /../: out is the clean path, still encoded, for a redirect (307,
 *                the query is kept). */
size_t request_path(const struct request *r, char out[static REQUEST_HEAD_MAX], bool *moved);

#endif
