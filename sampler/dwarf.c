/* Bits of a LEB128 beyond the 64th are dropped, as every reader does. */
#include "sampler/dwarf.h"

#define LEB_BYTES_MAX 16        /* longer ones are padding that nobody writes */

void dwarf_fail(struct dwarf *d)
{
	d->at = d->end;
	d->bad = true;
}

/* The bits of the last byte are the sign's, too, if it has one. */
static uint64_t read_leb(struct dwarf *d, bool has_sign)
{
	uint64_t v = 0;
	unsigned shift = 0;

	for (unsigned i = 0; i < LEB_BYTES_MAX; i++) {
		uint8_t byte = dwarf_u8(d);

		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte >= 0x80)
			continue;
		return has_sign && shift < 64 && (byte & 0x40) ? v | ~(uint64_t)0 << shift : v;
	}
	dwarf_fail(d);
	return 0;
}

uint64_t dwarf_uleb_long(struct dwarf *d)
{
	return read_leb(d, false);
}

int64_t dwarf_sleb_long(struct dwarf *d)
{
	return (int64_t)read_leb(d, true);
}

static uint64_t read_format(struct dwarf *d, uint8_t format)
{
	switch (format) {
	case DWARF_ABSOLUTE:
	case DWARF_U8:
	case DWARF_S8:
		return dwarf_u64(d);
	case DWARF_ULEB:
		return dwarf_uleb(d);
	case DWARF_SLEB:
		return (uint64_t)dwarf_sleb(d);
	case DWARF_U2:
		return dwarf_u16(d);
	case DWARF_S2:
		return (uint64_t)(int64_t)dwarf_s16(d);
	case DWARF_U4:
		return dwarf_u32(d);
	case DWARF_S4:
		return (uint64_t)(int64_t)dwarf_s32(d);
	}
	dwarf_fail(d);
	return 0;
}

uintptr_t dwarf_pointer(struct dwarf *d, uint8_t encoding, uintptr_t moved, uintptr_t data)
{
	uintptr_t here = (uintptr_t)d->at + moved;
	uintptr_t v = (uintptr_t)read_format(d, encoding & DWARF_FORMAT);

	switch (encoding & ~DWARF_FORMAT) {
	case DWARF_ABSOLUTE:
		return v;
	case DWARF_PC_RELATIVE:
		return here + v;
	case DWARF_DATA_RELATIVE:
		return data + v;
	}
	dwarf_fail(d);
	return 0;
}
