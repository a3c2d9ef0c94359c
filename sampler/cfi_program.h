/* sampler/cfi_program.h -- runs the operations of a CIE and an FDE up to a pc.
 *
 * Context   any, inside handlers.
 * Source    DWARF 5 section 6.4.2; LSB Core 10.5 and gcc for the GNU operations. */
#ifndef SAMPLER_CFI_PROGRAM_H
#define SAMPLER_CFI_PROGRAM_H

#include "sampler/cfi_record.h"

/* Fill work->row with what holds at pc, which record covers.  False: an operation that is not known
 * or makes no sense here, too many of them, or states remembered too deep. */
bool cfi_program_run(const struct cfi_object *object, const struct cfi_record *record,
		     uintptr_t pc, struct cfi_work *work);

#endif
