#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "encode/gzip.h"
#include "fake/map_fail.h"
#include "sampler/compiler.h"

#define BUDGET    (1u << 20)
#define BYTES_MAX (3u << 20)

/* A sink that keeps what it gets. */
struct kept {
	struct sink in;
	size_t  len;
	size_t  largest;        /* write */
	uint8_t bytes[BYTES_MAX + 65536];
};

static struct kept kept;
static uint8_t plain[BYTES_MAX], back[BYTES_MAX + 1];

static void keep(struct sink *s, const void *bytes, size_t n)
{
	(void)s;
	assert_true(n > 0);
	assert_true(n <= sizeof(kept.bytes) - kept.len);
	memcpy(kept.bytes + kept.len, bytes, n);
	kept.len += n;
	if (n > kept.largest)
		kept.largest = n;
}

static struct sink *keep_anew(void)
{
	kept.in.write = keep;
	kept.len = kept.largest = 0;
	return &kept.in;
}

static void fill_with_noise(void)
{
	uint32_t random = 1;

	for (size_t i = 0; i < BYTES_MAX; i++) {
		random = random * 1664525 + 1013904223;
		plain[i] = (uint8_t)(random >> 24);
	}
}

/* The library's own zlib has no heap (encode/libcalls.h): the test lends it one. */
static voidpf lend(voidpf opaque, uInt items, uInt size)
{
	(void)opaque;
	return malloc((size_t)items * size);
}

static void take_back(voidpf opaque, voidpf p)
{
	(void)opaque;
	free(p);
}

/* Unpacks what was kept into back; it must be one gzip member and nothing else. */
static size_t gunzip(void)
{
	z_stream z = { .zalloc = lend, .zfree = take_back };
	size_t n;

	z.next_in = kept.bytes;
	z.avail_in = (uInt)kept.len;
	z.next_out = back;
	z.avail_out = sizeof(back);
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	n = z.total_out;
	inflateEnd(&z);
	return n;
}

static void check_round_trip(int level, size_t n, size_t part)
{
	struct arena a = map_fail_arena(BUDGET);
	struct gzip *z = gzip_begin(&a, keep_anew(), level);

	assert_non_null(z);
	for (size_t at = 0; at < n; at += part)
		sink_write(gzip_sink(z), plain + at, n - at < part ? n - at : part);
	assert_int_equal(gzip_end(z), 0);
	assert_true(kept.largest <= 16384);
	assert_int_equal(gunzip(), n);
	assert_memory_equal(back, plain, n);
	assert_false(a.failed);
	arena_reset(&a);
}

static void what_goes_in_comes_out(void **state)
{
	static const struct {
		size_t n, part;
	} cases[] = {
		{ 0, 1 }, { 1, 1 }, { 100, 7 }, { 16383, 16383 }, { 16384, 16384 }, { 16385, 5000 },
		{ 32768, 1 }, { 100000, 99999 }, { 1000000, 1000000 }, { BYTES_MAX, 4096 },
	};

	(void)state;
	for (int noise = 0; noise < 2; noise++) {
		if (noise)
			fill_with_noise();
		else
			memset(plain, 'x', sizeof(plain));
		for (size_t i = 0; i < COUNT_OF(cases); i++)
			for (int level = 1; level <= 9; level += 4)
				check_round_trip(level, cases[i].n, cases[i].part);
	}
}

static void the_header_is_go_s(void **state)
{
	static const struct {
		int level;
		uint8_t extra;
	} cases[] = { { 1, 4 }, { 6, 0 }, { 9, 2 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t want[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, cases[i].extra, 255 };
		struct arena a = map_fail_arena(BUDGET);
		struct gzip *z = gzip_begin(&a, keep_anew(), cases[i].level);

		assert_int_equal(gzip_end(z), 0);
		assert_memory_equal(kept.bytes, want, sizeof(want));
		arena_reset(&a);
	}
}

static void a_higher_level_is_smaller(void **state)
{
	size_t fast;

	(void)state;
	for (size_t i = 0; i < BYTES_MAX; i++)
		plain[i] = "function location sample"[(i * i >> 7) % 24];
	check_round_trip(GZIP_LEVEL_DEFAULT, BYTES_MAX, 4096);
	fast = kept.len;
	check_round_trip(9, BYTES_MAX, 4096);
	assert_true(kept.len < fast);
}

static void an_arena_too_small_gives_no_gzip(void **state)
{
	size_t budget;

	(void)state;
	for (budget = 0; budget <= BUDGET; budget += 4096) {
		struct arena a = map_fail_arena(budget);
		struct gzip *z = gzip_begin(&a, keep_anew(), GZIP_LEVEL_DEFAULT);
		int made = z != NULL;

		assert_int_equal(a.failed, !made);
		if (made) {
			sink_write(gzip_sink(z), plain, 1000);
			assert_int_equal(gzip_end(z), 0);
			assert_int_equal(gunzip(), 1000);
		}
		arena_reset(&a);
		if (made)
			break;
	}
	assert_in_range(budget, 280 << 10, 420 << 10);
}

static void a_level_that_is_none_gives_no_gzip(void **state)
{
	static const int levels[] = { -2, 10, 100 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(levels); i++) {
		struct arena a = map_fail_arena(BUDGET);

		assert_null(gzip_begin(&a, keep_anew(), levels[i]));
		arena_reset(&a);
	}
}

static void writing_after_the_end_is_an_error_and_writes_nothing(void **state)
{
	struct arena a = map_fail_arena(BUDGET);
	struct gzip *z = gzip_begin(&a, keep_anew(), GZIP_LEVEL_DEFAULT);
	size_t len;

	(void)state;
	sink_write(gzip_sink(z), "x", 1);
	assert_int_equal(gzip_end(z), 0);
	len = kept.len;
	assert_int_equal(gzip_end(z), 0);
	sink_write(gzip_sink(z), "y", 1);
	assert_int_equal(gzip_end(z), -EIO);
	assert_int_equal(kept.len, len);
	arena_reset(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(the_header_is_go_s),
		cmocka_unit_test(a_higher_level_is_smaller),
		cmocka_unit_test(an_arena_too_small_gives_no_gzip),
		cmocka_unit_test(a_level_that_is_none_gives_no_gzip),
		cmocka_unit_test(writing_after_the_end_is_an_error_and_writes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
