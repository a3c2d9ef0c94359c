/* The doors of the alternate signal stack: while it is too small for a tick beside the kernel's
 * frame, the thread gets none.  (What a handler does here the kernel takes back at its end, behind
 * our back: cpu_tick looks again.) */
#include <errno.h>
#include <signal.h>

#include "preload/export.h"
#include "preload/real.h"
#include "preload/signals.h"
#include "sampler/altstack.h"
#include "sampler/count.h"
#include "sampler/cpu_ctl.h"
#include "sampler/os.h"
#include "sampler/threads.h"

/* True if it was not yet so. */
static bool hold(void)
{
	bool first = cpu_ctl_hold(CPU_HOLD_STACK);

	if (first)
		count_add(COUNT_THREAD_SMALL_ALTSTACK);
	return first;
}

/* Where it cannot be read the kernel will say so. */
static bool read_stack(const stack_t *ss, stack_t *copy)
{
	if (!os_readable((uintptr_t)ss) || !os_readable((uintptr_t)(ss + 1) - sizeof(uint64_t)))
		return false;
	*copy = *ss;
	return true;
}

EXPORT int sigaltstack(const stack_t *ss, stack_t *old)
{
	stack_t new;
	bool small, held = false;
	int result;

	/* ss and old may be one: what it asks for is read before. */
	if (ss == NULL || threads_sealed() || !read_stack(ss, &new))
		return real.sigaltstack(ss, old);
	small = altstack_is_small(&new);
	if (small)
		held = hold();
	result = real.sigaltstack(ss, old);
	if ((result == 0 && !small) || (result != 0 && held)) {
		int host_errno = errno;

		cpu_ctl_release(CPU_HOLD_STACK);
		errno = host_errno;
	}
	return result;
}

/* Nobody knows how large such a stack is. */
EXPORT int sigstack(struct sigstack *ss, struct sigstack *old)
{
	bool held = ss != NULL && hold();
	int result = real.sigstack(ss, old);

	if (result != 0 && held)
		cpu_ctl_release(CPU_HOLD_STACK);
	return result;
}

void signals_look_at_stack(void)
{
	stack_t now;

	if (real.sigaltstack(NULL, &now) == 0 && altstack_is_small(&now))
		hold();
}
