/* What a row comes down to in 29 bits, and what does not fit; and the rules of addresses seen
 * before. */
#include "sampler/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake/odds.h"
#include "sampler/cfi_find.h"
#include "test/unit/cfi_image.h"

static struct image image;
static struct cfi_work work;

/* The rule at IMAGE_CODE of a function with these operations. */
static uint32_t rule_of(const char *letters, struct ops ops)
{
	struct cfi_object object;

	image_begin(&image);
	image_cie(&image, letters, 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE, 0x1000, ops);
	image_end(&image);
	object = image_place(&image, image.n, true);
	if (!cfi_find_row(&object, IMAGE_CODE, &work))
		fail_msg("no row");
	return rules_from_row(&object, &work.row);
}

#define RULE(...) rule_of("zR", OPS(__VA_ARGS__))

#define CHECK(kind, offset, below, ...)                                 \
	do {                                                            \
		uint32_t rule_ = RULE(__VA_ARGS__);                     \
									\
		assert_int_equal(rules_kind(rule_), kind);              \
		assert_int_equal(rules_offset(rule_), offset);          \
		assert_int_equal(rules_bp_offset(rule_), below);        \
		assert_true(rule_ >> RULES_BITS == 0 && rule_ != RULES_NONE); \
	} while (0)

#define CHECK_ASK(...) assert_int_equal(RULE(__VA_ARGS__), RULES_ASK)

/* --- rows ------------------------------------------------------------------------------------ */

static void most_rows_are_a_register_and_two_numbers(void **state)
{
	(void)state;
	CHECK(RULES_SP, 8, 0, 0x00);
	CHECK(RULES_SP, 32, 0, 0x0e, 32);
	CHECK(RULES_SP, 48, 16, 0x0e, 48, 0x86, 2);
	CHECK(RULES_BP, 16, 16, 0x0c, 6, 16, 0x86, 2);
	CHECK(RULES_BP, 16, 0, 0x0c, 6, 16);
	CHECK(RULES_SP, 24, 24, 0x0e, 24, 0x86, 3);
	assert_true(rules_is_plain(RULE(0x00)) && rules_is_plain(RULE(0x0c, 6, 16)));
	/* Of the other registers a rule says nothing. */
	CHECK(RULES_SP, 64, 16, 0x0e, 64, 0x86, 2, 0x83, 3, 0x8c, 4, 0x07, 13);
	/* Said to be as it was. */
	CHECK(RULES_SP, 16, 0, 0x0e, 16, 0x86, 2, 0x08, 6);
}

static void numbers_that_do_not_fit_are_not_a_rule(void **state)
{
	(void)state;
	CHECK(RULES_SP, 0x3fff8, 0, 0x0e, 0xf8, 0xff, 0x0f);
	CHECK_ASK(0x0e, 0x80, 0x80, 0x10);              /* 0x40000 */
	CHECK_ASK(0x0e, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f);
	CHECK_ASK(0x0e, 20);                            /* not a multiple of 8 */
	CHECK_ASK(0x0e, 12, 0x86, 2);
	CHECK_ASK(0x0e, 0);                             /* the frame would be its own caller */
	CHECK_ASK(0x0c, 6, 0);
	CHECK_ASK(0x13, 1);                             /* def_cfa_offset_sf: -8 */
	CHECK(RULES_SP, 8, 2047 * 8, 0x86, 0xff, 0x0f);
	CHECK_ASK(0x86, 0x80, 0x10);                    /* bp at CFA - 2048 * 8 */
	CHECK_ASK(0x86, 0);                             /* at the CFA */
	CHECK_ASK(0x11, 6, 0x7f);                       /* above it */
}

