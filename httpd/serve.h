/* httpd/serve.h -- what each route answers (routes.c).  Inside a job: they may take their time. */
#ifndef HTTPD_SERVE_H
#define HTTPD_SERVE_H

#include "httpd/exchange.h"

void serve_index(struct exchange *x);           /* serve_index.c */
void serve_health(struct exchange *x);          /* serve_health.c */
void serve_metrics(struct exchange *x);         /* serve_metrics.c */
void serve_config(struct exchange *x);          /* serve_config.c */
void serve_cmdline(struct exchange *x);         /* serve_small.c */
void serve_symbol(struct exchange *x);
void serve_profile(struct exchange *x);         /* serve_profile.c */
void serve_heap(struct exchange *x);
void serve_allocs(struct exchange *x);
void serve_delta_heap(struct exchange *x);
void serve_mmap(struct exchange *x);            /* serve_mapped.c */

void serve_block(struct exchange *x);           /* serve_locks.c */
void serve_mutex(struct exchange *x);
void serve_delta_block(struct exchange *x);
void serve_delta_mutex(struct exchange *x);
void serve_wall(struct exchange *x);            /* serve_wall.c */
void serve_fgprof(struct exchange *x);
void serve_threadcreate(struct exchange *x);    /* serve_threadcreate.c */
void serve_goroutine(struct exchange *x);       /* serve_threads.c: also threads */

void serve_legacy_profile(struct exchange *x);  /* serve_legacy.c: /pprof/ */
void serve_legacy_wall(struct exchange *x);
void serve_legacy_contention(struct exchange *x);
void serve_legacy_cmdline(struct exchange *x);
void serve_legacy_unknown(struct exchange *x);
void serve_legacy_heap(struct exchange *x);     /* serve_legacy_heap.c */
void serve_legacy_growth(struct exchange *x);

#endif
