/* sampler/cfi_record.h -- one record of .eh_frame: an FDE, with the CIE that it refers to.
 *
 * Context   any, inside handlers.
 * Source    LSB Core 10.6.1 (.eh_frame), 10.6.1.1.1 (augmentation). */
#ifndef SAMPLER_CFI_RECORD_H
#define SAMPLER_CFI_RECORD_H

#include "sampler/cfi.h"

/* The bytes of the record at `at`, after its length, and its id: 0 is a CIE.  False: `at` is
 * outside, the record reaches outside, or it is the end mark.  id may be NULL. */
bool cfi_record_open(const struct cfi_object *object, const uint8_t *at, struct dwarf *body,
		     uint32_t *id);

/* Take the FDE at `at` apart.  False: it is none, or it or its CIE is of no kind we know. */
bool cfi_record_parse(const struct cfi_object *object, const uint8_t *at, struct cfi_record *out);

#endif
