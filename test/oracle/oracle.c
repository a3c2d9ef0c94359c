/* The library with a second opinion: each stack that it takes is walked once more by libunwind, and
 * compared address by address; and once more by us, without the memo of its thread.  All objects of
 * the library are in it; only the calls of unwind_stack lead here (ld --wrap).  So what is compared
 * is what a profile gets: by its timers and doors, with what its scans have seen, from its caches.
 *
 * Context   as unwind_stack.
 * Errors    ORACLE_DIR names the folder for the reports; without it this is the plain library. */
#include <assert.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sampler/modules.h"
#include "sampler/os.h"
#include "sampler/tables.h"
#include "sampler/unwind.h"
#include "test/oracle/peer.h"
#include "test/oracle/report.h"

__typeof__(unwind_stack) __wrap_unwind_stack, __real_unwind_stack;
__typeof__(os_process_cpu_ns) __wrap_os_process_cpu_ns;

#define ALL_REGISTERS ((1u << REGS_COUNT) - 1)

static_assert((int)REPORT_FRAMES == (int)PEER_FRAMES, "a record holds any walk");

/* Not on the stack of a handler. */
struct scratch {
	_Atomic int tid;		/* whose; 0: free */
	struct peer_walk peer;
	uint64_t version;		/* of the modules, when the walk began */
	unsigned remembered;		/* frames from the memo */
	unsigned plain_depth;
	uintptr_t plain[PEER_FRAMES];	/* ours, without memo */
};

static struct report *report;
static struct scratch pool[REPORT_MIDWAY];

#define ADD(counter) atomic_fetch_add_explicit(&report->counter, 1, memory_order_relaxed)

/* --- verdicts -------------------------------------------------------------------------------- */

/* One walk, by whomever. */
struct way {
	const uintptr_t *pc;
	unsigned n;
};

static unsigned count_alike(struct way a, struct way b)
{
	unsigned i = 0;

	while (i < a.n && i < b.n && a.pc[i] == b.pc[i])
		i++;
	return i;
}

/* True if all of b are in a, in their order. */
static bool holds(struct way a, struct way b)
{
	unsigned i = 0;

	for (unsigned k = 0; k < a.n && i < b.n; k++)
		i += a.pc[k] == b.pc[i];
	return i == b.n;
}

static enum report_verdict judge(struct way ours, struct way theirs)
{
	unsigned alike = count_alike(ours, theirs);

	if (alike == ours.n)
		return alike == theirs.n ? REPORT_SAME : REPORT_SHORTER;
	if (alike == theirs.n)
		return REPORT_LONGER;
	return holds(ours, theirs) ? REPORT_MORE : REPORT_DIFFERENT;
}

/* --- records --------------------------------------------------------------------------------- */

static void note_module(uintptr_t pc)
{
	struct dl_find_object found;
	const char *name;
	uint64_t i;

	if (_dl_find_object((void *)pc, &found) != 0)
		return;
	for (i = 0; i < report->modules && i < REPORT_MODULES; i++)
		if (report->module[i].lo == (uintptr_t)found.dlfo_map_start &&
		    report->module[i].hi == (uintptr_t)found.dlfo_map_end)
			return;
	i = ADD(modules);
	if (i >= REPORT_MODULES)
		return;
	name = found.dlfo_link_map->l_name;
	name = name[0] != '\0' ? name : report->exe;
	memcpy(report->module[i].name, name,
	       strnlen(name, sizeof(report->module[i].name) - 1));
	report->module[i].lo = (uintptr_t)found.dlfo_map_start;
	report->module[i].hi = (uintptr_t)found.dlfo_map_end;
}

static void keep_way(uint64_t *pc, struct way way)
{
	for (unsigned i = 0; i < way.n; i++) {
		pc[i] = way.pc[i];
		note_module(way.pc[i]);
	}
}

/* As if the program had run for long: both layers are to be compared in a short run. */
uint64_t __wrap_os_process_cpu_ns(void) { return UINT64_MAX / 8; }

static enum report_layer find_layer(uintptr_t pc)
{
	struct range range;

	if (!modules_find_range(pc, &range))
		return REPORT_UNSEEN;
	if (range.tables == NULL)
		return REPORT_NO_TABLES;
	if (range.tables->rows != NULL)
		return REPORT_COMPILED;
	return REPORT_INTERPRETED;
}

static void record(struct report_record *to, const struct scratch *s, struct way ours,
		   struct way theirs)
{
	to->ours = ours.n;
	to->theirs = theirs.n;
	to->apart = count_alike(ours, theirs);
	to->layer = to->apart == 0 ? REPORT_UNSEEN : find_layer(ours.pc[to->apart - 1]);
	/* What is known by now, after libunwind's walk, our walk may not have known. */
	if (s->version != modules_version())
		to->layer = REPORT_UNSEEN;
	memcpy(to->reg, s->peer.regs.r, sizeof(to->reg));
	keep_way(to->our_pc, ours);
	keep_way(to->their_pc, theirs);
}

/* --- a stack --------------------------------------------------------------------------------- */

static struct scratch *claim(void)
{
	int tid = os_gettid(), nobody = 0;

