/* sampler/cfi_find.h -- the row of a pc: its FDE, and what that says.
 *
 * Context   any, inside handlers. */
#ifndef SAMPLER_CFI_FIND_H
#define SAMPLER_CFI_FIND_H

#include "sampler/cfi_program.h"
#include "sampler/cfi_table.h"

/* Fill work->row for pc.  False: no FDE covers it, or its tables make no sense.
 * Inline for one frame less on a handler's stack. */
static inline bool cfi_find_row(const struct cfi_object *object, uintptr_t pc,
				struct cfi_work *work)
{
	return cfi_table_find(object, pc, &work->record) &&
	       cfi_program_run(object, &work->record, pc, work);
}

#endif
