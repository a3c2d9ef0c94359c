#include "sampler/locks.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "sampler/count.h"
#include "sampler/lock_gates.h"
#include "sampler/lock_pairs.h"
#include "sampler/lock_slots.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/self.h"
#include "sampler/threads.h"

/* It looks at what may be a frame of somebody else by now. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread"), noinline))

_Atomic uint32_t locks_waits;
_Atomic uint16_t locks_filter[1u << LOCKS_FILTER_BITS];

static struct {
	_Atomic int      on;            /* bits of what there is */
	_Atomic uint64_t block_rate, mutex_fraction;
	uint32_t         coarse_step;   /* of pace_choose's clock */
} locks;

/* Of all threads, beside the paces of each (self.h). */
static struct crowd all_waits, all_pauses, all_charges;

enum { HAS_BLOCK = 1, HAS_MUTEX = 2 };

uint64_t locks_block_rate(void)
{
	return atomic_load_explicit(&locks.block_rate, memory_order_relaxed);
}

uint64_t locks_mutex_fraction(void)
{
	return atomic_load_explicit(&locks.mutex_fraction, memory_order_relaxed);
}

void locks_set_block_rate(uint64_t ns)
{
	atomic_store(&locks.block_rate, ns);
}

void locks_set_mutex_fraction(uint64_t n)
{
	atomic_store(&locks.mutex_fraction, n);
}

static bool wants_mutex(void)
{
	return locks_mutex_fraction() != 0 &&
	       (atomic_load_explicit(&locks.on, memory_order_acquire) & HAS_MUTEX) != 0;
}

static bool wants_any(void)
{
	return atomic_load_explicit(&locks.on, memory_order_acquire) != 0 &&
	       (locks_block_rate() | locks_mutex_fraction()) != 0;
}

/* --- who waits ------------------------------------------------------------------------------- */

static void come_to(_Atomic uint16_t *cell)
{
	lock_thin_come(cell);
	atomic_fetch_add(&locks_waits, 1);
	lock_gates_watch();
}

static void go_from(_Atomic uint16_t *cell)
{
	lock_thin_go(cell);
	if (atomic_fetch_sub(&locks_waits, 1) == 1)
		lock_gates_calm();
}

/* True: somebody was charged for the wait. */
static NOINLINE bool take_out(bool got)
{
	struct self_wait w = self.lock;
	bool charged;

	self.lock.wait = NULL;
	charged = lock_slots_leave(w.slot, w.weight, w.begin_ns, got, NULL);
	go_from(&locks_filter[w.cell]);
	return charged;
}

/* Another wait of this thread is under way, in the midst of which a handler waits; or it was left
 * by a jump.  Then this one stands no deeper in the stack, or something else is where it was. */
static UNCHECKED bool is_under_way(const struct locks_wait *now)
{
	const struct locks_wait *was = self.lock.wait;
	uintptr_t lo = self.slot != NULL ? self.slot->stack_lo : 0;
	uintptr_t size = self.slot != NULL ? self.slot->stack_hi - lo : 0;

	if ((uintptr_t)was - lo >= size || (uintptr_t)now - lo >= size)
		return true;    /* on another stack nobody can tell */
	return now < was && was->begin_ns == self.lock.begin_ns && was->slot == self.lock.slot;
}

static NOINLINE void enter_slot(struct locks_wait *w)
{
	_Atomic uint16_t *cell = locks_cell(w->lock);

	/* A vfork child may be killed in it, and nobody would take it out. */
	if ((self.lock.wait != NULL && is_under_way(w)) || threads_marked_elsewhere())
		return;
	if (self.lock.wait != NULL)
		take_out(false);
	come_to(cell);
	w->slot = lock_slots_join(w->lock, w->weight, &w->begin_ns,
				 random_next(&self.random));
	if (w->slot == 0) {
		go_from(cell);
		count_add(COUNT_LOCK_NO_SLOT);
		return;
	}
	w->charges = lock_slots_charges(w->slot);
	self.lock = (struct self_wait){ w, w->begin_ns, w->slot, (uint16_t)w->weight,
					(uint16_t)(cell - locks_filter) };
}

static COLD bool introduce(void)
{
	int host_errno = errno;

	if (self.phase == SELF_NEW)
		threads_enter(NULL);
	threads_settle();
	errno = host_errno;
	return self.phase == SELF_READY;
}

static bool is_known(void)
{
	return likely(self.phase == SELF_READY) || introduce();
}

static uint32_t for_pace(uint64_t ns)
{
	return (uint32_t)(ns >> 10);
}

/* False: the wait is not chosen. */
static bool begin(struct locks_wait *w, const void *lock, struct self_pace *pace,
		  struct crowd *all)
{
	w->lock = lock;
	w->begin_ns = 0;
	w->slot = 0;
	w->perhaps = false;
	if (!wants_any() || threads_sealed() || !is_known())
		return false;
	w->weight = pace_choose(pace, all, for_pace(os_coarse_ns()), locks.coarse_step,
				&self.random);
	if (likely(w->weight == 0))
		return false;
	w->begin_ns = os_monotonic_ns();
	pace_chosen(pace, all, for_pace(w->begin_ns));
	return true;
}

