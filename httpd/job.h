/* httpd/job.h -- work of our thread, cut into steps.
 *
 * A job runs on a stack of its own.  Where it might take long it says job_breathe(): after
 * JOB_STEP_NS the desk goes on with its sockets and other jobs and comes back later.  So code that
 * builds a profile reads from top to bottom, and no request holds up another.
 *
 * Context   our thread only. */
#ifndef HTTPD_JOB_H
#define HTTPD_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOB_STEP_NS     2000000         /* 2 ms */
#define JOB_STACK_BYTES (1u << 20)      /* touched as needed; a guard page below */

struct job;

/* NULL if there is no memory.  run(arg) starts at the first job_step. */
struct job *job_new(void (*run)(void *arg), void *arg);
/* Runs it for a step.  Returns true when run has returned. */
bool job_step(struct job *job);
/* CLOCK_MONOTONIC at which the next step makes sense: 0 at once. */
uint64_t job_wake_ns(const struct job *job);
/* Gives its stack back, at any point of its work: run owns nothing but arena memory. */
void job_free(struct job *job);

/* Inside run: go on, or let the desk go on if this step has lasted long enough.  Outside of a job
 * (a unit test) it does nothing. */
void job_breathe(void);
/* Inside run: come back at this time of CLOCK_MONOTONIC. */
void job_sleep_until(uint64_t wake_ns);

#endif
