#include "httpd/ending.h"

#include <stdatomic.h>
#include <stdint.h>

#include "sampler/os.h"

#define PAUSE_NS 50000ull

/* Each side first says what it does, then looks at the other: never do both go on. */
static struct {
	_Atomic bool busy, begun;
} ending;

bool ending_enter(void)
{
	ending.busy = true;
	if (!ending.begun)
		return true;
	ending.busy = false;
	return false;
}

void ending_leave(void)
{
	ending.busy = false;
}

bool ending_begun(void)
{
	return ending.begun;
}

void ending_wait(void)
{
	uint64_t end = os_monotonic_ns() + ENDING_WAIT_NS;

	ending.begun = true;
	while (ending.busy && os_monotonic_ns() < end)
		(void)!os_sleep(PAUSE_NS);
}

void ending_after_fork(void)
{
	ending.busy = ending.begun = false;
}
