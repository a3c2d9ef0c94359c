#include "sampler/wall_hits.h"

#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/threads.h"

/* turn: twice the number of the hit + 1 while it is being written, + 2 when it is there. */
struct place {
	_Atomic uint64_t turn;
	_Atomic uint32_t slot, row;
	_Atomic int32_t  tid;
	_Atomic uint64_t ns;
};

_Atomic bool wall_hits_wanted;

static struct {
	struct place    *place;
	_Atomic uint64_t next;          /* number of the next hit */
	uint64_t         taken;         /* by our thread */
} ring;

void wall_hits_write(uint32_t row, uint64_t ns)
{
	uint64_t n = atomic_fetch_add_explicit(&ring.next, 1, memory_order_relaxed);
	struct place *p = &ring.place[n % WALL_HITS];

	atomic_store_explicit(&p->turn, 2 * n + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&p->slot, self.slot->number, memory_order_relaxed);
	atomic_store_explicit(&p->tid, self.tid, memory_order_relaxed);
	atomic_store_explicit(&p->row, row, memory_order_relaxed);
	atomic_store_explicit(&p->ns, ns, memory_order_relaxed);
	atomic_store_explicit(&p->turn, 2 * n + 2, memory_order_release);
}

void wall_hits_want(bool wanted)
{
	if (wanted && ring.place == NULL)
		ring.place = os_map(WALL_HITS * sizeof(*ring.place));
	ring.taken = atomic_load(&ring.next);
	atomic_store_explicit(&wall_hits_wanted, wanted && ring.place != NULL,
			      memory_order_release);
}

/* True: it is there, whole. */
static bool read_place(const struct place *p, uint64_t n, struct wall_hit *out)
{
	if (atomic_load_explicit(&p->turn, memory_order_acquire) != 2 * n + 2)
		return false;
	out->slot = atomic_load_explicit(&p->slot, memory_order_relaxed);
	out->tid = atomic_load_explicit(&p->tid, memory_order_relaxed);
	out->row = atomic_load_explicit(&p->row, memory_order_relaxed);
	out->ns = atomic_load_explicit(&p->ns, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&p->turn, memory_order_relaxed) == 2 * n + 2;
}

/* One that is not there yet, or no more, is left out: its thread will be met again. */
bool wall_hits_take(struct wall_hit *out)
{
	uint64_t next = atomic_load_explicit(&ring.next, memory_order_acquire);

	if (next - ring.taken > WALL_HITS)
		ring.taken = next - WALL_HITS;
	while (ring.taken < next) {
		uint64_t n = ring.taken++;

		if (read_place(&ring.place[n % WALL_HITS], n, out))
			return true;
	}
	return false;
}

/* Its only thread's.  The ring is the child's own copy. */
void wall_hits_after_fork(void)
{
	wall_hits_wanted = false;
}
