#include "sampler/stills.h"

#include "sampler/os.h"

void stills_meet(struct thread_slot *slot, int tid, uint64_t now_ns)
{
	uint64_t cpu_ns = os_thread_cpu_ns(tid);

	/* 0: it has gone, and the slot may be another's. */
	if (cpu_ns == 0 || (slot->still_tid == tid && slot->still_cpu_ns == cpu_ns))
		return;
	slot->still_tid = tid;
	slot->still_cpu_ns = cpu_ns;
	slot->still_since_ns = now_ns;
}

struct each {
	void (*f)(void *with, const struct still *still);
	void  *with;
};

static bool tell(struct thread_slot *slot, void *arg)
{
	const struct each *each = arg;
	struct still still = { slot->still_tid, slot->still_cpu_ns, slot->still_since_ns };

	if (still.tid != 0 && still.tid == slot->tid)
		each->f(each->with, &still);
	return true;
}

void stills_each(void (*f)(void *with, const struct still *still), void *with)
{
	struct each each = { f, with };

	threads_each(tell, &each);
}
