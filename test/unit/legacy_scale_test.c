/* What a row of heap_v2 says, and what its readers make of that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "httpd/legacy_scale.h"
#include "sampler/compiler.h"
#include "sampler/random.h"

#define RATE (UINT64_C(512) << 10)

struct row {
	int64_t             weight, bytes;
	struct legacy_scale sampled;
};

/* So many blocks of a size, sampled at a rate: as heap.c counts them. */
static void add(struct row *r, int64_t samples, uint64_t size, uint64_t rate)
{
	uint64_t weight = random_weight(size, rate);

	r->sampled.objects += samples;
	r->sampled.bytes += samples * (int64_t)size;
	r->weight += samples * (int64_t)weight;
	r->bytes += samples * (int64_t)((unsigned __int128)weight * size / RANDOM_WEIGHT_ONE);
}

/* As google-pprof and go tool pprof do it. */
static double scale(const struct legacy_scale *s, uint64_t rate)
{
	return 1 / (1 - exp(-(double)s->bytes / (double)s->objects / (double)rate));
}

static void assert_near(double value, double wanted)
{
	assert_true(fabs(value - wanted) <= wanted / LEGACY_SCALE_NEAR * 1.001);
}

/* Returns what legacy_scale does; the reader's numbers are right if it is true. */
static bool says_it(const struct row *r, uint64_t rate, struct legacy_scale *said)
{
	*said = r->sampled;
	if (!legacy_scale(said, r->weight, r->bytes, rate))
		return false;
	assert_true(said->objects > 0 && said->bytes > 0);
	assert_near((double)said->objects * scale(said, rate),
		    (double)r->weight / RANDOM_WEIGHT_ONE);
	assert_near((double)said->bytes * scale(said, rate), (double)r->bytes);
	return true;
}

static void what_was_sampled_at_the_rate_is_said_as_it_was(void **state)
{
	static const uint64_t rates[] = { 4096, RATE, UINT64_C(1) << 40 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rates); i++)
		for (uint64_t size = 1; size < UINT64_C(1) << 34; size += size / 3 + 1)
			for (int64_t samples = 1; samples <= 100; samples += samples / 4 + 1) {
				struct row r = { 0 };
				struct legacy_scale said;

				add(&r, samples, size, rates[i]);
				assert_true(says_it(&r, rates[i], &said));
				assert_memory_equal(&said, &r.sampled, sizeof(said));
			}
}

/* heap_sizes.h: four to the doubling. */
static void also_of_a_class_of_sizes(void **state)
{
	(void)state;
	for (uint64_t size = 64; size < UINT64_C(1) << 30; size *= 2) {
		struct row r = { 0 };
		struct legacy_scale said;

		add(&r, 2, size, RATE);
		add(&r, 3, size + size / 5, RATE);
		assert_true(says_it(&r, RATE, &said));
		assert_int_equal(said.objects, 5);
	}
}

/* As in [evicted]: the mean size of what was sampled is not that of what was allocated. */
static void of_any_sizes_it_is_what_was_estimated(void **state)
{
	struct row r = { 0 };
	struct legacy_scale said;

	(void)state;
	add(&r, 1, 16, RATE);
	add(&r, 1, 10 << 20, RATE);
	assert_true(says_it(&r, RATE, &said));
	add(&r, 1000, 24, RATE);
	assert_true(says_it(&r, RATE, &said));
}

static void of_another_rate_it_is_said_or_refused(void **state)
{
	struct row fewer = { 0 }, more = { 0 }, large = { 0 }, many = { 0 };
	struct legacy_scale said;

	(void)state;
	add(&fewer, 1, 100, 8 * RATE);
	assert_true(says_it(&fewer, RATE, &said));
	/* The eighth of a sample, and five eighths. */
	add(&more, 1, 100, RATE / 8);
	assert_false(says_it(&more, RATE, &said));
	add(&more, 4, 100, RATE / 8);
	assert_false(says_it(&more, RATE, &said));
	/* But one is one in any case, and of very many it does not matter. */
	add(&large, 1, 1 << 30, RATE / 8);
	assert_true(says_it(&large, RATE, &said));
	add(&many, 1001, 100, RATE / 8);
	assert_true(says_it(&many, RATE, &said));
}

static void nothing_is_nothing(void **state)
{
	static const struct row rows[] = { { .weight = 0 }, { .weight = 1 }, { .bytes = 1 },
					   { .weight = -1, .bytes = 1 },
					   { .weight = 1, .bytes = -1 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct legacy_scale said = { 1, 1 };

		assert_true(legacy_scale(&said, rows[i].weight, rows[i].bytes, RATE));
		assert_int_equal(said.objects, 0);
		assert_int_equal(said.bytes, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sampled_at_the_rate_is_said_as_it_was),
		cmocka_unit_test(also_of_a_class_of_sizes),
		cmocka_unit_test(of_any_sizes_it_is_what_was_estimated),
		cmocka_unit_test(of_another_rate_it_is_said_or_refused),
		cmocka_unit_test(nothing_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
