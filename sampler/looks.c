#include "sampler/looks.h"

#include <errno.h>
#include <string.h>

#include "sampler/asks.h"
#include "sampler/log.h"
#include "sampler/looks_files.h"
#include "sampler/modules.h"
#include "sampler/os.h"
#include "sampler/parked.h"

/* So often a thread that is found to have moved is looked at anew; then it is as one that runs. */
#define TRIES 3

/* Asked so long ago, and nobody has come for an answer: kernels tick every 10 ms at least. */
#define PATIENCE_NS 20000000u

static _Atomic bool said_hidden;

/* --- a thread that does not run -------------------------------------------------------------- */

/* Doors, and the start of a thread: the host has no such frames. */
static unsigned leave_out_ours(struct look *out, uintptr_t *pc, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (!modules_is_ours(pc[i]))
			pc[kept++] = pc[i];
		else if (out->door == 0)
			out->door = pc[i];
	return kept;
}

static bool has_ended(char letter)
{
	return letter == 'Z' || letter == 'X';
}

/* 1: so it is; 0: it runs; or -errno. */
static int look_once(struct look *out, uintptr_t *pc, unsigned max)
{
	int err;

	out->cpu_ns = os_thread_cpu_ns(out->tid);
	err = looks_files_call(out->tid, out);
	if (err != 1)
		return err;
	out->depth = parked_walk(out->pc, out->sp, pc, max, &out->truncated);
	/* It stands still as long as the thread does not run: the file and the stack are of one
	 * moment. */
	return os_thread_cpu_ns(out->tid) == out->cpu_ns;
}

/* The same. */
static int look_at_parked(struct look *out, uintptr_t *pc, unsigned max)
{
	int err = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		err = look_once(out, pc, max);
		if (err != 0 || out->sp == 0)
			break;
		out->sp = out->pc = 0;
	}
	return err;
}

/* --- how it is ------------------------------------------------------------------------------- */

static bool take_answer(struct look *out, uintptr_t *pc, unsigned max)
{
	struct asks_answer answer;
	uint64_t now = os_monotonic_ns();

	if (!asks_take(out->tid, now - LOOKS_ANSWER_NS, &answer, pc, max))
		return false;
	out->at_ns = answer.at_ns;
	out->depth = leave_out_ours(out, pc, answer.depth);
	out->truncated = answer.truncated;
	return true;
}

static enum look_how be_hidden(const struct look *out, bool ask)
{
	if (!said_hidden)
		log_line(LOG_INFO, "/proc/self/task/.../syscall cannot be read: ",
			 "what threads wait for is not shown", NULL);
	said_hidden = true;
	if (out->letter != 'R')
		return LOOK_HIDDEN;
	if (ask)
		asks_ask(out->tid);
	return LOOK_SILENT;
}

static bool is_gone(int err, int tid)
{
	return (err == -ENOENT || err == -ESRCH) && os_thread_cpu_ns(tid) == 0;
}

static enum look_how look(struct look *out, uintptr_t *pc, unsigned max, bool ask)
{
	int err = looks_files_state(out->tid, out);

	out->cpu_ns = os_thread_cpu_ns(out->tid);
	if (err == -ESRCH || is_gone(err, out->tid))
		return LOOK_GONE;
	out->wait_ns = looks_files_wait_ns(out->tid);
	if (ask && take_answer(out, pc, max))
		return LOOK_RUNNING;
	if (out->tid == os_gettid())
		return LOOK_SILENT;
	out->nr = -1;
	if (has_ended(out->letter))
		return LOOK_BLOCKED;
	err = look_at_parked(out, pc, max);
	if (err == 1) {
		if (ask)
			asks_give_up(out->tid, UINT64_MAX);
		out->depth = leave_out_ours(out, pc, out->depth);
		return LOOK_BLOCKED;
	}
	out->sp = out->pc = 0;
	out->depth = 0;
	out->truncated = false;
	if (err < 0)
		return is_gone(err, out->tid) ? LOOK_GONE : be_hidden(out, ask);
	if (ask)
		asks_ask(out->tid);
	return LOOK_SILENT;
}

static enum look_how look_at(int tid, struct look *out, uintptr_t *pc, unsigned max, bool ask)
{
	memset(out, 0, sizeof(*out));
	out->tid = tid;
	out->letter = '?';
	out->nr = -1;
	out->at_ns = os_monotonic_ns();
	out->how = look(out, pc, max, ask);
	return out->how;
}

enum look_how looks_at(int tid, struct look *out, uintptr_t *pc, unsigned max)
{
	return look_at(tid, out, pc, max, true);
}

enum look_how looks_peek(int tid, struct look *out, uintptr_t *pc, unsigned max)
{
	return look_at(tid, out, pc, max, false);
}

bool looks_is_same(const struct look *before)
{
	return before->how == LOOK_BLOCKED && os_thread_cpu_ns(before->tid) == before->cpu_ns;
}

void looks_rest(void)
{
	asks_give_up(0, os_monotonic_ns() - PATIENCE_NS);
}
