/* httpd/serve.h -- what each route answers (routes.c).  Inside a job: they may take their time. */
#ifndef HTTPD_SERVE_H
#define HTTPD_SERVE_H

#include "httpd/exchange.h"

void serve_index(struct exchange *x);           /* serve_index.c */
void serve_config(struct exchange *x);          /* serve_config.c */
void serve_cmdline(struct exchange *x);         /* serve_small.c */
void serve_symbol(struct exchange *x);
void serve_profile(struct exchange *x);         /* serve_profile.c */
void serve_heap(struct exchange *x);
void serve_allocs(struct exchange *x);
void serve_mmap(struct exchange *x);            /* serve_mapped.c */

void serve_block(struct exchange *x);           /* serve_locks.c */
void serve_mutex(struct exchange *x);

#endif