/* Of a register in memory, but not of one in a register, or lost. */
static void what_else_can_be_said_of_bp_is_not_a_rule(void **state)
{
	(void)state;
	CHECK_ASK(0x07, 6);                             /* undefined */
	CHECK_ASK(0x09, 6, 3);                          /* in rbx */
	CHECK_ASK(0x14, 6, 2);                          /* val_offset */
	CHECK_ASK(0x10, 6, 2, 0x76, 0);                 /* DRAP's place without its CFA */
	CHECK_ASK(0x16, 6, 2, 0x76, 0);
}

static void other_registers_and_return_addresses_are_not_a_rule(void **state)
{
	(void)state;
	CHECK_ASK(0x0c, 3, 24);                         /* CFA from rbx: lazy binding */
	CHECK_ASK(0x0c, 10, 8);
	CHECK_ASK(0x90, 2);                             /* return address elsewhere */
	CHECK_ASK(0x08, 16);
	CHECK_ASK(0x09, 16, 0);
	CHECK_ASK(0x07, 7);                             /* something is said of rsp */
	CHECK_ASK(0x08, 7);
	/* A CIE that says nothing of the return address. */
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, OPS(0x0c, 7, 8));
	image_fde(&image, IMAGE_CODE, 0x1000, NO_OPS);
	image_end(&image);
	struct cfi_object object = image_place(&image, image.n, true);
	assert_true(cfi_find_row(&object, IMAGE_CODE, &work));
	assert_int_equal(rules_from_row(&object, &work.row), RULES_ASK);
}

static void the_outermost_frame_has_no_return_address(void **state)
{
	(void)state;
	assert_int_equal(RULE(0x07, 16), RULES_END);
	assert_int_equal(RULE(0x07, 16, 0x0e, 20), RULES_END);
	/* What says so, but with a CFA that we may not have. */
	assert_int_equal(RULE(0x07, 16, 0x0d, 6), RULES_ASK);
	assert_int_equal(RULE(0x07, 16, 0x0f, 2, 0x77, 8), RULES_ASK);
}

static void signal_frames_are_not_a_rule(void **state)
{
	(void)state;
	assert_int_equal(rule_of("zRS", OPS(0x0e, 16)), RULES_ASK);
	assert_int_equal(rule_of("zRS", OPS(0x07, 16)), RULES_ASK);
}

/* CFA = *(rbp - n), rbp at its own place. */
static void realigned_stacks_are_a_rule(void **state)
{
	(void)state;
	CHECK(RULES_BP_LOAD, 8, 0, 0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0);
	CHECK(RULES_BP_LOAD, 0, 0, 0x0f, 3, 0x76, 0, 0x06, 0x10, 6, 2, 0x76, 0);
	CHECK(RULES_BP_LOAD, 128, 0, 0x0f, 4, 0x76, 0x80, 0x7f, 0x06, 0x10, 6, 2, 0x76, 0);
	CHECK_ASK(0x0f, 3, 0x76, 0x78, 0x06);                           /* bp as it was */
	CHECK_ASK(0x0f, 3, 0x76, 0x78, 0x06, 0x86, 2);                  /* or elsewhere */
	CHECK_ASK(0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 8);
	CHECK_ASK(0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x77, 0);
	CHECK_ASK(0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 3, 0x76, 0, 0x06);
	CHECK_ASK(0x0f, 3, 0x76, 8, 0x06, 0x10, 6, 2, 0x76, 0);         /* above rbp */
	CHECK_ASK(0x0f, 3, 0x76, 0x7c, 0x06, 0x10, 6, 2, 0x76, 0);      /* at rbp - 4 */
	CHECK_ASK(0x0f, 4, 0x76, 0x78, 0x06, 0x06, 0x10, 6, 2, 0x76, 0);
	CHECK_ASK(0x0f, 2, 0x76, 0x78, 0x10, 6, 2, 0x76, 0);
	/* The lowest of all numbers. */
	CHECK_ASK(0x0f, 12, 0x76, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0x06,
		  0x10, 6, 2, 0x76, 0);
}

