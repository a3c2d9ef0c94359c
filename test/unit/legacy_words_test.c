/* gperftools' binary form, word by word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "httpd/legacy_words.h"
#include "sampler/compiler.h"

static char bytes[1u << 20];

static struct legacy_words begin(struct buf *b, uint64_t period_us)
{
	struct legacy_words w;

	*b = buf_bounded(bytes, sizeof(bytes));
	legacy_words_begin(&w, b, period_us);
	return w;
}

static uint64_t word(size_t i)
{
	uint64_t v;

	memcpy(&v, bytes + i * sizeof(v), sizeof(v));
	return v;
}

static void assert_words(const struct buf *b, const uint64_t *want, size_t words)
{
	assert_int_equal(b->len, words * sizeof(*want));
	assert_memory_equal(bytes, want, b->len);
}

static void nothing_is_a_head_and_an_end(void **state)
{
	static const uint64_t want[] = { 0, 3, 0, 10000, 0, 0, 1, 0 };
	struct buf b;
	struct legacy_words w = begin(&b, 10000);

	(void)state;
	legacy_words_end(&w);
	assert_words(&b, want, COUNT_OF(want));
}

static void the_leaf_stays_and_callers_are_where_they_return_to(void **state)
{
	static const uint64_t deep[] = { 0x401005, 0x40200f, UINT64_C(0x7f0000000013) },
			      flat[] = { 0x402005 };
	static const uint64_t want[] = {
		0, 3, 0, 10000, 0,
		7, 3, 0x401005, 0x402010, UINT64_C(0x7f0000000014),
		2, 1, 0x402005,
		0, 1, 0x401005,         /* too many are not like the others */
		0, 1, 0,
	};
	struct buf b;
	struct legacy_words w = begin(&b, 10000);

	(void)state;
	legacy_words_add(&w, 70000000, deep, 3);
	legacy_words_add(&w, 20000000, flat, 1);
	legacy_words_end(&w);
	assert_words(&b, want, COUNT_OF(want));
}

/* A count of 0 would be no sample, or the end. */
static void the_rest_of_a_period_is_counted_with_the_next_stack(void **state)
{
	static const uint64_t at[] = { 10, 20, 30, 40 };
	static const uint64_t want[] = {
		0, 3, 0, 1, 0,
		1, 1, 20,               /* 0.4 and 0.4 of a period, and the half of the beginning */
		3, 1, 40,               /* 0.3, 0.1 and 2.6 */
		0, 1, 20,
		0, 1, 0,
	};
	struct buf b;
	struct legacy_words w = begin(&b, 1);

	(void)state;
	legacy_words_add(&w, 400, &at[0], 1);
	legacy_words_add(&w, 400, &at[1], 1);
	legacy_words_add(&w, 100, &at[2], 1);
	legacy_words_add(&w, 2600, &at[3], 1);
	legacy_words_end(&w);
	assert_words(&b, want, COUNT_OF(want));
}

static void the_sum_is_right_to_half_a_period(void **state)
{
	static const uint64_t at[] = { 10 };
	struct buf b;
	struct legacy_words w = begin(&b, 10);
	uint64_t ns = 0, periods = 0;

	(void)state;
	for (uint64_t i = 0; i < 5000; i++) {
		uint64_t part = i * 7919 % 25001;

		legacy_words_add(&w, part, at, 1);
		ns += part;
	}
	legacy_words_end(&w);
	for (size_t i = 5; i < b.len / 8; i += 3)
		periods += word(i);
	assert_in_range(ns, periods * 10000 - 5000, periods * 10000 + 4999);
}

/* pprof takes the second frame of all for a signal handler's if at most one stack in 32 has another
 * one, or none. */
static void no_second_frame_looks_like_a_signal_handlers(void **state)
{
	static const uint64_t at[] = { 10, 20 };

	(void)state;
	for (uint64_t n = 1; n < 2000; n++) {
		struct buf b;
		struct legacy_words w = begin(&b, 1);
		uint64_t singles = 0, all, i = 5;

		for (uint64_t k = 0; k < n; k++)
			legacy_words_add(&w, 1000, at, 2);
		legacy_words_end(&w);
		assert_true(buf_fits(&b));
		for (i += 4 * n; word(i + 2) != 0; i += 3) {
			assert_int_equal(word(i), 0);
			assert_int_equal(word(i + 1), 1);
			assert_int_equal(word(i + 2), 10);
			singles++;
		}
		all = n + singles;
		assert_true(n < all - all / 32);
		/* And not for nothing. */
		assert_true(singles <= n / 31 + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_a_head_and_an_end),
		cmocka_unit_test(the_leaf_stays_and_callers_are_where_they_return_to),
		cmocka_unit_test(the_rest_of_a_period_is_counted_with_the_next_stack),
		cmocka_unit_test(the_sum_is_right_to_half_a_period),
		cmocka_unit_test(no_second_frame_looks_like_a_signal_handlers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
