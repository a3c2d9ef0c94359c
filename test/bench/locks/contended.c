/* What the doors add to one contended event: a thread finds a mutex held, waits, and its holder gives it back.
 *
 * The doors are linked in, and below them are no locks of libc but two functions of ours: the mutex's word always
 * says "held", the real lock lets its holder give it back (by the door of unlock) and has it at once.  So both
 * sides of an event run in one thread, one after the other, without the kernel, and each event is as dear as the
 * one before: what is left is what the doors do.  What this does not see: that with two threads on two processors
 * the lines of counters and of the slot have to come over (some 50 to 100 ns each where an event is chosen; none
 * where it is not): lock_shared has that.
 *
 * Which events are chosen is set before each: no pace, or the slowest.  Rates at which all that is chosen is
 * recorded, with a stack of so many frames, or nothing.  The plain figure is that of the same two functions
 * without the doors, in turns of some 20 us, and the median of the turns' differences is printed.
 *
 * Usage: contended [-n turns] [-d frames] [-e events in a turn] */
#include "preload/hook_mutex.h"
#include "preload/hook_unlock.h"
#include "preload/lock_words.h"
#include "preload/real.h"
#include "sampler/clock.h"
#include "sampler/locks.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/mutex_gates.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/threads.h"
#include "sampler/unwind.h"

/* After those: both have NOINLINE. */
#undef NOINLINE
#include "test/bench/bench.h"

static pthread_mutex_t mutex;

static int give_back(pthread_mutex_t *m)
{
	USE(m);
	return 0;
}

static int (*unlock)(pthread_mutex_t *);

/* The caller waits; its holder gives the lock back. */
static int wait_for(pthread_mutex_t *m)
{
	return unlock(m);
}

struct real real = { .pthread_mutex_lock = wait_for, .pthread_mutex_unlock = give_back };

/* --- events ---------------------------------------------------------------------------------- */

static uint8_t shift;           /* of the paces, at each event */
static long events;

/* The crowd's is as slow as that, or not there; asked and told it is all the same. */
unsigned __real_crowd_shift(const struct crowd *c, uint32_t now);
unsigned __wrap_crowd_shift(const struct crowd *c, uint32_t now);

unsigned __wrap_crowd_shift(const struct crowd *c, uint32_t now)
{
	unsigned real_shift = __real_crowd_shift(c, now);

	return shift == 0 ? 0 : real_shift;
}

static NOINLINE double turn(int (*lock)(pthread_mutex_t *))
{
	double began = now_secs();

	for (long i = 0; i < events; i++) {
		self.lock_waits.shift = self.lock_charges.shift = shift;
		self.lock_waits.taken = self.lock_charges.taken = 0;
		lock(&mutex);
	}
	return (now_secs() - began) * 1e9 / (double)events;
}

static double doors(void)
{
	unlock = pthread_mutex_unlock;
	return turn(pthread_mutex_lock);
}

static double plain(void)
{
	unlock = give_back;
	return turn(wait_for);
}

static NOINLINE double deeper(double (*f)(void), long frames)
{
	double ns = frames > 1 ? deeper(f, frames - 1) : f();

	USE(frames);
	return ns;
}

static void measure(const char *what, long turns, long frames)
{
	double *added = malloc((size_t)turns * sizeof(double));
	double *alone = malloc((size_t)turns * sizeof(double));

	if (added == NULL || alone == NULL)
		die("malloc");
	for (long i = 0; i < turns; i++) {
		alone[i] = deeper(plain, frames);
		added[i] = deeper(doors, frames) - alone[i];
	}
	qsort(added, (size_t)turns, sizeof(double), compare_doubles);
	qsort(alone, (size_t)turns, sizeof(double), compare_doubles);
	printf("%s plain_ns=%.1f added_ns=%.1f quarter_ns=%.1f three_quarters_ns=%.1f\n", what,
	       alone[turns / 2], added[turns / 2], added[turns / 4], added[turns / 4 * 3]);
	free(added);
	free(alone);
}

static void begin(void)
{
	threads_init(STACK_DEPTH_DEFAULT);
	sample_init(UNWIND_AUTO);
	clock_set_reader(clock_gettime);
	if (modules_scan(true) < 0 || locks_init(8u << 20) < 0)
		die("contended");
	threads_enter(NULL);
	self.slot->stack_hi = modules_main_stack_hi();
	self.slot->stack_lo = self.slot->stack_hi - (128u << 20);
	hook_mutex_resolved();
	mutex_gates_others();
	hook_unlock_resolved();
	mutex.__data.__lock = 1;
	mutex.__data.__owner = 1;       /* where the first peek looks */
}

int main(int argc, char **argv)
{
	long turns = opt_long(argc, argv, "-n", 2001), frames = opt_long(argc, argv, "-d", 10);

	events = opt_long(argc, argv, "-e", 200);
	begin();
	locks_set_block_rate(UINT64_C(1) << 60);
	locks_set_mutex_fraction(UINT64_C(1) << 60);
	shift = PACE_CHOOSE_MAX;
	measure("left_out", turns, frames);
	shift = 0;
	measure("chosen", turns, frames);
	locks_set_block_rate(1);
	locks_set_mutex_fraction(0);
	measure("block", turns, frames);
	locks_set_mutex_fraction(1);
	measure("both", turns, frames);
	return 0;
}
