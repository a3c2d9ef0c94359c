/* sampler/unwind_entry.h -- the first and last instructions of a function, where rbp is not its frame
 * pointer yet, or no more.
 *
 * Context   any, inside handlers.  Reads code only where the kernel says that it is readable. */
#ifndef SAMPLER_UNWIND_ENTRY_H
#define SAMPLER_UNWIND_ENTRY_H

#include <stdint.h>

#define UNWIND_ENTRY_NONE (-1)

/* For a pc that was interrupted and has no call frame information: how many bytes above sp the
 * return address is, where the instruction at pc tells; the caller's frame pointer is right below
 * it unless that is 0.  A pc that cannot be read was jumped to by mistake: 0, as after the call.
 * UNWIND_ENTRY_NONE: anywhere else in a function. */
int unwind_entry_offset(uintptr_t pc);

#endif