/* CFA = *(rsp + n) + 8. */
static void stacks_that_an_assembler_moved_are_a_rule(void **state)
{
	(void)state;
	CHECK(RULES_SP_LOAD, 48, 0, 0x0f, 5, 0x77, 48, 0x06, 0x23, 8);
	CHECK(RULES_SP_LOAD, 0, 0, 0x0f, 5, 0x77, 0, 0x06, 0x23, 8);
	CHECK(RULES_SP_LOAD, 152, 24, 0x0f, 6, 0x77, 0x98, 0x01, 0x06, 0x23, 8, 0x86, 3);
	/* In the red zone. */
	CHECK_ASK(0x0f, 5, 0x77, 0x78, 0x06, 0x23, 8);
	CHECK_ASK(0x0f, 5, 0x77, 48, 0x06, 0x23, 16);
	CHECK_ASK(0x0f, 5, 0x76, 48, 0x06, 0x23, 8);
	CHECK_ASK(0x0f, 6, 0x77, 48, 0x06, 0x23, 8, 0x06);
	CHECK_ASK(0x0f, 4, 0x77, 48, 0x06, 0x23);
	CHECK_ASK(0x0f, 5, 0x77, 48, 0x06, 0x23, 8, 0x07, 6);
	CHECK_ASK(0x0f, 0);
}

