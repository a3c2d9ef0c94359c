#include <stdio.h>

#include "unit/pprof_kept.h"

enum { LOCATIONS = 30000, SAMPLES = 3000 };

/* The first stack does not fit into one piece. */
static size_t depth_of(size_t sample)
{
	return sample == 0 ? LOCATIONS : sample % 128;
}

static void write_large(struct arena *a, const char *comment)
{
	static uint64_t id[LOCATIONS];
	struct pprof *w = pprof_begin(a, keep_anew(), &cpu_head);

	pprof_comment(w, comment);
	for (uint64_t i = 0; i < LOCATIONS; i++) {
		char name[32];
		uint64_t function;

		snprintf(name, sizeof(name), "function_%u", (unsigned)i);
		function = pprof_add_function(w, name, name, "", 0);
		assert_int_equal(function, i + 1);
		id[i] = pprof_add_location(w, 0, 0x1000 + i, &function, 1);
		assert_int_equal(id[i], i + 1);
	}
	assert_int_equal(pprof_add_function(w, "function_0", "function_0", "", 0), 1);
	assert_int_equal(pprof_add_function(w, "function_777", "function_777", "", 0), 778);
	for (int64_t i = 0; i < SAMPLES; i++)
		pprof_add_sample(w, id + i, depth_of((size_t)i), (int64_t[]){ i, -i }, NULL, 0);
	assert_int_equal(pprof_end(w), 0);
}

static void a_large_profile_arrives_whole(void **state)
{
	static char longest[100000];
	struct arena a = map_fail_arena(16u << 20);
	Pprofshim__Profile *p;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	write_large(&a, longest);
	p = unpack(kept.len);
	assert_int_equal(p->n_location, LOCATIONS);
	assert_int_equal(p->n_sample, SAMPLES);
	assert_string_equal(string_of(p, p->comment[0]), longest);
	for (size_t i = 0; i < SAMPLES; i++) {
		const Pprofshim__Sample *s = p->sample[i];

		assert_int_equal(s->n_location_id, depth_of(i));
		assert_int_equal(s->value[1], -(int64_t)i);
		for (size_t k = 0; k < s->n_location_id; k++)
			assert_int_equal(s->location_id[k], i + k + 1);
	}
	for (uint64_t i = 0; i < LOCATIONS; i++)
		assert_int_equal(p->location[i]->address, 0x1000 + i);
	done_with(p);
	arena_reset(&a);
}

static void pieces_are_of_some_kib_and_the_first_has_string_0(void **state)
{
	struct arena a = map_fail_arena(4u << 20);
	struct pprof *w = pprof_begin(&a, keep_anew(), &cpu_head);
	uint64_t location = pprof_add_location(w, 0, 0x1234, NULL, 0);

	(void)state;
	for (int i = 0; i < 10000; i++)
		pprof_add_sample(w, &location, 1, (int64_t[]){ 1, 1 }, NULL, 0);
	assert_int_equal(pprof_end(w), 0);
	assert_in_range(kept.first, 1024, 65536);
	assert_in_range(kept.largest, 1024, 65536);
	/* The very first field: string_table, no bytes long. */
	assert_memory_equal(kept.bytes, "\x32\x00", 2);
	arena_reset(&a);
}

static void memory_follows_what_is_distinct(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	struct pprof *w = pprof_begin(&a, keep_anew(), &cpu_head);
	const struct pprof_label label = { .key = "k", .str = "v" };
	size_t before;

	(void)state;
	for (uint64_t i = 0; i < 200000; i++) {
		uint64_t function = pprof_add_function(w, "f", "f", "f.c", 1);
		uint64_t location = pprof_add_location(w, 0, 0x1000 + i, &function, 1);

		if (i == 0)
			before = a.mapped_bytes;
		pprof_add_sample(w, &location, 1, (int64_t[]){ 1, 1 }, &label, 1);
	}
	assert_int_equal(pprof_end(w), 0);
	assert_int_equal(a.mapped_bytes, before);
	arena_reset(&a);
}

