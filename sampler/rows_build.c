/* Entry by entry of .eh_frame_hdr, which is sorted.  What is odd (records that overlap, or that are
 * not where the header says) becomes RULES_ASK: the interpreter finds its way there. */
#include "sampler/rows_build.h"

#include "sampler/cfi_program.h"
#include "sampler/cfi_table.h"
#include "sampler/os.h"

#define BLOCK_BYTES (1u << ROWS_BLOCK_SHIFT)

bool rows_build_begin(struct rows_build *b, const struct cfi_object *object, uintptr_t image)
{
	size_t bytes = (size_t)(object->hi - object->lo) * ROWS_BUILD_ROOM, max;

	*b = (struct rows_build){ .object = *object, .image = image, .bytes = bytes };
	b->entries = cfi_table_count(object);
	max = bytes / sizeof(struct row);
	b->max = max < UINT32_MAX ? (uint32_t)max : UINT32_MAX;
	if (b->entries == 0)
		return false;
	b->row = b->room = os_map_wiped(bytes);
	return b->room != NULL;
}

void rows_build_drop(struct rows_build *b)
{
	os_unmap(b->room, b->bytes);
}

/* It replaces rows that begin at or behind it: of records that overlap, the later one is looked at
 * first (cfi_table.c). */
static void put(struct rows_build *b, uintptr_t offset, uint32_t rule)
{
	while (b->count > 0 && b->row[b->count - 1].offset >= offset)
		b->count--;
	if (offset != (uint32_t)offset)
		b->bad = true;
	else if (b->count > 0 && b->row[b->count - 1].rule == rule)
		return;
	else if (b->count == b->max)
		b->bad = true;
	else
		b->row[b->count++] = (struct row){ (uint32_t)offset, rule };
}

static void put_row(uintptr_t start, const struct cfi_row *row, void *arg)
{
	struct rows_build *b = arg;

	put(b, start - b->image, rules_from_row(&b->object, row));
}

static void reach(struct rows_build *b, uintptr_t end)
{
	if (end > b->reach)
		b->reach = end;
}

/* What follows the record, until the next one begins: nothing, unless an earlier one is longer. */
static void put_end(struct rows_build *b, uintptr_t end)
{
	put(b, end, b->odd || b->reach > end ? RULES_ASK : RULES_UNDESCRIBED);
	reach(b, end);
}

static void put_entry(struct rows_build *b)
{
	struct cfi_record record;
	uintptr_t address = 0, start, end;
	bool is_record = cfi_table_entry(&b->object, b->entry, &address, &record);

	start = address - b->image;
	if (b->entry > 0 && start < b->last_start)
		b->bad = true;
	b->last_start = start;
	if (!is_record || record.start != address) {
		b->odd = true;
		put(b, start, RULES_ASK);
		if (is_record)
			reach(b, record.end - b->image);
		return;
	}
	if (!cfi_program_each(&b->object, &record, &b->work, put_row, b, &end))
		put(b, end - b->image, RULES_ASK);
	put_end(b, record.end - b->image);
}

bool rows_build_go_on(struct rows_build *b, unsigned entries)
{
	for (; entries > 0 && b->entry < b->entries && !b->bad; entries--) {
		put_entry(b);
		b->entry++;
	}
	return b->entry < b->entries && !b->bad;
}

/* As rows.h describes it: blocks and one more. */
static void make_index(const struct rows_build *b, uint32_t *index, uint32_t blocks)
{
	uint32_t row = 0;

	for (uint32_t i = 0; i <= blocks; i++) {
		uint64_t start = b->row[0].offset + (uint64_t)i * BLOCK_BYTES;

		while (row + 1 < b->count && b->row[row + 1].offset <= start)
			row++;
		index[i] = row;
	}
}

bool rows_build_end(struct rows_build *b, struct rows *out, size_t *bytes)
{
	uint32_t *index, blocks;

	/* The last row says that nothing more is described. */
	put(b, b->reach, RULES_UNDESCRIBED);
	if (b->bad || b->count < 2) {
		rows_build_drop(b);
		return false;
	}
	index = (uint32_t *)(void *)(b->row + b->count);
	*out = (struct rows){ .first = b->row[0].offset, .limit = b->row[b->count - 1].offset,
			      .count = b->count, .index = index, .row = b->row };
	blocks = (out->limit - out->first - 1) / BLOCK_BYTES + 1;
	*bytes = b->count * sizeof(struct row) + (blocks + 1) * sizeof(*index);
	if (*bytes > b->bytes) {
		rows_build_drop(b);
		return false;
	}
	make_index(b, index, blocks);
	os_trim(b->room, b->bytes, *bytes);
	return true;
}
