/* sampler/cfi_table.h -- from a pc to its FDE, through .eh_frame_hdr.
 *
 * Context   any, inside handlers.
 * Source    LSB Core 10.6.2. */
#ifndef SAMPLER_CFI_TABLE_H
#define SAMPLER_CFI_TABLE_H

#include "sampler/cfi_record.h"

/* The FDE that covers pc.  False: none does, or the tables make no sense. */
bool cfi_table_find(const struct cfi_object *object, uintptr_t pc, struct cfi_record *out);

/* How many FDEs the header lists, by address; 0: none, or in a way that nobody uses. */
uint64_t cfi_table_count(const struct cfi_object *object);

/* The i-th of them: where it begins, by the header.  False: *out is not an FDE. */
bool cfi_table_entry(const struct cfi_object *object, uint64_t i, uintptr_t *start,
		     struct cfi_record *out);

#endif