/* The linker's: 8 + ((rip & 15) >= n) * 8. */
static void stubs_that_bind_are_a_rule_of_sixteen_bytes(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		uint32_t rule = RULE(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, (uint8_t)(0x30 + n),
				     0x2a, 0x33, 0x24, 0x22);

		assert_int_equal(rules_kind(rule), RULES_PLT);
		assert_int_equal(rules_offset(rule), 8 * n);
		assert_false(rules_is_plain(rule));
		for (uintptr_t pc = 0x7f1234567890; pc < 0x7f12345678b0; pc++) {
			uint32_t there = rules_at(rule, pc);

			assert_int_equal(rules_kind(there), RULES_SP);
			assert_int_equal(rules_offset(there), pc % 16 >= n ? 16 : 8);
			assert_int_equal(rules_bp_offset(there), 0);
		}
	}
	CHECK_ASK(0x0f, 11, 0x77, 16, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
	CHECK_ASK(0x0f, 11, 0x77, 8, 0x80, 1, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
	CHECK_ASK(0x0f, 11, 0x77, 8, 0x80, 0, 0x3e, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
	CHECK_ASK(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x40, 0x2a, 0x33, 0x24, 0x22);
	CHECK_ASK(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x2f, 0x2a, 0x33, 0x24, 0x22);
	CHECK_ASK(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2b, 0x33, 0x24, 0x22);
	CHECK_ASK(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x32, 0x24, 0x22);
	CHECK_ASK(0x0f, 12, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22, 0x06);
	CHECK_ASK(0x0f, 10, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24);
	/* With bp saved. */
	CHECK_ASK(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22, 0x86, 2);
}

static void a_rule_of_another_kind_is_the_same_everywhere(void **state)
{
	const uint32_t rules[] = { RULES_SP | 8, RULES_BP | 16 | 2 << 18, RULES_SP_LOAD | 48,
				   RULES_BP_LOAD | 8, RULES_END, RULES_UNDESCRIBED, RULES_ASK };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++)
		for (uintptr_t pc = 0; pc < 16; pc++)
			assert_int_equal(rules_at(rules[i], pc), rules[i]);
}

/* --- rules of addresses ---------------------------------------------------------------------- */

static int forget_all(void **state)
{
	(void)state;
	memset((void *)(uintptr_t)rules_word, 0, sizeof(rules_word));
	return 0;
}

/* The last one that is kept: above is what nobody can map, or nothing but the end of the main
 * stack. */
#define HIGHEST ((UINT64_C(1) << 47) - (1u << RULES_PLACE_BITS) - 2)

/* Another address of the same group: the i-th above pc, `beside` places further on. */
static uintptr_t of_same_group(uintptr_t pc, uintptr_t i, uintptr_t beside)
{
	uintptr_t next = pc + 1 + (i << RULES_PLACE_BITS);
	uintptr_t group = next & ~(uintptr_t)(RULES_GROUP - 1);

	return group + (next + beside) % RULES_GROUP - 1;
}

static void what_was_added_is_found(void **state)
{
	uintptr_t pc = 0x555555554abc;

	(void)state;
	assert_int_equal(rules_find(pc), RULES_NONE);
	rules_add(pc, RULES_SP | 8);
	assert_int_equal(rules_find(pc), RULES_SP | 8);
	/* Nothing that differs in one bit, wherever in its group it is. */
	for (unsigned bit = 0; bit < 64; bit++)
		assert_int_equal(rules_find(pc ^ (uintptr_t)1 << bit), RULES_NONE);
	rules_add(of_same_group(pc, 5, 0), RULES_SP | 16);
	assert_int_equal(rules_find(pc), RULES_SP | 8);
	for (unsigned bit = 0; bit < 64; bit++)
		assert_int_equal(rules_find(pc ^ (uintptr_t)1 << bit), RULES_NONE);
}

/* Wherever in their group they belong. */
static void four_addresses_of_a_group_are_kept(void **state)
{
	for (unsigned beside = 0; beside < RULES_GROUP * RULES_GROUP; beside++) {
		uintptr_t pc[RULES_GROUP + 1];
		unsigned kept = 0;

		forget_all(state);
		for (unsigned i = 0; i < COUNT_OF(pc); i++)
			pc[i] = of_same_group(0x7ffff7dd1234, i,
					      i % 2 != 0 ? beside : beside / RULES_GROUP);
		for (unsigned i = 0; i < RULES_GROUP; i++)
			rules_add(pc[i], RULES_BP | 16 * (i + 1) | 2 << 18);
		for (unsigned i = 0; i < RULES_GROUP; i++)
			assert_int_equal(rules_find(pc[i]), RULES_BP | 16 * (i + 1) | 2 << 18);
		/* One more, and one of them is gone. */
		rules_add(pc[RULES_GROUP], RULES_END);
		assert_int_equal(rules_find(pc[RULES_GROUP]), RULES_END);
		for (unsigned i = 0; i < RULES_GROUP; i++)
			kept += rules_find(pc[i]) == (RULES_BP | 16 * (i + 1) | 2 << 18);
		assert_int_equal(kept, RULES_GROUP - 1);
	}
}

/* Words that were never written are zeros, and zero is a word like any other. */
static void nothing_is_found_where_nothing_was_added(void **state)
{
	const uintptr_t around[] = { 0, 1 << 14, 1 << 15, 1 << 29, UINT64_C(1) << 33,
				     UINT64_C(1) << 46, UINT64_C(1) << 47, UINT64_C(1) << 61,
				     UINT64_C(1) << 62, UINT64_C(1) << 63 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(around); i++) {
		for (uintptr_t pc = around[i] - 100000; pc != around[i] + 100000; pc++) {
			if (rules_find(pc) != RULES_NONE)
				fail_msg("%#lx has a rule", (long)pc);
		}
	}
}

static void the_lowest_and_the_highest_addresses_are_kept_apart(void **state)
{
	/* No more than four of them in a group. */
	const uintptr_t pc[] = { 1, 4096, 8191, 8192, HIGHEST, UINT64_C(1) << 46 };

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(pc); i++) {
		rules_add(pc[i], RULES_SP | 8 * (i + 1));
		assert_int_equal(rules_find(pc[i]), RULES_SP | 8 * (i + 1));
	}
	for (uint32_t i = 0; i < COUNT_OF(pc); i++)
		assert_int_equal(rules_find(pc[i]), RULES_SP | 8 * (i + 1));
	/* The largest rule leaves the address alone. */
	rules_add(HIGHEST, (1u << RULES_BITS) - 1);
	assert_int_equal(rules_find(HIGHEST), (1u << RULES_BITS) - 1);
}

