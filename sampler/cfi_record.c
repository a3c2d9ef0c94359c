/* The 64-bit form (length 0xffffffff) is refused: no linker writes it into .eh_frame and libgcc
 * does not read it.  Letters of an augmentation: z = sizes are given, R = encoding of addresses,
 * L and P = for exceptions, S = signal frame. */
#include "sampler/cfi_record.h"

#define LENGTH_64 0xfffffff0u           /* and above: not a length */
#define AUGMENTATION_MAX 8              /* "zPLRS" and a few that are yet to come */

bool cfi_record_open(const struct cfi_object *object, const uint8_t *at, struct dwarf *body,
		     uint32_t *id)
{
	uint32_t length;

	if (at < object->lo || at > object->hi)
		return false;
	*body = (struct dwarf){ .at = at, .end = object->hi };
	length = dwarf_u32(body);
	if (length == 0 || length >= LENGTH_64 || length > dwarf_left(body))
		return false;
	body->end = body->at + length;
	*id = dwarf_u32(body);
	return !body->bad;
}

/* What the augmentation's letters announce.  data is at their bytes, and ends where these end. */
static bool parse_augmentation(const uint8_t *letters, size_t n, struct dwarf data,
			       struct cfi_record *out)
{
	for (size_t i = 1; i < n; i++) {
		switch (letters[i]) {
		case 'R':
			out->encoding = dwarf_u8(&data);
			break;
		case 'L':
			dwarf_skip(&data, 1);
			break;
		case 'P':
			/* Its value is of no interest, so neither is what it is relative to. */
			dwarf_pointer(&data, dwarf_u8(&data) & DWARF_FORMAT, 0, 0);
			break;
		case 'S':
			out->signal_frame = true;
			break;
		default:
			return false;
		}
	}
	return !data.bad;
}

/* cie is after the id.  *augmented: its FDEs too have augmentation bytes. */
static bool parse_cie(struct dwarf cie, struct cfi_record *out, bool *augmented)
{
	uint8_t version = dwarf_u8(&cie);
	const uint8_t *letters = cie.at;
	size_t n = 0;
	uint64_t column, bytes;

	while (n < AUGMENTATION_MAX && dwarf_u8(&cie) != 0)
		n++;
	if ((version != 1 && version != 3) || n == AUGMENTATION_MAX || cie.bad)
		return false;
	out->code_align = dwarf_uleb(&cie);
	out->data_align = dwarf_sleb(&cie);
	column = version == 1 ? dwarf_u8(&cie) : dwarf_uleb(&cie);
	*augmented = n > 0;
	if (n > 0) {
		bytes = dwarf_uleb(&cie);
		if (letters[0] != 'z' || bytes > dwarf_left(&cie))
			return false;
		if (!parse_augmentation(letters, n,
					(struct dwarf){ .at = cie.at, .end = cie.at + bytes }, out))
			return false;
		dwarf_skip(&cie, bytes);
	}
	out->initial_ops = cie;
	return column == REGS_PC && !cie.bad;
}

bool cfi_record_parse(const struct cfi_object *object, const uint8_t *at, struct cfi_record *out)
{
	struct dwarf fde, cie;
	uint32_t back, id;
	bool augmented;

	if (!cfi_record_open(object, at, &fde, &back) || back == 0)
		return false;
	/* The id of an FDE is the distance from itself back to its CIE. */
	at = fde.at - sizeof(back);
	if (back > (size_t)(at - object->lo) ||
	    !cfi_record_open(object, at - back, &cie, &id) || id != 0)
		return false;
	out->encoding = DWARF_ABSOLUTE;
	out->signal_frame = false;
	if (!parse_cie(cie, out, &augmented))
		return false;
	out->start = dwarf_address(&fde, out->encoding, object->moved);
	out->end = out->start + dwarf_size(&fde, out->encoding);
	if (augmented)
		dwarf_skip(&fde, dwarf_uleb(&fde));
	out->ops = fde;
	return !fde.bad && out->end >= out->start;
}
