#include "sampler/unwind_ahead.h"

#include <stddef.h>

#include "sampler/compiler.h"
#include "sampler/rows.h"
#include "sampler/rules.h"

#define LINE_BYTES 64u  /* of a cache */
#define ROWS_MAX   32u  /* of a block of code, to fetch: nearly all have fewer */

/* A stack has places that a sanitizer forbids to the program it guards; not to us. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))

/* gcc takes a function that does nothing but prefetch for one without effect, and leaves out the
 * call: so the empty instruction. */
static void fetch_line(const void *at)
{
	__builtin_prefetch(at);
	__asm__ volatile("");
}

static void fetch(const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += LINE_BYTES)
		fetch_line((const char *)from + i);
}

static void fetch_rule(uintptr_t pc)
{
	fetch_line((const void *)(uintptr_t)&rules_word[rules_place(pc)]);
}

/* Whatever may be a return address into the object where the last look-up was.  Without a branch:
 * much of a stack was never written, and valgrind would call that an error of the program's. */
static UNCHECKED void fetch_rules(const struct unwind_near *near, uintptr_t at, uintptr_t end)
{
	uintptr_t start = near->start, bytes = near->limit - near->start;

	for (; at < end; at += sizeof(uintptr_t)) {
		uintptr_t pc = *(const uintptr_t *)at - 1;

		fetch_rule(pc & -(uintptr_t)(pc - start < bytes));
	}
}

/* The rows around what was interrupted: nobody may have been there before. */
static void fetch_rows(const struct rows *rows, const uint32_t *block)
{
	uint32_t n = block[1] - block[0];

	fetch(&rows->row[block[0]], ((n < ROWS_MAX ? n : ROWS_MAX) + 1) * sizeof(struct row));
}

static void fetch_memo(const struct unwind_memo *memo)
{
	size_t bytes;

	if (memo == NULL || memo->resting)
		return;
	bytes = (memo->max - memo->first) * sizeof(memo->frame[0]);
	fetch(&memo->frame[memo->first],
	      bytes < UNWIND_AHEAD_MEMO_BYTES ? bytes : UNWIND_AHEAD_MEMO_BYTES);
}

HOT void unwind_look_ahead(const struct unwind_work *work, const struct unwind_memo *memo,
			   const struct regs *regs, const struct unwind_stack_bounds *bounds)
{
	const struct unwind_near *near = &work->near;
	uintptr_t pc = regs->r[REGS_PC], sp = regs->r[REGS_SP];
	const uint32_t *block = NULL;

	fetch_rule(pc);
	if (unwind_is_near(near, pc))
		block = rows_block(&near->rows, pc - near->image);
	fetch_line(block);
	fetch(&work->walk, sizeof(work->walk));
	fetch_memo(memo);
	if (sp % sizeof(uintptr_t) == 0 && bounds->lo != 0 && sp >= bounds->lo && sp < bounds->hi)
		fetch_rules(near, sp, bounds->hi - sp < UNWIND_AHEAD_BYTES
					      ? bounds->hi : sp + UNWIND_AHEAD_BYTES);
	if (block != NULL)
		fetch_rows(&near->rows, block);
}
