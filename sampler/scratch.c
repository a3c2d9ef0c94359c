#include "sampler/scratch.h"

#include <sys/syscall.h>

#include "sampler/compiler.h"
#include "sampler/limits.h"
#include "sampler/os.h"
#include "sampler/sys.h"

static struct {
	unsigned depth;
	size_t   reserved;
	unsigned n;             /* of areas; 0: none to be had */
} scratch;

struct scratch_areas scratch_areas;
struct scratch_place scratch_place[SCRATCH_MAX];

#define KEPT UINT32_C(0x80000000)       /* in user: not given back */
#define NONE UINT32_C(0x7fffffff)       /* in user, of an area that is not there */

static size_t in_lines(size_t bytes)
{
	return (bytes + SCRATCH_LINE_BYTES - 1) / SCRATCH_LINE_BYTES * SCRATCH_LINE_BYTES;
}

void scratch_reserve(size_t bytes)
{
	scratch.reserved = in_lines(bytes);
}

void *scratch_reserved(struct scratch *s)
{
	return (char *)s + scratch_areas.bytes - scratch.reserved;
}

/* A tick may interrupt a door, and a few threads may be preempted in the midst. */
static unsigned areas_wanted(void)
{
	uint64_t mask[SCRATCH_MAX / 64];
	long bytes = sys_call3(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	unsigned cpus = 0;

	/* More CPUs than that. */
	if (bytes <= 0)
		return SCRATCH_MAX;
	for (long i = 0; i < bytes / (long)sizeof(mask[0]); i++)
		for (; mask[i] != 0; mask[i] &= mask[i] - 1)
			cpus++;
	return 2 * cpus + 4 < SCRATCH_MAX ? 2 * cpus + 4 : SCRATCH_MAX;
}

void scratch_init(unsigned depth)
{
	scratch.depth = depth;
	scratch_areas.bytes = in_lines(sizeof(struct scratch) +
				 depth * (sizeof(uintptr_t) + sizeof(struct unwind_memo_frame))) +
			scratch.reserved;
	scratch.n = areas_wanted();
	scratch_areas.at = os_map(scratch.n * scratch_areas.bytes);
	if (scratch_areas.at == NULL)
		scratch.n = 0;
	scratch_place[0].user = scratch.n != 0 ? 0 : NONE;
}

size_t scratch_bytes(void)
{
	return scratch_areas.bytes;
}

struct unwind_memo_frame *scratch_frames(struct scratch *s)
{
	return (struct unwind_memo_frame *)(void *)(s->pc + scratch.depth);
}

static struct scratch *area(uint32_t i)
{
	return (struct scratch *)(void *)(scratch_areas.at + i * scratch_areas.bytes);
}

void scratch_enter(struct scratch_user *u, uint32_t id, void *own)
{
	*u = (struct scratch_user){ .own = own, .id = id };
}

/* Where it goes is written down before: so a jump from anywhere here leaves nothing that is not
 * found again. */
static bool take(uint32_t i, struct scratch_user *u)
{
	uint32_t nobody = 0;

	if (scratch_place[i].user != 0)
		return false;
	u->last = i;
	atomic_signal_fence(memory_order_seq_cst);
	return atomic_compare_exchange_strong(&scratch_place[i].user, &nobody, u->id);
}

COLD struct scratch *scratch_take_another(struct scratch_user *u)
{
	uint32_t last = u->last;

	if ((scratch_place[last].user & ~KEPT) == u->id) {
		scratch_place[last].user = u->id | KEPT;
		return area(last);
	}
	for (uint32_t i = 1; i < scratch.n; i++)
		if (take((last + i) % scratch.n, u))
			return area(u->last);
	return u->own;
}

void scratch_leave(struct scratch_user *u)
{
	if ((scratch_place[u->last].user & ~KEPT) == u->id)
		scratch_place[u->last].user = 0;
}

void scratch_after_fork(uint32_t first, uint32_t n)
{
	for (unsigned i = 0; i < scratch.n; i++) {
		uint32_t user = scratch_place[i].user;

		if (user != 0 && (user & ~KEPT) - first >= n)
			scratch_place[i].user = 0;
	}
}
