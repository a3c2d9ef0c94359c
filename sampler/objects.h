/* sampler/objects.h -- what the ELF headers of a mapped object say: its build id, and where its
 * unwind tables are.  Read from memory with os_peek, so an object that is just being unmapped is an
 * error, not a fault.
 *
 * Context   the constructor and our thread. */
#ifndef SAMPLER_OBJECTS_H
#define SAMPLER_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/limits.h"

struct object {
	uint8_t   build_id[BUILD_ID_MAX];
	uint8_t   build_id_len;         /* 0: none */
	uintptr_t build_id_at;          /* where it is mapped */
	uintptr_t hdr;                  /* .eh_frame_hdr; 0: none */
	uintptr_t lo, hi;               /* the readable segment around it */
};

/* image: the lowest address of the object, where its ELF header is.  False: no ELF object there. */
bool objects_read(uintptr_t image, struct object *out);

/* True if this build id is mapped at `at`.  Context: any, inside handlers. */
bool objects_is_build(uintptr_t at, const uint8_t *build_id, size_t len);

/* True if a segment of the object at image begins in the page at start. */
bool objects_has_segment(uintptr_t image, uintptr_t start);

#endif
