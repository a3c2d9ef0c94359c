#include "sampler/altstack.h"

static size_t frame = ALTSTACK_FRAME_BYTES, tick = ALTSTACK_TICK_BYTES;

void altstack_init(size_t frame_bytes)
{
	if (frame_bytes != 0)
		frame = frame_bytes;
}

void altstack_need(size_t tick_bytes)
{
	tick = tick_bytes;
}

/* In a signal frame the flags are those of the last sigaltstack: 0 where there was none. */
static bool is_enabled(const stack_t *ss)
{
	return (ss->ss_flags & SS_DISABLE) == 0 && ss->ss_size != 0;
}

bool altstack_is_small(const stack_t *ss)
{
	return is_enabled(ss) && ss->ss_size < frame + tick;
}

bool altstack_is_full(const stack_t *ss, uintptr_t sp)
{
	uintptr_t lo = (uintptr_t)ss->ss_sp;

	return is_enabled(ss) && sp >= lo && sp - lo < tick;
}
