/* httpd/index_own.h -- the part of the index that Go's has not: what is off or out of sight and
 * why, what was given up, what it costs, the options in force, and where else to look.
 *
 * Context   our thread, inside a job. */
#ifndef HTTPD_INDEX_OWN_H
#define HTTPD_INDEX_OWN_H

#include "encode/buf.h"
#include "httpd/exchange.h"

void index_own(struct exchange *x, struct buf *b);

#endif