	for (unsigned i = 0; i < REPORT_MIDWAY; i++)
		if (atomic_load(&pool[i].tid) == tid) {
			ADD(skipped[REPORT_NESTED]);
			return NULL;
		}
	for (unsigned i = 0; i < REPORT_MIDWAY; i++, nobody = 0)
		if (atomic_compare_exchange_strong(&pool[i].tid, &nobody, tid))
			return &pool[i];
	ADD(skipped[REPORT_NO_SCRATCH]);
	return NULL;
}

/* Also without what the thread remembers of its last stack: the same must come out. */
static enum report_verdict judge_all(struct scratch *s, struct way ours, bool our_end)
{
	struct way theirs = { s->peer.pc, s->peer.depth }, plain = { s->plain, s->plain_depth };
	enum report_verdict verdict = judge(ours, theirs);

	/* A scan in between may have brought new tables. */
	if (s->version == modules_version() && judge(ours, plain) != REPORT_SAME)
		return REPORT_MEMO;
	return verdict == REPORT_SAME && !our_end && s->peer.complete ? REPORT_CUT : verdict;
}

static void count(struct scratch *s, enum report_source source, struct way ours, bool our_end,
		  enum report_verdict verdict)
{
	atomic_fetch_add(&report->frames[source], ours.n);
	atomic_fetch_add(&report->remembered[source], s->remembered);
	for (unsigned i = 0; i < ours.n; i++)
		ADD(layer[source][find_layer(ours.pc[i])]);
	if (our_end)
		ADD(complete[source][0]);
	if (s->peer.complete)
		ADD(complete[source][1]);
	if (ours.n == s->peer.max)
		ADD(deep[source]);
	if (our_end && verdict <= REPORT_MORE)
		ADD(all[source]);
}

static void compare(struct scratch *s, struct way ours, bool our_end)
{
	enum report_source source = s->peer.regs.known == ALL_REGISTERS ? REPORT_TICK : REPORT_HEAP;
	_Atomic uint64_t *midway = &report->midway[s - pool];
	enum report_verdict verdict;
	uint64_t n;

	*midway = s->peer.regs.r[REGS_PC];
	peer_walk(&s->peer);
	*midway = 0;
	verdict = judge_all(s, ours, our_end);
	count(s, source, ours, our_end, verdict);
	n = ADD(verdict[source][verdict]);
	if (verdict == REPORT_SAME || n >= REPORT_RECORDS_OF_A_KIND)
		return;
	n = ADD(records);
	if (n < REPORT_RECORDS) {
		struct report_record *r = &report->record[n];

		r->source = source;
		r->verdict = verdict;
		r->ours_end = our_end;
		r->theirs_end = s->peer.complete;
		record(r, s, ours, (struct way){ s->peer.pc, s->peer.depth });
	}
}

static void walk_plainly(struct scratch *s, const struct unwind_stack_bounds *bounds,
			 struct unwind_work *work)
{
	struct regs regs = s->peer.regs;

	__real_unwind_stack(&regs, bounds, UNWIND_AUTO, work, NULL, s->plain, s->peer.max,
			    &s->plain_depth);
}

enum unwind_end __wrap_unwind_stack(struct regs *regs, const struct unwind_stack_bounds *bounds,
				    enum unwind_mode mode, struct unwind_work *work,
				    struct unwind_memo *memo, uintptr_t *pc, unsigned max,
				    unsigned *depth)
{
	bool compares = report != NULL && mode == UNWIND_AUTO && max <= PEER_FRAMES;
	struct scratch *s = compares ? claim() : NULL;
	enum unwind_end end;
	uint32_t same = memo != NULL ? memo->same : 0;

	if (s != NULL) {
		s->peer.regs = *regs;
		s->peer.max = max;
		s->version = modules_version();
	}
	end = __real_unwind_stack(regs, bounds, mode, work, memo, pc, max, depth);
	if (s != NULL) {
		walk_plainly(s, bounds, work);
		s->remembered = memo != NULL && memo->same > same ? memo->same - same : 0;
		compare(s, (struct way){ pc, *depth }, end == UNWIND_COMPLETE);
		atomic_store(&s->tid, 0);
	}
	return end;
}

/* --- start ----------------------------------------------------------------------------------- */

static struct report *open_report(const char *folder)
{
	struct report *r = MAP_FAILED;
	char path[512];
	int fd;

	/* A process may exec: more than one for a pid. */
	snprintf(path, sizeof(path), "%s/%d-XXXXXX", folder, getpid());
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, sizeof(*r)) == 0)
		r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return r == MAP_FAILED ? NULL : r;
}

/* Before the library's own constructor: from there on stacks are taken. */
__attribute__((constructor(101))) static void open_oracle(void)
{
	const char *folder = getenv("ORACLE_DIR");
	struct report *r = folder != NULL ? open_report(folder) : NULL;
	const char *reason;

	if (r == NULL)
		return;
	(void)!readlink("/proc/self/exe", r->exe, sizeof(r->exe) - 1);
	reason = peer_open();
	if (reason == NULL) {
		r->magic = REPORT_MAGIC;
		report = r;
	} else {
		fprintf(stderr, "oracle: %s\n", reason);
	}
}
