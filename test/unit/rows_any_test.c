/* Rows of any tables, made up at random, say what the interpreter says of them, or RULES_ASK. */
#include "sampler/rows_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake/odds.h"
#include "test/unit/rows_image.h"

static uint64_t random_state;

static uint32_t draw(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* Operations and how often: the failing one is rare. */
static size_t random_ops(uint8_t *to, bool *fails)
{
	static const struct ops kinds[] = {
		{ (const uint8_t *)"\x41", 1 },         { (const uint8_t *)"\x43", 1 },
		{ (const uint8_t *)"\x45", 1 },         { (const uint8_t *)"\x0e\x10", 2 },
		{ (const uint8_t *)"\x0e\x18", 2 },     { (const uint8_t *)"\x86\x02", 2 },
		{ (const uint8_t *)"\xc6", 1 },         { (const uint8_t *)"\x0d\x06", 2 },
		{ (const uint8_t *)"\x0c\x07\x08", 3 }, { (const uint8_t *)"\x0c\x03\x08", 3 },
		{ (const uint8_t *)"\x0a", 1 },         { (const uint8_t *)"\x07\x10", 2 },
		{ (const uint8_t *)"\x0b", 1 },         { (const uint8_t *)"\x3f", 1 },
	};
	size_t n = 0;

	for (uint32_t left = draw(9); left > 0; left--) {
		uint32_t kind = draw(draw(8) == 0 ? COUNT_OF(kinds) : COUNT_OF(kinds) - 4);

		*fails |= kind >= COUNT_OF(kinds) - 4;
		memcpy(to + n, kinds[kind].bytes, kinds[kind].n);
		n += kinds[kind].n;
	}
	return n;
}

/* Functions anywhere; most of the time where a header says, seldom not.  True: as a linker would
 * make them, so nothing need be asked. */
static bool random_image(uint32_t scale, bool *covers)
{
	uint32_t n = 1 + draw(IMAGE_FDES_MAX), at[IMAGE_FDES_MAX], end = 0;
	bool fails = false, odd = false;

	for (uint32_t i = 0; i < n; i++)
		at[i] = draw(40) * scale;
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i; k > 0 && at[k - 1] > at[k]; k--) {
			uint32_t swap = at[k];

			at[k] = at[k - 1];
			at[k - 1] = swap;
		}
	begin(NULL);
	*covers = false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = draw(3) == 0 ? draw(24) * scale
			      : i + 1 < n    ? at[i + 1] - at[i]
					     : 2 * scale;
		uint32_t aside = draw(20) == 0 ? draw(7) : 3;
		uint8_t ops[64];

		odd |= aside != 3 || at[i] < end || size == 0;
		end = at[i] + size;
		fde(at[i] + aside - 3, size, (struct ops){ ops, random_ops(ops, &fails) });
		image.table[i].start = (int32_t)(CODE + at[i]);
		if (draw(50) == 0) {
			image.table[i].fde = (int32_t)image.cie;
			odd = true;
		}
		*covers |= size > 0;
	}
	return !fails && !odd;
}

static void rows_of_any_tables_say_what_these_say(void **state)
{
	uint64_t seed = odds_seed();
	unsigned made = 0, clean = 0, refused = 0, asked = 0;

	(void)state;
	random_state = seed;
	for (unsigned round = 0; round < 20000; round++) {
		uint32_t scale = round % 100 == 0 ? 1 + draw(700) : 1;
		bool covers, is_clean = random_image(scale, &covers), has = compile_image();
		long asks = 0;

		if (has)
			asks = compare(&object, IMAGE_BASE, IMAGE_CODE - 9, IMAGE_CODE + 70 * scale, 1);
		else
			for (uint32_t i = 0; i < 70 * scale; i++)
				asks -= interpret(&object, IMAGE_CODE + i) != NOT;
		if (asks < 0 || (is_clean && asks != 0))
			fail_msg("seed %#lx, round %u: %ld", (long)seed, round, asks);
		made += has;
		clean += has && is_clean;
		asked += asks > 0;
		refused += !has && covers;
		if (has)
			drop();
	}
	print_message("%u made, %u of them clean, %u ask; %u refused\n", made, clean, asked, refused);
	/* Of functions that cover something few are refused: none of them is a function. */
	assert_true(made > 15000 && clean > 1000 && asked > 1000 && refused < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rows_of_any_tables_say_what_these_say, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
