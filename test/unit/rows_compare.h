/* test/unit/rows_compare.h -- compiled rows beside what the interpreter says of the same tables. */
#ifndef TEST_UNIT_ROWS_COMPARE_H
#define TEST_UNIT_ROWS_COMPARE_H

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "sampler/cfi_find.h"
#include "sampler/os.h"
#include "sampler/rows_build.h"

static struct rows_build build;
static struct cfi_work work;
static struct rows rows;
static size_t row_bytes;

/* Compile so many entries at a time. */
static bool compile(const struct cfi_object *object, uintptr_t image, unsigned at_once)
{
	if (!rows_build_begin(&build, object, image))
		return false;
	while (rows_build_go_on(&build, at_once))
		;
	return rows_build_end(&build, &rows, &row_bytes);
}

static void drop(void)
{
	os_unmap((void *)(uintptr_t)rows.row, row_bytes);
}

static uint32_t interpret(const struct cfi_object *object, uintptr_t pc)
{
	if (!cfi_find_row(object, pc, &work))
		return RULES_UNDESCRIBED;
	return rules_at(rules_from_row(object, &work.row), pc);
}

/* How many addresses have RULES_ASK though the interpreter knows a rule; -1: one has another. */
static long compare_at(const struct cfi_object *object, uintptr_t image, uintptr_t pc)
{
	uint32_t have = rows_find(&rows, pc - image), want = interpret(object, pc);

	if (have == want)
		return 0;
	if (have == RULES_ASK)
		return 1;
	print_error("offset %#lx: rows say %#x, tables %#x\n", (long)(pc - image), have, want);
	return -1;
}

static long compare(const struct cfi_object *object, uintptr_t image, uintptr_t lo, uintptr_t hi,
		    unsigned step)
{
	long asks = 0;

	for (uintptr_t pc = lo; pc < hi; pc += step) {
		long at = compare_at(object, image, pc);

		if (at < 0)
			return -1;
		asks += at;
	}
	return asks;
}

#endif
