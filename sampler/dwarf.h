/* sampler/dwarf.h -- DWARF's number formats, read from a range of bytes and never outside it.
 *
 * Context   any, inside handlers.  Pure.
 * Failure   a read past the end, or of a format that is not known, returns 0, sets bad and stays
 *           at the end, so that callers look at bad once, when they are done.
 * Source    DWARF 5 section 7.6 (LEB128), LSB Core 10.5 (pointer encodings). */
#ifndef SAMPLER_DWARF_H
#define SAMPLER_DWARF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sampler/compiler.h"

/* What is left to read: [at, end), at <= end. */
struct dwarf {
	const uint8_t *at, *end;
	bool           bad;
};

/* Pointer encodings: the format in the low half, what it is relative to in the high half. */
enum {
	DWARF_ABSOLUTE = 0x00, DWARF_ULEB = 0x01, DWARF_U2 = 0x02, DWARF_U4 = 0x03,
	DWARF_U8 = 0x04, DWARF_SLEB = 0x09, DWARF_S2 = 0x0a, DWARF_S4 = 0x0b, DWARF_S8 = 0x0c,
	DWARF_FORMAT = 0x0f,
	DWARF_PC_RELATIVE = 0x10, DWARF_DATA_RELATIVE = 0x30, DWARF_OMITTED = 0xff,
};

COLD void dwarf_fail(struct dwarf *d);
uint64_t dwarf_uleb_long(struct dwarf *d);
int64_t dwarf_sleb_long(struct dwarf *d);

/* A pointer of this encoding.  An address in this memory plus moved is the address it stands for
 * (struct cfi_object); data is what data-relative ones are relative to.  Indirect ones are bad:
 * none occurs where we look. */
uintptr_t dwarf_pointer(struct dwarf *d, uint8_t encoding, uintptr_t moved, uintptr_t data);

static inline size_t dwarf_left(const struct dwarf *d) { return (size_t)(d->end - d->at); }

static inline void dwarf_skip(struct dwarf *d, uint64_t n)
{
	if (unlikely(n > dwarf_left(d)))
		dwarf_fail(d);
	else
		d->at += n;
}

#define DWARF_FIXED(name, type)                                         \
	static inline type name(struct dwarf *d)                        \
	{                                                               \
		type v;                                                 \
									\
		if (unlikely(dwarf_left(d) < sizeof(v))) {              \
			dwarf_fail(d);                                  \
			return 0;                                       \
		}                                                       \
		memcpy(&v, d->at, sizeof(v));                           \
		d->at += sizeof(v);                                     \
		return v;                                               \
	}

DWARF_FIXED(dwarf_u8, uint8_t)
DWARF_FIXED(dwarf_u16, uint16_t)
DWARF_FIXED(dwarf_u32, uint32_t)
DWARF_FIXED(dwarf_u64, uint64_t)
DWARF_FIXED(dwarf_s8, int8_t)
DWARF_FIXED(dwarf_s16, int16_t)
DWARF_FIXED(dwarf_s32, int32_t)

/* Nearly all are one byte long. */
static inline uint64_t dwarf_uleb(struct dwarf *d)
{
	if (likely(d->at < d->end && *d->at < 0x80))
		return *d->at++;
	return dwarf_uleb_long(d);
}

static inline int64_t dwarf_sleb(struct dwarf *d)
{
	if (likely(d->at < d->end && *d->at < 0x80)) {
		int v = *d->at++;

		return v >= 0x40 ? v - 0x80 : v;
	}
	return dwarf_sleb_long(d);
}

/* dwarf_pointer, with the usual encoding inline: 4 bytes, signed, relative to their place. */
static inline uintptr_t dwarf_address(struct dwarf *d, uint8_t encoding, uintptr_t moved)
{
	uintptr_t here = (uintptr_t)d->at + moved;

	if (likely(encoding == (DWARF_PC_RELATIVE | DWARF_S4)))
		return here + (uintptr_t)(intptr_t)dwarf_s32(d);
	return dwarf_pointer(d, encoding, moved, 0);
}

/* The size of a range whose start has this encoding: the same format, relative to nothing. */
static inline uintptr_t dwarf_size(struct dwarf *d, uint8_t encoding)
{
	if (likely((encoding & DWARF_FORMAT) == DWARF_S4))
		return (uintptr_t)(intptr_t)dwarf_s32(d);
	return dwarf_pointer(d, encoding & DWARF_FORMAT, 0, 0);
}

#endif
