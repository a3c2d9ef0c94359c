/* Any bytes as .eh_frame_hdr and .eh_frame: rows for pcs all over them, steps with made-up loads,
 * and whole walks over a stack that is made from the bytes too.
 *
 * Input: the last STACK_BYTES are the stack, what is before them the tables.  Nothing outside of
 * either may be read: the tables and the stack end at a wall, and a second copy of the tables is in
 * malloc's memory, where the address sanitizer sees both ends. */
#include <stdbool.h>
#include <stdint.h>

#include "fuzz/wall.h"
#include "sampler/cfi_find.h"
#include "sampler/modules.h"
#include "sampler/os.h"
#include "sampler/tables.h"
#include "sampler/unwind.h"

enum { STACK_BYTES = 256, DEPTH = 32, ENTRIES = 16 };

/* Where the header pretends to be. */
#define BASE ((uintptr_t)0x10000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cfi_object object;
static struct cfi_work work;
static struct unwind_work walk_work;
static const char *stack;
static bool found_nothing;

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

/* --- what the walk calls -------------------------------------------------------------------- */

bool modules_find_range(uintptr_t pc, struct range *out)
{
	*out = (struct range){ .place = object };
	return !found_nothing && pc != 0;
}

void tables_ask(struct tables *t) { (void)t; }

bool modules_is_code(uintptr_t pc) { return (pc & 1) == 0; }

int os_readable(uintptr_t at)
{
	demand(at % 8 == 0);
	return at - (uintptr_t)stack < STACK_BYTES;
}

long os_peek(void *to, uintptr_t from, size_t n)
{
	if (from - (uintptr_t)stack > STACK_BYTES - n)
		return -1;
	memcpy(to, (const void *)from, n);
	return (long)n;
}

/* --- rows and steps ------------------------------------------------------------------------- */

static bool load(void *of, uintptr_t at, uintptr_t *value)
{
	unsigned *loads = of;

	++*loads;
	*value = at * 0x9e3779b97f4a7c15u;
	return at % 3 != 0;
}

static void check_row(const struct cfi_row *row, uintptr_t pc)
{
	demand(row->function_start <= pc && pc < row->function_end);
	demand(row->ruled < 1u << REGS_COUNT);
	demand(row->cfa_is_expr || row->cfa_reg < REGS_COUNT || row->cfa_reg == 0xff);
	demand(!row->cfa_is_expr || row->cfa_expr < object.hi - object.lo);
}

static void look_up(uintptr_t pc)
{
	struct regs regs = { .known = 0x1ffff }, before;
	unsigned loads = 0;

	if (!cfi_find_row(&object, pc, &work))
		return;
	check_row(&work.row, pc);
	for (unsigned n = 0; n < REGS_COUNT; n++)
		regs.r[n] = 0x7fff00000000 + n * 8;
	regs.r[REGS_PC] = pc;
	before = regs;
	if (!cfi_step(&object, &work, &regs, load, &loads))
		demand(memcmp(&before, &regs, sizeof(regs)) == 0);
	else
		demand(regs.known >> REGS_SP & 1);
	demand(loads < (REGS_COUNT + 1) * CFI_EXPR_OPS_MAX);
}

/* The starts in the table, if there is one, and places behind them. */
static void look_everywhere(void)
{
	static const uint8_t behind[] = { 0, 1, 2, 4, 5, 8, 13, 30, 100, 255 };
	size_t n = (size_t)(object.hi - object.lo);

	for (size_t i = 0; i < ENTRIES && 12 + 8 * i + 4 <= n; i++) {
		int32_t start;

		memcpy(&start, object.lo + 12 + 8 * i, sizeof(start));
		for (size_t k = 0; k < sizeof(behind); k++)
			look_up(BASE + (uintptr_t)(intptr_t)start + behind[k]);
		if (i < 4)
			look_up(BASE + (uintptr_t)(intptr_t)start - 1);
	}
	look_up(0);
	look_up(UINTPTR_MAX);
}

/* --- walks ---------------------------------------------------------------------------------- */

/* A word of the stack: small numbers become places in code or on the stack. */
static uint64_t word_from(uint64_t w)
{
	switch (w & 3) {
	case 0: return BASE + (uintptr_t)(intptr_t)(int32_t)(w >> 2);
	case 1: return (uintptr_t)stack + (w >> 2) % STACK_BYTES / 8 * 8;
	case 2: return w;
	}
	return 0;
}

static void walk(const uint8_t *bytes, bool known, enum unwind_mode mode)
{
	struct unwind_stack_bounds bounds = { 0 };
	struct regs regs = { .known = 0x1ffff };
	uintptr_t pc[DEPTH];
	unsigned depth;
	char *words = wall_room(STACK_BYTES);

	stack = words;
	for (size_t i = 0; i < STACK_BYTES; i += 8) {
		uint64_t w;

		memcpy(&w, bytes + i, sizeof(w));
		w = word_from(w);
		memcpy(words + i, &w, sizeof(w));
	}
	memcpy(regs.r, words, sizeof(regs.r));
	regs.r[REGS_SP] = (uintptr_t)stack + regs.r[REGS_SP] % STACK_BYTES / 8 * 8;
	if (known) {
		bounds.lo = (uintptr_t)stack;
		bounds.hi = bounds.lo + STACK_BYTES;
	}
	unwind_stack(&regs, &bounds, mode, &walk_work, NULL, pc, DEPTH, &depth);
	demand(depth <= DEPTH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = size - STACK_BYTES;
	uint8_t *heap;

	if (size < STACK_BYTES || size > WALL_ROOM)
		return 0;
	heap = malloc(n);
	if (n > 0)
		memcpy(heap, data, n);
	object = (struct cfi_object){ .hdr = heap, .lo = heap, .hi = heap + n,
				      .moved = BASE - (uintptr_t)heap };
	look_everywhere();
	object.lo = object.hdr = (const uint8_t *)wall_copy(data, n);
	object.hi = object.lo + n;
	object.moved = BASE - (uintptr_t)object.lo;
	look_everywhere();
	found_nothing = false;
	walk(data + n, true, UNWIND_AUTO);
	walk(data + n, false, UNWIND_AUTO);
	walk(data + n, true, UNWIND_FP);
	found_nothing = true;
	walk(data + n, true, UNWIND_AUTO);
	free(heap);
	return 0;
}
