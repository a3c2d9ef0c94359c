#include "sampler/compiler.h"
#include "sampler/threads.h"

#include <assert.h>
#include <limits.h>
#include <stddef.h>

#include "sampler/count.h"
#include "sampler/limits.h"
#include "sampler/mutex_gates.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/self.h"

_Thread_local struct self self __attribute__((tls_model("initial-exec")));

#define HINTS      4096
#define PAGE_BYTES 4096u        /* or a part of one, where pages are larger */

_Atomic bool threads_are_sealed;

static struct {
	unsigned         depth;
	size_t           deep_at, own_at, stride;       /* of a slot, bytes from its begin */
	_Atomic int      pid;           /* whose slots these are; 0 before threads_init */
	_Atomic uint32_t forks;         /* from the first process to this one */
	void (*settle)(void);
	_Atomic(char *)  chunk[THREAD_CHUNKS_MAX];      /* from the first on, then NULL */
	_Atomic uint64_t claimed[THREAD_CHUNKS_MAX];    /* a bit for each slot of the chunk */
	_Atomic uint16_t hint[HINTS];   /* by tid: the number of who last had it; 0 too: a guess */
} threads;

static_assert(THREADS_PER_CHUNK == 64, "a word of claimed[] is a chunk");
static_assert(THREADS_PER_CHUNK * THREAD_CHUNKS_MAX <= 1u << 16, "numbers of slots fit a hint");

/* A slot has pages of its own.  In the first, which is enough for stacks of FRAMES_FIRST:
 *
 *     struct thread_slot | what both kinds have seen | memo ...
 *
 * The memo grows from there.  Behind it lie two places for what was seen of deeper stacks; and the
 * scratch that is the slot's own, rarely used. */
#define FRAMES_FIRST       56u
#define LINE_BYTES         64u  /* of a cache */
#define MEMO_BYTES         sizeof(struct unwind_memo_frame)
#define ROUND_UP(n, to)    (((n) + (to) - 1) / (to) * (to))
#define SLOT_BYTES         ROUND_UP(sizeof(struct thread_slot), LINE_BYTES)
#define SEEN_BYTES(frames) ROUND_UP((frames) * (sizeof(uintptr_t) + sizeof(uint32_t)), 8)
#define MEMO_AT            (SLOT_BYTES + CAPTURE_KINDS * SEEN_BYTES(FRAMES_FIRST))

static_assert(MEMO_AT + FRAMES_FIRST * MEMO_BYTES <= PAGE_BYTES, "these are a page");

void threads_init(unsigned depth)
{
	threads.depth = depth;
	scratch_init(depth);
	threads.deep_at = MEMO_AT + depth * MEMO_BYTES;
	threads.own_at = ROUND_UP(threads.deep_at + CAPTURE_KINDS * SEEN_BYTES(depth), PAGE_BYTES);
	threads.stride = ROUND_UP(threads.own_at + CAPTURE_KINDS * scratch_bytes(), PAGE_BYTES);
	threads.pid = os_getpid();
}

unsigned threads_depth(void)
{
	return threads.depth;
}

void threads_seal(bool sealed)
{
	threads_are_sealed = sealed;
}

static struct thread_slot *slot_at(char *chunk, unsigned i)
{
	return (struct thread_slot *)(void *)(chunk + i * threads.stride);
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
	size_t bytes = THREADS_PER_CHUNK * threads.stride;
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

static void place_seen(struct capture *c, size_t at, unsigned frames)
{
	c->seen = 0;
	c->seen_max = frames;
	c->seen_pc = (uintptr_t *)(void *)((char *)c->slot + at + c->kind * SEEN_BYTES(frames));
	c->seen_node = (uint32_t *)(void *)(c->seen_pc + frames);
}

void threads_make_room(struct capture *c, unsigned frames)
{
	if (frames > FRAMES_FIRST)
		place_seen(c, threads.deep_at, threads.depth);
	else
		place_seen(c, SLOT_BYTES, FRAMES_FIRST);
}

void threads_make_memo_room(struct thread_slot *s, unsigned frames)
{
	unsigned max = FRAMES_FIRST;

	while (max < frames)
		max *= 2;
	s->memo.frame = (struct unwind_memo_frame *)(void *)((char *)s + MEMO_AT);
	s->memo.max = s->memo.first = max < threads.depth ? max : threads.depth;
}

/* The last one in this slot may have been left in the midst of a sample. */
static void end_visits(struct thread_slot *slot)
{
	for (unsigned i = 0; i < CAPTURE_KINDS; i++)
		if (slot->visit[i].beat % 2 != 0)
			slot->visit[i].beat++;
}

static uint32_t scratch_id(const struct thread_slot *s, unsigned kind)
{
	return s->number * CAPTURE_KINDS + kind + 1;
}

static void make_captures(struct thread_slot *s)
{
	char *own = (char *)s + threads.own_at;

	for (unsigned i = 0; i < CAPTURE_KINDS; i++) {
		struct capture *c = &s->capture[i];

		c->slot = s;
		c->kind = i;
		scratch_enter(&c->scratch, scratch_id(s, i), own + i * scratch_bytes());
		c->ahead = NULL;
		if (c->seen_max == 0)
			threads_make_room(c, 0);
	}
	if (s->memo.max == 0)
		threads_make_memo_room(s, 0);
}

/* The timer of one that was is not touched, but for its parent's: somebody may still be making it,
 * and will see that it has no owner.  Nor is the count in `held`, which its end has emptied. */
static void make_new(struct thread_slot *s)
{
	if (s->forks != threads.forks) {
		s->timer = 0;
		s->asked = 0;
		s->held = 0;
	}
	s->tid = 0;
	s->due_ns = 0;
	s->owed = 0;
	s->perf = 0;
	s->perf_fd = 0;
	s->perf_ns = 0;
	s->seen_open = 0;
	s->scanned = s->no_timer = false;
	s->stack_lo = s->stack_hi = 0;
	s->start = NULL;
	s->start_arg = NULL;
	s->born_ns = os_monotonic_ns();
	s->creator = 0;
	s->birth = 0;
	end_visits(s);
	make_captures(s);
	s->forks = threads.forks;       /* last: from here on threads_each sees it */
}

static bool is_ours(void)
{
	return !threads_are_sealed && threads.pid == os_getpid();
}

struct thread_slot *threads_claim(void)
{
	bool ours = is_ours();