static void many_mappings_keep_their_order_and_flags(void **state)
{
	struct arena a = map_fail_arena(4u << 20);
	struct pprof *w = pprof_begin(&a, keep_anew(), &cpu_head);
	Pprofshim__Profile *p;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		struct pprof_mapping m = app;

		m.start = i << 12;
		assert_int_equal(pprof_add_mapping(w, &m), i + 1);
	}
	for (uint64_t i = 1; i <= 1000; i++)
		pprof_set_has_functions(w, i, i % 3 == 0);
	pprof_set_has_functions(w, 0, true);            /* none of these exists */
	pprof_set_has_functions(w, 1001, true);
	pprof_set_has_functions(w, UINT64_MAX, true);
	assert_int_equal(pprof_end(w), 0);
	p = unpack(kept.len);
	check_valid(p);
	assert_int_equal(p->n_mapping, 1000);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(p->mapping[i]->memory_start, i << 12);
		assert_int_equal(p->mapping[i]->has_functions, (i + 1) % 3 == 0);
	}
	done_with(p);
	arena_reset(&a);
}

/* More than the first rows and the first scratch hold. */
static int write_many_labels(struct arena *arena, struct sink *out)
{
	struct pprof *p = pprof_begin(arena, out, &cpu_head);
	struct pprof_label label[100];
	char key[100][8], str[100][8];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(key[i], sizeof(key[i]), "k%u", i);
		snprintf(str[i], sizeof(str[i]), "\xff%u", i);
		label[i] = (struct pprof_label){ .key = key[i], .str = str[i] };
	}
	if (p == NULL)
		return -ENOMEM;
	pprof_add_sample(p, NULL, 0, (int64_t[]){ 1, 1 }, label, 100);
	return pprof_end(p);
}

/* Every allocation in turn is the one that fails: what is left grows by 16 bytes a round. */
static void fail_everywhere(int (*write)(struct arena *, struct sink *))
{
	Pprofshim__Profile *p;
	size_t left;
	int err = -ENOMEM;

	for (left = 0; left <= 65536 - 64 && err != 0; left += 16) {
		struct arena a = map_fail_arena_with(left);

		err = write(&a, keep_anew());
		assert_true(err == 0 || err == -ENOMEM);
		assert_int_equal(a.failed, err != 0);
		arena_reset(&a);
	}
	assert_int_equal(err, 0);
	assert_in_range(left, 20000, 65536 - 64);
	p = unpack(kept.len);
	check_valid(p);
	done_with(p);
}

static void wherever_the_arena_ends_the_end_says_so(void **state)
{
	(void)state;
	fail_everywhere(write_one_of_everything);
	fail_everywhere(write_many_labels);
}

static void after_a_failure_every_call_is_harmless(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	struct pprof *w = pprof_begin(&a, keep_anew(), &cpu_head);
	const struct pprof_label label = { .key = "k", .str = "v" };
	uint64_t one = 1;

	(void)state;
	assert_null(arena_alloc(&a, 2u << 20));
	pprof_comment(w, "x");
	assert_int_equal(pprof_add_mapping(w, &app), 0);
	assert_int_equal(pprof_add_function(w, "f", "f", "", 0), 0);
	assert_int_equal(pprof_add_location(w, 1, 1, &one, 1), 0);
	pprof_add_sample(w, &one, 1, (int64_t[]){ 1, 1 }, &label, 1);
	pprof_set_has_functions(w, 1, true);
	assert_int_equal(pprof_end(w), -ENOMEM);
	assert_null(pprof_begin(&a, &kept.in, &cpu_head));
	arena_reset(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_profile_arrives_whole),
		cmocka_unit_test(pieces_are_of_some_kib_and_the_first_has_string_0),
		cmocka_unit_test(memory_follows_what_is_distinct),
		cmocka_unit_test(many_mappings_keep_their_order_and_flags),
		cmocka_unit_test(wherever_the_arena_ends_the_end_says_so),
		cmocka_unit_test(after_a_failure_every_call_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
