/* test/unit/pprof_kept.h -- what the tests of encode/pprof.h share: a sink that keeps a profile,
 * the way back from its bytes, and what holds for every profile. */
#ifndef TEST_UNIT_PPROF_KEPT_H
#define TEST_UNIT_PPROF_KEPT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encode/pprof.h"
#include "encode/profile.pb-c.h"
#include "encode/utf8.h"
#include "fake/map_fail.h"
#include "sampler/compiler.h"

#define BAD "\xef\xbf\xbd"      /* U+FFFD */

/* A sink that keeps what it gets. */
struct kept {
	struct sink in;
	uint8_t *bytes;
	size_t   len;
	size_t   first, largest;        /* writes */
};

static struct kept kept;

static inline void keep(struct sink *s, const void *bytes, size_t n)
{
	(void)s;
	assert_true(n > 0);
	kept.bytes = realloc(kept.bytes, kept.len + n);
	memcpy(kept.bytes + kept.len, bytes, n);
	if (kept.len == 0)
		kept.first = n;
	if (n > kept.largest)
		kept.largest = n;
	kept.len += n;
}

static inline struct sink *keep_anew(void)
{
	free(kept.bytes);
	kept = (struct kept){ .in.write = keep };
	return &kept.in;
}

/* The library's own protobuf-c has no heap (encode/libcalls.h): the test lends it one. */
static inline void *lend(void *unused, size_t n)
{
	(void)unused;
	return malloc(n);
}

static inline void take_back(void *unused, void *p)
{
	(void)unused;
	free(p);
}

static ProtobufCAllocator heap = { .alloc = lend, .free = take_back };

static inline Pprofshim__Profile *unpack(size_t len)
{
	Pprofshim__Profile *p = pprofshim__profile__unpack(&heap, len, kept.bytes);

	assert_non_null(p);
	return p;
}

static inline void done_with(Pprofshim__Profile *p)
{
	pprofshim__profile__free_unpacked(p, &heap);
}

static inline const char *string_of(const Pprofshim__Profile *p, int64_t index)
{
	assert_in_range(index, 0, p->n_string_table - 1);
	return p->string_table[index];
}

static const struct pprof_head heap_head = {
	.sample_type = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },
			 { "inuse_objects", "count" }, { "inuse_space", "bytes" } },
	.sample_types = 4,
	.period_type = { "space", "bytes" },
	.period = 524288,
	.default_sample_type = "alloc_space",
	.time_nanos = 1700000000000000001,
};

static const struct pprof_head cpu_head = {
	.sample_type = { { "samples", "count" }, { "cpu", "nanoseconds" } },
	.sample_types = 2,
	.period_type = { "cpu", "nanoseconds" },
	.period = 10000000,
	.time_nanos = 5,
	.duration_nanos = 2000000000,
};

static const struct pprof_mapping app = {
	.start = 0x400000, .limit = 0x500000, .offset = 0x1000, .has_functions = true,
	.file = "/bin/app", .build_id = "abc0",
};

static const struct pprof_mapping libc = {
	.start = 0x7f0000000000, .limit = 0x7f0000200000,
	.file = "/lib/libc.so.6", .build_id = "",
};

/* What every profile must keep (scraper-contract.md, 0). */
static inline void check_valid(const Pprofshim__Profile *p)
{
	assert_true(p->n_string_table > 0);
	assert_string_equal(p->string_table[0], "");
	for (size_t i = 0; i < p->n_string_table; i++) {
		assert_true(utf8_valid(p->string_table[i], strlen(p->string_table[i])));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(p->string_table[i], p->string_table[k]);
	}
	for (size_t i = 0; i < p->n_mapping; i++)
		assert_int_equal(p->mapping[i]->id, i + 1);
	for (size_t i = 0; i < p->n_function; i++)
		assert_int_equal(p->function[i]->id, i + 1);
	for (size_t i = 0; i < p->n_location; i++) {
		assert_int_equal(p->location[i]->id, i + 1);
		assert_in_range(p->location[i]->mapping_id, 0, p->n_mapping);
		for (size_t k = 0; k < p->location[i]->n_line; k++)
			assert_in_range(p->location[i]->line[k]->function_id, 1, p->n_function);
	}
	for (size_t i = 0; i < p->n_sample; i++) {
		assert_int_equal(p->sample[i]->n_value, p->n_sample_type);
		for (size_t k = 0; k < p->sample[i]->n_location_id; k++)
			assert_in_range(p->sample[i]->location_id[k], 1, p->n_location);
	}
}

/* One of everything.  Returns what pprof_end says, -ENOMEM if it did not come so far. */
static inline int write_one_of_everything(struct arena *arena, struct sink *out)
{
	struct pprof *p = pprof_begin(arena, out, &heap_head);
	const struct pprof_label label[] = {
		{ .key = "bytes", .num = 48 },
		{ .key = "thread", .str = "w\xf6rker" },
		{ .key = "size", .num = 3, .num_unit = "kilobytes" },
	};
	const int64_t value[] = { 2, 96, 1, 48 }, other[] = { 1, 16, 0, 0 };
	uint64_t function[2], location[2], mapping[2];

	if (p == NULL)
		return -ENOMEM;
	pprof_comment(p, "dropped_no_row: 3");
	mapping[0] = pprof_add_mapping(p, &app);
	mapping[1] = pprof_add_mapping(p, &libc);
	function[0] = pprof_add_function(p, "ns::work", "_ZN2ns4workEl", "/src/work.cc", 17);
	function[1] = pprof_add_function(p, "main", "main", "", 0);
	location[1] = pprof_add_location(p, mapping[0], 0x401234, function, 2);
	location[0] = pprof_add_location(p, mapping[1], 0x7f0000001234, NULL, 0);
	pprof_add_sample(p, location, 2, value, label, COUNT_OF(label));
	pprof_add_sample(p, location + 1, 1, other, NULL, 0);
	pprof_set_has_functions(p, mapping[1], true);
	pprof_set_has_functions(p, mapping[0], false);
	return pprof_end(p);
}

#endif
