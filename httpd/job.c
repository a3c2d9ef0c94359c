/* libc's ucontext functions switch the stacks: plain register moves and one rt_sigprocmask, no
 * lock, nothing thread-local. */
#include "httpd/job.h"

#include <ucontext.h>

#include "sampler/os.h"

#define GUARD_BYTES 4096

/* At the high end of its stack's mapping. */
struct job {
	ucontext_t context;
	void (*run)(void *arg);
	void      *arg;
	void      *mapping;
	uint64_t   wake_ns;
	bool       done;
};

static struct {
	struct job *current;            /* NULL: no job is running */
	ucontext_t  context;            /* where job_step was called */
	uint64_t    step_end_ns;
} desk;

static void start(void)
{
	struct job *job = desk.current;

	job->run(job->arg);
	job->done = true;
	/* Returning goes to uc_link: the desk. */
}

struct job *job_new(void (*run)(void *arg), void *arg)
{
	char *mapping = os_map(JOB_STACK_BYTES);
	struct job *job;

	if (mapping == NULL)
		return NULL;
	os_guard(mapping, GUARD_BYTES);
	job = (struct job *)(void *)(mapping + JOB_STACK_BYTES - (sizeof(*job) + 63) / 64 * 64);
	job->mapping = mapping;
	job->run = run;
	job->arg = arg;
	getcontext(&job->context);
	job->context.uc_stack.ss_sp = mapping + GUARD_BYTES;
	job->context.uc_stack.ss_size = (size_t)((char *)job - (mapping + GUARD_BYTES));
	job->context.uc_link = &desk.context;
	makecontext(&job->context, start, 0);
	return job;
}

bool job_step(struct job *job)
{
	job->wake_ns = 0;
	desk.current = job;
	desk.step_end_ns = os_monotonic_ns() + JOB_STEP_NS;
	swapcontext(&desk.context, &job->context);
	desk.current = NULL;
	return job->done;
}

uint64_t job_wake_ns(const struct job *job)
{
	return job->wake_ns;
}

void job_free(struct job *job)
{
	os_unmap(job->mapping, JOB_STACK_BYTES);
}

void job_breathe(void)
{
	struct job *job = desk.current;

	if (job != NULL && os_monotonic_ns() >= desk.step_end_ns)
		swapcontext(&job->context, &desk.context);
}

void job_sleep_until(uint64_t wake_ns)
{
	struct job *job = desk.current;

	if (job == NULL)
		return;
	job->wake_ns = wake_ns;
	swapcontext(&job->context, &desk.context);
}
