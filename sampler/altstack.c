#include "sampler/altstack.h"

static size_t needed = ALTSTACK_FRAME_BYTES + ALTSTACK_TICK_BYTES;

void altstack_init(size_t frame_bytes)
{
	if (frame_bytes != 0)
		needed = frame_bytes + ALTSTACK_TICK_BYTES;
}

/* In a signal frame the flags are those of the last sigaltstack: 0 where there was none. */
static bool is_enabled(const stack_t *ss)
{
	return (ss->ss_flags & SS_DISABLE) == 0 && ss->ss_size != 0;
}

bool altstack_is_small(const stack_t *ss)
{
	return is_enabled(ss) && ss->ss_size < needed;
}

bool altstack_is_full(const stack_t *ss, uintptr_t sp)
{
	uintptr_t lo = (uintptr_t)ss->ss_sp;

	return is_enabled(ss) && sp >= lo && sp - lo < ALTSTACK_TICK_BYTES;
}
