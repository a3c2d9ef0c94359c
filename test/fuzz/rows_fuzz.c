/* Any bytes as .eh_frame_hdr and .eh_frame, compiled into rows: at every address the rows must say what
 * the interpreter says, or that it is to be asked; and building them is bounded work.
 *
 * The tables end at a wall: nothing outside of them may be read. */
#include <stdbool.h>
#include <stdint.h>

#include "fuzz/wall.h"
#include "sampler/cfi_find.h"
#include "sampler/compiler.h"
#include "sampler/os.h"
#include "sampler/rows.h"
#include "sampler/rows_build.h"

/* Where the header pretends to be, and the object's lowest address. */
#define BASE  ((uintptr_t)0x10000000)
#define IMAGE (BASE - 0x10000)

enum { ENTRIES_AT_ONCE = 3, PROBES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cfi_object object;
static struct cfi_work work;

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

static void compare(const struct rows *rows, uintptr_t pc)
{
	uint32_t rule = rows_find(rows, pc - IMAGE), wanted = RULES_UNDESCRIBED;

	if (rules_kind(rule) == RULES_ASK)
		return;
	if (cfi_find_row(&object, pc, &work))
		wanted = rules_at(rules_from_row(&object, &work.row), pc);
	demand(rule == wanted);
}

static void check_rows(const struct rows *rows)
{
	uint64_t random = 88172645463325252u;

	demand(rows->count >= 2 && rows->row[0].offset == rows->first);
	for (uint32_t i = 1; i < rows->count; i++)
		demand(rows->row[i - 1].offset < rows->row[i].offset);
	for (uint32_t i = 0; i < rows->count; i++) {
		uintptr_t pc = IMAGE + rows->row[i].offset;

		for (int near = -1; near < 18; near++)
			compare(rows, pc + (uintptr_t)near);
	}
	for (unsigned i = 0; i < PROBES; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		compare(rows, IMAGE + rows->first + random % (rows->limit - rows->first));
		compare(rows, IMAGE + random % UINT32_MAX);
	}
	compare(rows, 0);
	compare(rows, UINTPTR_MAX);
}

/* What the header lists, and places behind. */
static void check_entries(const struct rows *rows)
{
	static const uint8_t behind[] = { 0, 1, 2, 4, 5, 8, 13, 30, 100, 255 };

	for (size_t at = 12; at + 4 <= (size_t)(object.hi - object.lo) && at < 12 + 8 * 64; at += 8) {
		int32_t start;

		memcpy(&start, object.lo + at, sizeof(start));
		for (size_t k = 0; k < COUNT_OF(behind); k++)
			compare(rows, BASE + (uintptr_t)(intptr_t)start + behind[k]);
		compare(rows, BASE + (uintptr_t)(intptr_t)start - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rows_build build;
	struct rows rows;
	size_t bytes, turns = 0;

	if (size > WALL_ROOM)
		return 0;
	object.lo = object.hdr = (const uint8_t *)wall_copy(data, size);
	object.hi = object.lo + size;
	object.moved = BASE - (uintptr_t)object.lo;
	if (!rows_build_begin(&build, &object, IMAGE))
		return 0;
	while (rows_build_go_on(&build, ENTRIES_AT_ONCE))
		demand(++turns <= size);
	if (!rows_build_end(&build, &rows, &bytes))
		return 0;
	demand(bytes <= size * ROWS_BUILD_ROOM);
	check_rows(&rows);
	check_entries(&rows);
	os_unmap((void *)(uintptr_t)rows.row, bytes);
	return 0;
}
