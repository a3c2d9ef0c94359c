#include "sampler/threads.h"

#include <assert.h>
#include <limits.h>
#include <stddef.h>

#include "sampler/count.h"
#include "sampler/limits.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/self.h"
#include "sampler/thread_names.h"

_Thread_local struct self self __attribute__((tls_model("initial-exec")));

static struct {
	unsigned         depth;
	size_t           reserved, capture_bytes, slot_bytes;
	_Atomic bool     sealed;
	_Atomic int      pid;           /* whose slots these are; 0 before threads_init */
	_Atomic uint32_t forks;         /* from the first process to this one */
	void (*settle)(void);
	_Atomic(char *)  chunk[THREAD_CHUNKS_MAX];      /* from the first on, then NULL */
	_Atomic uint64_t claimed[THREAD_CHUNKS_MAX];    /* a bit for each slot of the chunk */
} threads;

static_assert(THREADS_PER_CHUNK == 64, "a word of claimed[] is a chunk");

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

void threads_reserve(size_t bytes)
{
	threads.reserved = round_up(bytes, 64);
}

void threads_init(unsigned depth)
{
	threads.depth = depth;
	threads.capture_bytes = round_up(
		sizeof(struct capture) + depth * (2 * sizeof(uintptr_t) +
						  sizeof(struct unwind_memo_frame) +
						  sizeof(uint32_t)), 64) + threads.reserved;
	threads.slot_bytes = round_up(sizeof(struct thread_slot), 64) +
			     CAPTURE_KINDS * threads.capture_bytes;
	threads.pid = os_getpid();
}

unsigned threads_depth(void)
{
	return threads.depth;
}

void threads_seal(bool sealed)
{
	threads.sealed = sealed;
}

bool threads_sealed(void)
{
	return threads.sealed;
}

static struct thread_slot *slot_at(char *chunk, unsigned i)
{
	return (struct thread_slot *)(void *)(chunk + i * threads.slot_bytes);
}

/* The first free slot of chunk n. */
static struct thread_slot *claim_in(char *chunk, unsigned n)
{
	uint64_t word = atomic_load_explicit(&threads.claimed[n], memory_order_relaxed);
	unsigned i;

	do {
		if (word == UINT64_MAX)
			return NULL;
		i = (unsigned)__builtin_ctzll(~word);
	} while (!atomic_compare_exchange_weak(&threads.claimed[n], &word,
					       word | UINT64_C(1) << i));
	slot_at(chunk, i)->number = n * THREADS_PER_CHUNK + i;
	return slot_at(chunk, i);
}

/* The chunk with this number, mapped if it is the first time; NULL if refused. */
static char *get_chunk(unsigned n)
{
	size_t bytes = THREADS_PER_CHUNK * threads.slot_bytes;
	char *chunk = atomic_load(&threads.chunk[n]), *mapped;

	if (chunk != NULL)
		return chunk;
	mapped = os_map(bytes);
	if (mapped == NULL)
		return NULL;
	if (!atomic_compare_exchange_strong(&threads.chunk[n], &chunk, mapped)) {
		os_unmap(mapped, bytes);
		return chunk;
	}
	return mapped;
}

/* The last one in this slot may have been left in the midst of a sample. */
static void end_visits(struct thread_slot *slot)
{
	for (unsigned i = 0; i < CAPTURE_KINDS; i++)
		if (slot->visit[i].beat % 2 != 0)
			slot->visit[i].beat++;
}

/* The timer of one that was is not touched, but for its parent's: somebody may still be making it,
 * and will see that it has no owner.  Nor is the count in `held`, which its end has emptied. */
static void make_new(struct thread_slot *s)
{
	if (s->forks != threads.forks) {
		s->timer = 0;
		s->held = 0;
	}
	s->tid = 0;
	s->seen_open = 0;
	s->scanned = s->no_timer = false;
	s->stack_lo = s->stack_hi = 0;
	s->start = NULL;
	s->start_arg = NULL;
	end_visits(s);
	s->forks = threads.forks;       /* last: from here on threads_each sees it */
}

static bool is_ours(void)
{
	return !threads.sealed && threads.pid == os_getpid();
}

struct thread_slot *threads_claim(void)
{
	bool ours = is_ours();

	if (threads.sealed)
		return NULL;
	for (unsigned n = 0; ours && n < THREAD_CHUNKS_MAX; n++) {
		char *chunk = get_chunk(n);
		struct thread_slot *s;

		if (chunk == NULL)
			break;
		s = claim_in(chunk, n);
		if (s != NULL) {
			make_new(s);
			return s;
		}
	}
	count_add(COUNT_THREAD_NO_SLOT);
	return NULL;
}

