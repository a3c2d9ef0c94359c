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

/* Every row of record, in the order of their addresses: f is told where each begins.  False: as
 * above, for addresses from *end on.
 * Context: our thread. */
bool cfi_program_each(const struct cfi_object *object, const struct cfi_record *record,
		      struct cfi_work *work,
		      void (*f)(uintptr_t start, const struct cfi_row *row, void *arg), void *arg,
		      uintptr_t *end);

#endif
