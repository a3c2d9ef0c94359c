/* sampler/parked_code.h -- what instructions say of a frame whose rbp is looked for (parked.c).
 *
 * Context   our thread.  Reads code by os_peek: it may be unmapped meanwhile. */
#ifndef SAMPLER_PARKED_CODE_H
#define SAMPLER_PARKED_CODE_H

#include <stddef.h>
#include <stdint.h>

/* What the call before this return address calls, through a stub of the linker's too; 0: it is not
 * in the instruction. */
uintptr_t parked_called_before(uintptr_t pc);

/* How far above sp a function has its rbp, by its first instructions, which are before pc, if it
 * saves so many other registers below that; 0: they do not say, or it has none there. */
size_t parked_frame_bytes(uintptr_t function, uintptr_t pc, unsigned saved);

#endif
