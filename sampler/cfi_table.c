/* Every linker writes one kind of table: sorted pairs of 4-byte offsets from the header.  That one
 * is searched; where there is none, or another kind, the records are read one after the other, up
 * to a limit. */
#include "sampler/cfi_table.h"

#define HEADER_VERSION 1
#define TABLE_KIND     (DWARF_DATA_RELATIVE | DWARF_S4)
#define HEADER_BYTES   12u      /* of the usual one: four kinds, where .eh_frame is, the count */

/* Where the range of an entry's FDE does not hold the pc, an earlier FDE may: empty ones, and
 * ranges that overlap, are seen.  So many are tried. */
#define CANDIDATES 3

/* Offsets from the header, as they lie in the file: not aligned. */
struct entry {
	int32_t start, fde;
};

struct header {
	const uint8_t *table;           /* NULL: none that we can search */
	uint64_t       count;           /* entries of table; all are in memory */
	const uint8_t *records;         /* .eh_frame; only where table is NULL */
};

/* Any header but the usual one. */
static COLD bool parse_rare_header(const struct cfi_object *object, struct dwarf d,
				   struct header *out)
{
	uintptr_t base = (uintptr_t)object->hdr + object->moved, records;
	uint8_t version = dwarf_u8(&d), records_kind = dwarf_u8(&d);
	uint8_t count_kind = dwarf_u8(&d), table_kind = dwarf_u8(&d);

	records = dwarf_pointer(&d, records_kind, object->moved, base) - object->moved;
	if (version != HEADER_VERSION || d.bad ||
	    records - (uintptr_t)object->lo >= (size_t)(object->hi - object->lo))
		return false;
	out->records = object->lo + (records - (uintptr_t)object->lo);
	out->table = NULL;
	if (count_kind == DWARF_OMITTED || table_kind != TABLE_KIND)
		return true;
	out->count = dwarf_pointer(&d, count_kind, object->moved, base);
	out->table = d.at;
	return !d.bad;
}

static NOINLINE bool parse_header(const struct cfi_object *object, struct header *out)
{
	struct dwarf d = { .at = object->hdr, .end = object->hi };
	uint8_t usual[] = { HEADER_VERSION, DWARF_PC_RELATIVE | DWARF_S4, DWARF_U4, TABLE_KIND };
	size_t room;

	if (object->hdr < object->lo || object->hdr > object->hi)
		return false;
	if (likely(dwarf_left(&d) >= HEADER_BYTES && memcmp(d.at, usual, sizeof(usual)) == 0)) {
		dwarf_skip(&d, HEADER_BYTES - sizeof(uint32_t));
		out->count = dwarf_u32(&d);
		out->table = d.at;
	} else if (!parse_rare_header(object, d, out)) {
		return false;
	}
	if (out->table == NULL)
		return true;
	room = (size_t)(object->hi - out->table) / sizeof(struct entry);
	if (out->count > room)
		out->count = room;
	return true;
}

static struct entry entry_at(const uint8_t *table, uint64_t i)
{
	struct entry e;

	memcpy(&e, table + i * sizeof(e), sizeof(e));
	return e;
}

/* How many entries start at or before this offset. */
static uint64_t count_up_to(const uint8_t *table, uint64_t n, int32_t offset)
{
	uint64_t first = 0;

	if (n == 0 || entry_at(table, 0).start > offset)
		return 0;
	while (n > 1) {
		uint64_t half = n / 2;

		if (entry_at(table, first + half).start <= offset)
			first += half;
		n -= half;
	}
	return first + 1;
}

static bool covers(const struct cfi_record *record, uintptr_t pc)
{
	return record->start <= pc && pc < record->end;
}

static bool parse_entry(const struct cfi_object *object, struct entry e, struct cfi_record *out)
{
	int64_t place = object->hdr - object->lo + (int64_t)e.fde;

	return place >= 0 && place < object->hi - object->lo &&
	       cfi_record_parse(object, object->lo + place, out);
}

/* Not in one frame with the header's parts: check-stack. */
static NOINLINE bool search(const struct cfi_object *object, const uint8_t *table, uint64_t n,
			    uintptr_t pc, struct cfi_record *out)
{
	intptr_t offset = (intptr_t)(pc - ((uintptr_t)object->hdr + object->moved));

	if (offset != (int32_t)offset)
		return false;
	n = count_up_to(table, n, (int32_t)offset);
	for (unsigned tried = 0; tried < CANDIDATES && n > 0; tried++) {
		if (parse_entry(object, entry_at(table, --n), out) && covers(out, pc))
			return true;
	}
	return false;
}

static COLD bool scan(const struct cfi_object *object, const uint8_t *at, uintptr_t pc,
		      struct cfi_record *out)
{
	const uint8_t *next;

	for (unsigned n = 0; n < CFI_SCAN_MAX; n++, at = next) {
		if (!cfi_record_open(object, at, &out->ops, NULL))
			return false;
		next = out->ops.end;
		if (cfi_record_parse(object, at, out) && covers(out, pc))
			return true;
	}
	return false;
}

bool cfi_table_find(const struct cfi_object *object, uintptr_t pc, struct cfi_record *out)
{
	struct header h;

	if (!parse_header(object, &h))
		return false;
	if (h.table != NULL)
		return search(object, h.table, h.count, pc, out);
	return scan(object, h.records, pc, out);
}

uint64_t cfi_table_count(const struct cfi_object *object)
{
	struct header h;

	return parse_header(object, &h) && h.table != NULL ? h.count : 0;
}

bool cfi_table_entry(const struct cfi_object *object, uint64_t i, uintptr_t *start,
		     struct cfi_record *out)
{
	struct header h;
	struct entry e;

	if (!parse_header(object, &h) || h.table == NULL || i >= h.count)
		return false;
	e = entry_at(h.table, i);
	*start = (uintptr_t)object->hdr + object->moved + (uintptr_t)(intptr_t)e.start;
	return parse_entry(object, e, out);
}
