/* sampler/cfi_table.h -- from a pc to its FDE, through .eh_frame_hdr.
 *
 * Context   any, inside handlers.
 * Source    LSB Core 10.6.2. */
#ifndef SAMPLER_CFI_TABLE_H
#define SAMPLER_CFI_TABLE_H

#include "sampler/cfi_record.h"

/* The FDE that covers pc.  False: none does, or the tables make no sense. */
bool cfi_table_find(const struct cfi_object *object, uintptr_t pc, struct cfi_record *out);

#endif
