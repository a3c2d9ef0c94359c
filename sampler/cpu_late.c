#include "sampler/cpu_late.h"

#include <stdatomic.h>
#include <stddef.h>

#include "sampler/compiler.h"
#include "sampler/os.h"

/* Those that come so soon after another come together. */
#define TOGETHER_NS 2000000u
/* From one look to the next: half of the kernel's tick at CONFIG_HZ 250, so that hardly anybody
 * misses one for it. */
#define WAIT_NS     2000000u

#define PLACES  1024u
#define AT_ONCE 64u             /* so many threads may be in cpu_late_join */

static struct {
	void (*_Atomic ring)(void);
	_Atomic uint64_t last_ns;       /* when the last one was born */
	_Atomic bool     rung;
	_Atomic uint32_t in, out;       /* how many have come, and how many were seen to */
	_Atomic uint32_t place[PLACES]; /* the number of a slot, + 1; 0 none (yet) */
	uint32_t         seen;          /* our thread: those before this one have waited */
	uint64_t         when_ns;
} late;

bool cpu_late_join(struct thread_slot *slot)
{
	void (*ring)(void) = late.ring;
	uint64_t last = atomic_exchange(&late.last_ns, slot->born_ns);
	uint32_t in;

	if (ring == NULL || slot->born_ns - last > TOGETHER_NS ||
	    late.in - late.out > PLACES - AT_ONCE)
		return false;
	in = atomic_fetch_add(&late.in, 1);
	late.place[in % PLACES] = slot->number + 1;
	if (!late.rung && !atomic_exchange(&late.rung, true))
		ring();
	return true;
}

/* Whoever has a place, but has not written it yet, is left to the scan. */
static void arm_until(uint32_t end, void (*arm)(struct thread_slot *slot))
{
	for (; late.out != end; late.out++) {
		uint32_t number = atomic_exchange(&late.place[late.out % PLACES], 0);
		struct thread_slot *slot = number != 0 ? threads_at(number - 1) : NULL;

		if (slot != NULL && slot->tid != 0 && slot->timer == 0)
			arm(slot);
	}
}

void cpu_late_open(void (*ring)(void), void (*arm)(struct thread_slot *slot))
{
	late.ring = ring;
	late.rung = false;
	late.when_ns = 0;
	arm_until(late.in, arm);
	late.seen = late.out;
}

uint64_t cpu_late_go(void (*arm)(struct thread_slot *slot))
{
	uint64_t now;

	if (!late.rung)
		return UINT64_MAX;
	now = os_monotonic_ns();
	if (late.when_ns != 0 && now < late.when_ns)
		return late.when_ns;
	arm_until(late.seen, arm);
	late.seen = late.in;
	if (late.seen == late.out) {
		late.when_ns = 0;
		late.rung = false;
		if (late.in == late.out)
			return UINT64_MAX;
		late.rung = true;       /* somebody has come meanwhile, and may not have rung */
	}
	late.when_ns = now + WAIT_NS;
	return late.when_ns;
}

void cpu_late_after_fork(void)
{
	late.ring = NULL;
	late.rung = false;
	late.out = late.seen = late.in;
}
