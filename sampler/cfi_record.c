/* The 64-bit form (length 0xffffffff) is refused: no linker writes it into .eh_frame and libgcc
 * does not read it.  Letters of an augmentation: z = sizes are given, R = encoding of addresses,
 * L and P = for exceptions, S = signal frame. */
#include "sampler/cfi_record.h"

#define LENGTH_64 0xfffffff0u           /* and above: not a length */
#define AUGMENTATION_MAX 8              /* "zPLRS" and a few that are yet to come */

bool cfi_record_open(const struct cfi_object *object, const uint8_t *at, struct dwarf *body,
		     uint32_t *id)
{
	uint32_t length, first;

	if (at < object->lo || at > object->hi)
		return false;
	*body = (struct dwarf){ .at = at, .end = object->hi };
	length = dwarf_u32(body);
	if (length == 0 || length >= LENGTH_64 || length > dwarf_left(body))
		return false;
	body->end = body->at + length;
	first = dwarf_u32(body);
	if (id != NULL)
		*id = first;
	return !body->bad;
}

/* Over a pointer, whose value is of no interest. */
static inline void skip_pointer(struct dwarf *d, uint8_t encoding)
{
	switch (encoding & DWARF_FORMAT) {
	case DWARF_ABSOLUTE:
	case DWARF_U8:
	case DWARF_S8: dwarf_skip(d, 8); break;
	case DWARF_U4:
	case DWARF_S4: dwarf_skip(d, 4); break;
	case DWARF_U2:
	case DWARF_S2: dwarf_skip(d, 2); break;
	case DWARF_ULEB:
	case DWARF_SLEB: dwarf_uleb(d); break;
	default: dwarf_fail(d);
	}
}

/* What the augmentation's letters announce.  *data is at their bytes. */
static bool parse_augmentation(const uint8_t *letters, size_t n, struct dwarf *data,
			       struct cfi_record *out)
{
	for (size_t i = 1; i < n; i++) {
		switch (letters[i]) {
		case 'R':
			out->encoding = dwarf_u8(data);
			break;
		case 'L':
			dwarf_skip(data, 1);
			break;
		case 'P':
			skip_pointer(data, dwarf_u8(data));
			break;
		case 'S':
			out->signal_frame = true;
			break;
		default:
			return false;
		}
	}
	return true;
}

/* out->initial_ops is after the CIE's id, and afterwards what its name says.  *augmented: its FDEs
 * too have augmentation bytes. */
static bool parse_cie(struct cfi_record *out, bool *augmented)
{
	struct dwarf *cie = &out->initial_ops;
	uint8_t version = dwarf_u8(cie);
	const uint8_t *letters = cie->at;
	size_t n = 0;
	const uint8_t *after;
	uint64_t column, bytes;

	while (n < AUGMENTATION_MAX && dwarf_u8(cie) != 0)
		n++;
	if ((version != 1 && version != 3) || n == AUGMENTATION_MAX || cie->bad)
		return false;
	out->code_align = dwarf_uleb(cie);
	out->data_align = dwarf_sleb(cie);
	column = version == 1 ? dwarf_u8(cie) : dwarf_uleb(cie);
	*augmented = n > 0;
	if (n > 0) {
		bytes = dwarf_uleb(cie);
		if (letters[0] != 'z' || bytes > dwarf_left(cie))
			return false;
		after = cie->at + bytes;
		if (!parse_augmentation(letters, n, cie, out) || cie->at > after)
			return false;
		cie->at = after;
	}
	return column == REGS_PC && !cie->bad;
}

/* In place, without copies: the stack that this takes may be a small one. */
bool cfi_record_parse(const struct cfi_object *object, const uint8_t *at, struct cfi_record *out)
{
	struct dwarf *fde = &out->ops;
	uint32_t back, id;
	bool augmented;

	if (!cfi_record_open(object, at, fde, &back) || back == 0)
		return false;
	/* The id of an FDE is the distance from itself back to its CIE. */
	at = fde->at - sizeof(back);
	if (back > (size_t)(at - object->lo) ||
	    !cfi_record_open(object, at - back, &out->initial_ops, &id) || id != 0)
		return false;
	out->encoding = DWARF_ABSOLUTE;
	out->signal_frame = false;
	if (!parse_cie(out, &augmented))
		return false;
	out->start = dwarf_address(fde, out->encoding, object->moved);
	out->end = out->start + dwarf_size(fde, out->encoding);
	if (augmented)
		dwarf_skip(fde, dwarf_uleb(fde));
	return !fde->bad && out->end >= out->start;
}
