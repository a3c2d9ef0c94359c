/* httpd/chores.h -- what the ground does in steps, for a job that waits for its end.
 *
 * Context   our thread, inside a job. */
#ifndef HTTPD_CHORES_H
#define HTTPD_CHORES_H

#include "httpd/exchange.h"
#include "httpd/job.h"
#include "sampler/ground.h"

/* From now on what is mapped now is known. */
static inline void chores_refresh(const struct ground *ground)
{
	uint64_t ticket = 0;

	while (ground->refresh(&ticket))
		job_breathe();
}

/* From now on all threads that live now are. */
static inline void chores_find_threads(const struct ground *ground)
{
	uint64_t ticket = 0;

	while (ground->find_threads(&ticket))
		job_breathe();
}

/* The threads of this process, in steps; what is open is closed with the job at the latest. */
static inline int chores_list_open(struct exchange *x, struct looks_list *l)
{
	int err = x->desk->ground->list_open(l);

	x->list = err < 0 ? NULL : l;
	return err;
}

/* As looks_list_step; max should be some hundreds. */
static inline long chores_list_step(struct exchange *x, int *tid, long max)
{
	job_breathe();
	return x->desk->ground->list_step(x->list, tid, max);
}

static inline void chores_list_close(struct exchange *x)
{
	x->desk->ground->list_close(x->list);
	x->list = NULL;
}

#endif