static void what_is_no_address_is_not_kept(void **state)
{
	const uintptr_t pc[] = { UINTPTR_MAX, UINT64_C(1) << 63, UINT64_C(1) << 48, HIGHEST + 1,
				 (UINT64_C(1) << 47) - 1, 0, 0xffffffffff600400 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pc); i++)
		assert_int_equal(rules_find(pc[i]), RULES_NONE);
	for (size_t i = 0; i < COUNT_OF(pc); i++)
		if (pc[i] != 0)
			rules_add(pc[i], RULES_SP | 8);
	for (size_t i = 0; i < sizeof(rules_word) / sizeof(rules_word[0]); i++)
		assert_int_equal(rules_word[i], 0);
}

/* Against a dictionary: what is found is what was added. */
static void any_addresses_are_kept_as_they_were_added(void **state)
{
	enum { KNOWN = 4096, ROUNDS = 400000 };
	static struct { uintptr_t pc; uint32_t rule; } known[KNOWN];
	uint64_t seed = odds_seed(), hits = 0, x = seed | 1;

	(void)state;
	memset(known, 0, sizeof(known));
	for (unsigned i = 0; i < KNOWN; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		/* Eight that share a group; a few bits apart, or far. */
		known[i].pc = i % 8 == 0 ? (x >> 18 & ((UINT64_C(1) << 45) - 1)) | 8192
					 : of_same_group(known[i - i % 8].pc,
							 i % 8 * (i % 2 != 0 ? 1 : 100 + x % 10),
							 x >> 50);
	}
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		uint32_t rule;
		unsigned i;

		x = x * 6364136223846793005u + 1442695040888963407u;
		i = (unsigned)(x >> 40) % KNOWN;
		rule = rules_find(known[i].pc);
		if (rule != RULES_NONE) {
			hits++;
			if (rule != known[i].rule)
				fail_msg("seed %#lx: %#lx has %#x instead of %#x", (long)seed,
					 (long)known[i].pc, rule, known[i].rule);
			continue;
		}
		known[i].rule = (uint32_t)(x >> 8) & ((1u << RULES_BITS) - 1);
		known[i].rule += known[i].rule == RULES_NONE;
		rules_add(known[i].pc, known[i].rule);
		assert_int_equal(rules_find(known[i].pc), known[i].rule);
	}
	/* Four of eight equally likely ones; less where two of the 512 groups are one of 4096. */
	assert_in_range(hits, ROUNDS * 2 / 5, ROUNDS * 11 / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(most_rows_are_a_register_and_two_numbers),
		cmocka_unit_test(numbers_that_do_not_fit_are_not_a_rule),
		cmocka_unit_test(what_else_can_be_said_of_bp_is_not_a_rule),
		cmocka_unit_test(other_registers_and_return_addresses_are_not_a_rule),
		cmocka_unit_test(the_outermost_frame_has_no_return_address),
		cmocka_unit_test(signal_frames_are_not_a_rule),
		cmocka_unit_test(realigned_stacks_are_a_rule),
		cmocka_unit_test(stacks_that_an_assembler_moved_are_a_rule),
		cmocka_unit_test(stubs_that_bind_are_a_rule_of_sixteen_bytes),
		cmocka_unit_test(a_rule_of_another_kind_is_the_same_everywhere),
		cmocka_unit_test_setup(what_was_added_is_found, forget_all),
		cmocka_unit_test_setup(four_addresses_of_a_group_are_kept, forget_all),
		cmocka_unit_test_setup(nothing_is_found_where_nothing_was_added, forget_all),
		cmocka_unit_test_setup(the_lowest_and_the_highest_addresses_are_kept_apart,
				       forget_all),
		cmocka_unit_test_setup(what_is_no_address_is_not_kept, forget_all),
		cmocka_unit_test_setup(any_addresses_are_kept_as_they_were_added, forget_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