void threads_release(struct thread_slot *slot)
{
	unsigned n = slot->number;

	slot->tid = 0;
	atomic_fetch_and(&threads.claimed[n / THREADS_PER_CHUNK],
			 ~(UINT64_C(1) << n % THREADS_PER_CHUNK));
}

static uint64_t seed(int tid)
{
	return random_seed(os_monotonic_ns() ^ (uint64_t)tid << 40);
}

void threads_enter(struct thread_slot *slot)
{
	int tid;

	if (!is_ours())
		return;
	tid = os_gettid();
	if (slot == NULL)
		slot = threads_find(tid);
	if (slot == NULL)
		slot = threads_claim();
	if (slot != NULL)
		slot->tid = tid;
	self.tid = tid;
	self.slot = slot;
	self.random = seed(tid);
	self.name = thread_names_mine();
	self.heap_rate = 0;
	self.heap_left = 0;
	self.phase = SELF_READY;
}

void threads_leave(void)
{
	struct thread_slot *slot = self.slot;

	self.phase = SELF_GONE;
	self.slot = NULL;
	if (slot != NULL)
		threads_release(slot);
}

void threads_cut_stack(uintptr_t start, size_t bytes)
{
	struct thread_slot *slot = self.slot;
	uintptr_t end = start + bytes;

	if (slot == NULL || end < start || start >= slot->stack_hi || end <= slot->stack_lo)
		return;
	slot->stack_lo = end < slot->stack_hi ? end : slot->stack_hi;
}

struct capture *threads_capture(enum capture_kind kind)
{
	char *after;

	if (self.slot == NULL || threads.sealed)
		return NULL;
	after = (char *)self.slot + round_up(sizeof(struct thread_slot), 64);
	return (struct capture *)(void *)(after + kind * threads.capture_bytes);
}

void *threads_reserved(struct capture *c)
{
	return (char *)c + threads.capture_bytes - threads.reserved;
}

bool threads_elsewhere(void)
{
	return !threads.sealed && self.tid != 0 && self.tid != os_gettid();
}

void threads_each(bool (*f)(struct thread_slot *slot, void *arg), void *arg)
{
	char *chunk;

	for (unsigned n = 0;
	     n < THREAD_CHUNKS_MAX && (chunk = atomic_load(&threads.chunk[n])) != NULL; n++) {
		uint64_t left = atomic_load(&threads.claimed[n]);

		for (; left != 0; left &= left - 1) {
			unsigned i = (unsigned)__builtin_ctzll(left);

			/* It may have been released since, or be a parent's still. */
			if ((atomic_load(&threads.claimed[n]) >> i & 1) != 0 &&
			    slot_at(chunk, i)->forks == threads.forks && !f(slot_at(chunk, i), arg))
				return;
		}
	}
}

struct find { int tid; struct thread_slot *found; };

static bool is_tid(struct thread_slot *slot, void *arg)
{
	struct find *find = arg;

	if (atomic_load(&slot->tid) == find->tid)
		find->found = slot;
	return find->found == NULL;
}

struct thread_slot *threads_find(int tid)
{
	struct find find = { tid, NULL };

	threads_each(is_tid, &find);
	return find.found;
}

/* Slots stay as they are, a page or more each: threads_claim knows them as a parent's. */
void threads_after_fork(void)
{
	struct thread_slot *slot = self.slot;
	unsigned mine = slot != NULL ? slot->number : UINT_MAX;

	for (unsigned n = 0; n < THREAD_CHUNKS_MAX && threads.chunk[n] != NULL; n++) {
		uint64_t bit = UINT64_C(1) << mine % THREADS_PER_CHUNK;
		uint64_t left = mine / THREADS_PER_CHUNK == n ? bit : 0;

		if (threads.claimed[n] != left)
			threads.claimed[n] = left;
	}
	threads.forks++;
	threads.pid = os_getpid();
	self.tid = os_gettid();
	/* Else all children would draw the same. */
	self.random = seed(self.tid);
	if (slot != NULL) {
		slot->forks = threads.forks;
		slot->timer = 0;        /* timers are not inherited */
		slot->tid = self.tid;
	}
}

void threads_when_settling(void (*f)(void))
{
	threads.settle = f;
}

COLD void threads_settle_now(void)
{
	/* A vfork child of the fork child. */
	if (self.tid != os_gettid())
		return;
	threads.settle();
}