	if (threads_are_sealed)
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

	for (unsigned i = 0; i < CAPTURE_KINDS; i++)
		scratch_leave(&slot->capture[i].scratch);
	slot->tid = 0;
	atomic_fetch_and(&threads.claimed[n / THREADS_PER_CHUNK],
			 ~(UINT64_C(1) << n % THREADS_PER_CHUNK));
}

static uint64_t seed(uint64_t now, int tid)
{
	return random_seed(now ^ (uint64_t)tid << 40);
}

void threads_set_tid(struct thread_slot *slot, int tid)
{
	atomic_store_explicit(&threads.hint[(unsigned)tid % HINTS], (uint16_t)slot->number,
			      memory_order_relaxed);
	slot->tid = tid;
}

/* The slot, or NULL: there was none left. */
static void enter(struct thread_slot *slot, int tid)
{
	if (slot != NULL)
		threads_set_tid(slot, tid);
	self.tid = tid;
	self.slot = slot;
	self.random = seed(slot != NULL ? slot->born_ns : os_monotonic_ns(), tid);
	self.name_seen = 0;
	self.heap_rate = 0;
	self.heap_left = 0;
	self.phase = SELF_READY;
}

void threads_enter_as(struct thread_slot *slot, int tid)
{
	if (!threads_are_sealed)
		enter(slot, tid);
}

void threads_enter(struct thread_slot *slot)
{
	int tid;

	if (!is_ours())
		return;
	tid = os_gettid();
	if (tid != threads.pid)
		mutex_gates_others();
	if (slot == NULL)
		slot = threads_find(tid);
	if (slot == NULL)
		slot = threads_claim();
	enter(slot, tid);
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

	/* The kernel refuses what is not whole pages, and does nothing to none. */
	if (slot == NULL || start % PAGE_BYTES != 0 || end <= start || start >= slot->stack_hi ||
	    end <= slot->stack_lo)
		return;
	slot->stack_lo = end < slot->stack_hi ? end : slot->stack_hi;
}

HOT struct capture *threads_capture(enum capture_kind kind)
{
	if (self.slot == NULL || threads_are_sealed)
		return NULL;
	return &self.slot->capture[kind];
}

COLD bool threads_elsewhere(void)
{
	if (threads_are_sealed || self.tid == 0)
		return false;
	if (self.tid != os_gettid())
		return true;
	/* The child of a vfork has gone; what a clone has made may run yet. */
	self.shared &= (uint8_t)~SELF_VFORKED;
	return false;
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

uint32_t threads_slots(void)
{
	uint32_t n = 0;

	while (n < THREAD_CHUNKS_MAX && atomic_load(&threads.chunk[n]) != NULL)
		n++;
	return n * THREADS_PER_CHUNK;
}

struct thread_slot *threads_at(uint32_t number)
{
	unsigned n = number / THREADS_PER_CHUNK, i = number % THREADS_PER_CHUNK;
	char *chunk = n < THREAD_CHUNKS_MAX ? atomic_load(&threads.chunk[n]) : NULL;

	if (chunk == NULL || (atomic_load(&threads.claimed[n]) >> i & 1) == 0 ||
	    slot_at(chunk, i)->forks != threads.forks)
		return NULL;
	return slot_at(chunk, i);
}

struct find { int tid; struct thread_slot *found; };

static bool is_tid(struct thread_slot *slot, void *arg)
{
	struct find *find = arg;

	if (atomic_load(&slot->tid) == find->tid &&
	    (find->found == NULL || find->found->born_ns < slot->born_ns))
		find->found = slot;
	return true;
}

struct thread_slot *threads_find(int tid)
{
	struct find find = { tid, NULL };
	struct thread_slot *hinted = threads_at(
		atomic_load_explicit(&threads.hint[(unsigned)tid % HINTS], memory_order_relaxed));

	if (hinted != NULL && atomic_load(&hinted->tid) == tid)
		return hinted;
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
	if (slot != NULL)
		scratch_after_fork(scratch_id(slot, 0), CAPTURE_KINDS);
	else
		scratch_after_fork(0, 0);
	spent_after_fork();
	threads.forks++;
	threads.pid = os_getpid();
	self.tid = os_gettid();
	/* Else all children would draw the same. */
	self.random = seed(os_monotonic_ns(), self.tid);
	if (slot != NULL) {
		slot->creator = 0;
		slot->birth = 0;
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
