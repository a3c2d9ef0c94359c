/* Read from the file, as the object may be gone from memory; and not by the unwinder's cfi.c, which
 * wants all of the tables at once and the rules of a row: here it is the bounds of an FDE only. */
#include "httpd/elf_frames.h"

#include <string.h>

/* Pointer encodings (LSB Core 10.5.1): the format is in the low four bits. */
enum {
	PE_ABSPTR = 0x00,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_TABLE  = 0x3b,       /* relative to the header, sdata4: what every linker writes */
};

#define ROWS_AT_ONCE 512        /* a page */
#define ENTRY_BYTES  64         /* of a CIE or FDE: what we look at is in front */

/* Of the search table; both from the address of .eh_frame_hdr. */
struct row {
	int32_t start, fde;
};

/* Bytes of an encoded pointer, 0 for those of variable length. */
static size_t width(uint8_t encoding)
{
	switch (encoding & 0x0f) {
	case PE_UDATA2:
	case PE_SDATA2:
		return 2;
	case PE_UDATA4:
	case PE_SDATA4:
		return 4;
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		return 8;
	}
	return 0;
}

/* Where the rows are, and how many. */
static bool find_rows(const struct elf *e, uint64_t *rows, uint64_t *count)
{
	struct { uint8_t version, frame_enc, count_enc, table_enc, rest[12]; } h;
	uint32_t n;
	size_t skip;

	if (e->frames.bytes < sizeof(h) || !elf_read(e, &h, sizeof(h), e->frames.offset) ||
	    h.version != 1 || h.count_enc != PE_UDATA4 || h.table_enc != PE_TABLE)
		return false;
	skip = width(h.frame_enc);
	if (skip == 0)
		return false;
	memcpy(&n, h.rest + skip, sizeof(n));
	*rows = e->frames.offset + 4 + skip + sizeof(n);
	*count = n;
	return elf_has(e, *rows, n * (uint64_t)sizeof(struct row));
}

/* The last row that starts at or before address. */
static bool find_row(const struct elf *e, int64_t address, struct row *out)
{
	struct row row[ROWS_AT_ONCE];
	uint64_t rows, lo = 0, hi;      /* the answer is in [lo, hi), if there is one */
	size_t n;

	if (!find_rows(e, &rows, &hi) || hi == 0)
		return false;
	while (hi - lo > ROWS_AT_ONCE) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (!elf_read(e, row, sizeof(row[0]), rows + mid * sizeof(row[0])))
			return false;
		if (row[0].start <= address)
			lo = mid;
		else
			hi = mid;
	}
	n = hi - lo;
	if (!elf_read(e, row, n * sizeof(row[0]), rows + lo * sizeof(row[0])))
		return false;
	while (n > 0 && row[n - 1].start > address)
		n--;
	if (n == 0)
		return false;
	*out = row[n - 1];
	return true;
}

/* The first bytes of the CIE or FDE at an offset; zeroes where the source ends. */
static bool read_entry(const struct elf *e, uint64_t offset, uint8_t out[ENTRY_BYTES])
{
	uint64_t left = offset < e->source.bytes ? e->source.bytes - offset : 0;
	uint32_t length;
	size_t n = left < ENTRY_BYTES ? left : ENTRY_BYTES;

	memset(out, 0, ENTRY_BYTES);
	if (n < 16 || !elf_read(e, out, n, offset))
		return false;
	memcpy(&length, out, sizeof(length));
	/* 0 ends the section; 0xffffffff starts the 64-bit form, which no compiler writes here. */
	return length >= 8 && length < UINT32_MAX - 1;
}

/* Skips a LEB128 number. */
static size_t skip_leb(const uint8_t cie[ENTRY_BYTES], size_t at)
{
	while (at < ENTRY_BYTES && (cie[at] & 0x80) != 0)
		at++;
	return at + 1;
}

/* How the FDEs of a CIE write their pointers; false if it does not say so in its first bytes. */
static bool pointer_encoding(const uint8_t cie[ENTRY_BYTES], uint8_t *out)
{
	const uint8_t *augmentation = cie + 9, *end = cie + ENTRY_BYTES;
	const uint8_t *nul = memchr(augmentation, 0, (size_t)(end - augmentation));
	uint32_t id;
	size_t at;

	memcpy(&id, cie + 4, sizeof(id));
	if (id != 0 || nul == NULL)
		return false;
	*out = PE_ABSPTR;
	if (nul == augmentation)
		return true;
	if (*augmentation != 'z')
		return false;
	at = (size_t)(nul + 1 - cie);
	at = skip_leb(cie, skip_leb(cie, at));          /* code and data alignment */
	at = cie[8] == 1 ? at + 1 : skip_leb(cie, at);  /* return address register */
	at = skip_leb(cie, at);                         /* length of what follows */
	for (const uint8_t *a = augmentation + 1; a < nul && at < ENTRY_BYTES; a++) {
		if (*a == 'R') {
			*out = cie[at];
			return true;
		}
		if (*a == 'L')
			at++;
		else if (*a == 'P' && width(cie[at]) > 0)
			at += 1 + width(cie[at]);
		else if (*a != 'S' && *a != 'B')
			return false;
	}
	return at < ENTRY_BYTES;        /* it says nothing: absolute */
}

/* How many bytes of code the FDE at an address is for; 0 if it cannot be told. */
static uint64_t fde_range(const struct elf *e, uint64_t address)
{
	uint8_t fde[ENTRY_BYTES], cie[ENTRY_BYTES];
	uint64_t offset, range = 0;
	uint32_t back;
	uint8_t encoding;

	if (!elf_offset(e, address, &offset) || !read_entry(e, offset, fde))
		return 0;
	memcpy(&back, fde + 4, sizeof(back));
	if (back == 0 || back > offset + 4 || !read_entry(e, offset + 4 - back, cie))
		return 0;
	if (!pointer_encoding(cie, &encoding) || width(encoding) == 0)
		return 0;
	memcpy(&range, fde + 8 + width(encoding), width(encoding));
	return range;
}

bool elf_frames_find(const struct elf *e, uint64_t address, struct elf_frame *out)
{
	uint64_t base = e->frames.address, range;
	struct row row;

	if (e->frames.bytes == 0 || base >= ELF_ADDRESS_MAX || address >= ELF_ADDRESS_MAX ||
	    !find_row(e, (int64_t)(address - base), &row))
		return false;
	out->start = base + (uint64_t)(int64_t)row.start;
	range = fde_range(e, base + (uint64_t)(int64_t)row.fde);
	if (out->start > address || address - out->start >= range)
		return false;
	out->end = out->start + range;
	return out->end >= out->start;
}
