/* sampler/unwind_entry.h -- what the instructions around a pc say about its frame: for code that
 * has no call frame information.
 *
 * Context   any, inside handlers.  Reads code only where the kernel finds it readable. */
#ifndef SAMPLER_UNWIND_ENTRY_H
#define SAMPLER_UNWIND_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#define UNWIND_ENTRY_NONE (-1)

/* For a pc that was interrupted and has no call frame information: how many bytes above sp the
 * return address is, where the instruction at pc tells; the caller's frame pointer is right below
 * it unless that is 0.  A pc that cannot be read was jumped to by mistake: 0, as after the call.
 * UNWIND_ENTRY_NONE: anywhere else in a function. */
int unwind_entry_offset(uintptr_t pc);

/* True if the instruction before pc is a call, so that pc can be a return address.  For code that a
 * JIT has made since the last scan; costs a system call, about 1 us. */
bool unwind_entry_follows_call(uintptr_t pc);

#endif