void locks_wait_begin(struct locks_wait *w, const void *lock)
{
	if (begin(w, lock, &self.lock_waits, &all_waits) && wants_mutex())
		enter_slot(w);
}

void locks_pause_begin(struct locks_wait *w, const void *on)
{
	begin(w, on, &self.lock_pauses, &all_pauses);
}

/* --- what comes of it ------------------------------------------------------------------------ */

/* In less ns nobody goes to sleep and is woken: who had the lock gave it back while we came. */
#define AT_ONCE_NS 1000

/* False: this one is left out. */
static bool thin_mutex(struct pace_amount *a, uint64_t now_ns)
{
	uint64_t fraction = locks_mutex_fraction();

	if (fraction > 1 && random_next(&self.random) % fraction != 0)
		return false;
	if (!pace_thin(&self.lock_charges, &all_charges, for_pace(now_ns), a, &self.random))
		return false;
	a->contentions *= fraction;
	a->delay_ns *= fraction;
	return true;
}

/* Nobody gave the lock back while this one waited: its holder is in another process, or used a
 * road without a door, or has it still. */
static NOINLINE void count_unknown(struct locks_wait *w)
{
	if (w->end_ns - w->begin_ns >= AT_ONCE_NS && wants_mutex() &&
	    thin_mutex(&w->amount, w->end_ns))
		lock_sites_unknown(w);
}

static struct pace_amount amount_of(const struct locks_wait *w)
{
	return (struct pace_amount){ (uint64_t)w->weight * RANDOM_WEIGHT_ONE,
				     w->weight * (w->end_ns - w->begin_ns) };
}

static bool is_counted(struct locks_wait *w)
{
	uint64_t rate = locks_block_rate();

	w->amount = amount_of(w);
	w->holder = (struct lock_site){ 0, 0 };
	if (w->slot != 0 && !w->charged && !w->perhaps)
		count_unknown(w);
	w->amount = amount_of(w);
	return rate != 0 && pace_in_proportion(&w->amount, rate, &self.random);
}

/* A lock may change hands thousands of times while somebody waits, and each time its holder charges
 * for that: some 100 to 200 ns, where the slot's line comes from another processor.  An eighth of
 * what a wait takes with its stack. */
#define CHARGES_OF_A_WAIT 8

static void was_in_slot(struct locks_wait *w, enum locks_end end)
{
	uint32_t charges = lock_slots_charges(w->slot) - w->charges;

	w->charged = take_out(end == LOCKS_GOT && !threads_sealed());
	if (charges >= CHARGES_OF_A_WAIT && !threads_sealed())
		pace_was_dear(&self.lock_waits, &all_waits, for_pace(os_coarse_ns()),
			      1 + charges / CHARGES_OF_A_WAIT);
}

bool locks_waited(struct locks_wait *w, enum locks_end end)
{
	if (w->slot != 0 && self.lock.wait == w)
		was_in_slot(w, end);
	else
		w->slot = 0;
	/* Where nothing may be recorded, the time may be a system call. */
	if (end == LOCKS_REFUSED || threads_sealed())
		return false;
	w->end_ns = os_monotonic_ns();
	return is_counted(w);
}

/* It may be a thread that we never saw, or one that is coming or going. */
COLD uint64_t locks_first_draw(void)
{
	self.random = random_seed((uintptr_t)&self);
	return random_next(&self.random);
}

/* --- who is charged -------------------------------------------------------------------------- */

void locks_release_begin(struct locks_charge *c, const void *lock)
{
	struct lock_slots_due due;

	c->slot = 0;
	if (threads_sealed())
		return;
	lock_slots_charge(lock, self.lock_draw, &due);
	if (due.slot != 0)
		lock_thin_taken(lock_slots_thin(due.slot), locks_cell(lock), due.at_ns);
	if (!due.charged)
		return;
	*c = (struct locks_charge){
		.lock = lock,
		.at_ns = due.at_ns,
		.amount = { due.waits * RANDOM_WEIGHT_ONE, due.ns },
		.slot = due.slot,
	};
}

bool locks_released(struct locks_charge *c)
{
	return wants_mutex() && !threads_sealed() && is_known() &&
	       thin_mutex(&c->amount, c->at_ns);
}

/* --- beginning and end ----------------------------------------------------------------------- */

void locks_thread_ends(void)
{
	if (self.lock.wait != NULL)
		take_out(false);
}

int locks_init(uint64_t budget_bytes)
{
	int err = lock_sites_init_block(budget_bytes / 2);

	locks.coarse_step = for_pace(os_coarse_step_ns());
	if (err < 0)
		return err;
	atomic_store(&locks.on, HAS_BLOCK);
	err = lock_slots_init();
	if (err == 0)
		err = lock_sites_init_mutex(budget_bytes / 2);
	if (err == 0)
		err = lock_pairs_init();
	if (err == 0)
		atomic_store(&locks.on, HAS_BLOCK | HAS_MUTEX);
	return err;
}

void locks_after_fork(void)
{
	lock_sites_after_fork();
	lock_slots_after_fork();
	lock_pairs_after_fork();
	memset((void *)(uintptr_t)locks_filter, 0, sizeof(locks_filter));
	locks_waits = 0;
	lock_gates_calm();
	self.lock.wait = NULL;
}
