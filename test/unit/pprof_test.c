#include "unit/pprof_kept.h"

static void all_that_was_said_is_in_the_profile(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	Pprofshim__Profile *p;

	(void)state;
	assert_int_equal(write_one_of_everything(&a, keep_anew()), 0);
	p = unpack(kept.len);
	check_valid(p);
	assert_int_equal(p->n_sample_type, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_string_equal(string_of(p, p->sample_type[i]->type),
				    heap_head.sample_type[i].type);
		assert_string_equal(string_of(p, p->sample_type[i]->unit),
				    heap_head.sample_type[i].unit);
	}
	assert_string_equal(string_of(p, p->period_type->type), "space");
	assert_string_equal(string_of(p, p->period_type->unit), "bytes");
	assert_int_equal(p->period, 524288);
	assert_int_equal(p->time_nanos, 1700000000000000001);
	assert_int_equal(p->duration_nanos, 0);
	assert_string_equal(string_of(p, p->default_sample_type), "alloc_space");
	assert_int_equal(p->n_comment, 1);
	assert_string_equal(string_of(p, p->comment[0]), "dropped_no_row: 3");
	done_with(p);
	arena_reset(&a);
}

static void mappings_and_functions_are_told_as_given(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	Pprofshim__Profile *p;

	(void)state;
	assert_int_equal(write_one_of_everything(&a, keep_anew()), 0);
	p = unpack(kept.len);
	assert_int_equal(p->n_mapping, 2);
	assert_int_equal(p->mapping[0]->memory_start, 0x400000);
	assert_int_equal(p->mapping[0]->memory_limit, 0x500000);
	assert_int_equal(p->mapping[0]->file_offset, 0x1000);
	assert_string_equal(string_of(p, p->mapping[0]->filename), "/bin/app");
	assert_string_equal(string_of(p, p->mapping[0]->build_id), "abc0");
	assert_int_equal(p->mapping[1]->build_id, 0);
	/* As set last, not as given at first. */
	assert_false(p->mapping[0]->has_functions);
	assert_true(p->mapping[1]->has_functions);
	for (int i = 0; i < 2; i++) {
		assert_false(p->mapping[i]->has_filenames);
		assert_false(p->mapping[i]->has_line_numbers);
		assert_false(p->mapping[i]->has_inline_frames);
	}
	assert_int_equal(p->n_function, 2);
	assert_string_equal(string_of(p, p->function[0]->name), "ns::work");
	assert_string_equal(string_of(p, p->function[0]->system_name), "_ZN2ns4workEl");
	assert_string_equal(string_of(p, p->function[0]->filename), "/src/work.cc");
	assert_int_equal(p->function[0]->start_line, 17);
	assert_int_equal(p->function[1]->name, p->function[1]->system_name);
	assert_int_equal(p->function[1]->filename, 0);
	done_with(p);
	arena_reset(&a);
}

static void samples_have_their_stacks_and_values(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	const Pprofshim__Sample *s;
	Pprofshim__Profile *p;

	(void)state;
	assert_int_equal(write_one_of_everything(&a, keep_anew()), 0);
	p = unpack(kept.len);
	assert_int_equal(p->n_sample, 2);
	s = p->sample[0];
	assert_int_equal(s->n_location_id, 2);
	assert_int_equal(p->location[s->location_id[0] - 1]->address, 0x7f0000001234);
	assert_int_equal(p->location[s->location_id[0] - 1]->n_line, 0);
	assert_int_equal(p->location[s->location_id[1] - 1]->address, 0x401234);
	assert_int_equal(p->location[s->location_id[1] - 1]->mapping_id, 1);
	assert_int_equal(p->location[s->location_id[1] - 1]->n_line, 2);
	assert_int_equal(p->location[s->location_id[1] - 1]->line[0]->function_id, 1);
	assert_int_equal(p->location[s->location_id[1] - 1]->line[1]->function_id, 2);
	assert_int_equal(s->value[0], 2);
	assert_int_equal(s->value[1], 96);
	assert_int_equal(s->value[2], 1);
	assert_int_equal(s->value[3], 48);
	assert_int_equal(p->sample[1]->n_location_id, 1);
	assert_int_equal(p->sample[1]->value[1], 16);
	done_with(p);
	arena_reset(&a);
}

static void labels_are_strings_or_numbers(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	const Pprofshim__Sample *s;
	Pprofshim__Profile *p;

	(void)state;
	assert_int_equal(write_one_of_everything(&a, keep_anew()), 0);
	p = unpack(kept.len);
	s = p->sample[0];
	assert_int_equal(s->n_label, 3);
	assert_string_equal(string_of(p, s->label[0]->key), "bytes");
	assert_int_equal(s->label[0]->num, 48);
	assert_int_equal(s->label[0]->str, 0);
	assert_int_equal(s->label[0]->num_unit, 0);
	assert_string_equal(string_of(p, s->label[1]->key), "thread");
	assert_string_equal(string_of(p, s->label[1]->str), "w" BAD "rker");
	assert_int_equal(s->label[1]->num, 0);
	assert_int_equal(s->label[2]->num, 3);
	assert_string_equal(string_of(p, s->label[2]->num_unit), "kilobytes");
	assert_int_equal(p->sample[1]->n_label, 0);
	done_with(p);
	arena_reset(&a);
}

static void a_profile_without_samples_is_whole(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	struct pprof *w = pprof_begin(&a, keep_anew(), &cpu_head);
	Pprofshim__Profile *p;

	(void)state;
	assert_int_equal(pprof_end(w), 0);
	p = unpack(kept.len);
	check_valid(p);
	assert_int_equal(p->n_sample_type, 2);
	assert_int_equal(p->duration_nanos, 2000000000);
	assert_int_equal(p->default_sample_type, 0);
	assert_int_equal(p->n_sample, 0);
	done_with(p);
	arena_reset(&a);
}

static void equal_functions_are_one(void **state)
{
	static const struct {
		const char *says, *name, *system_name, *file;
		uint64_t id;
	} cases[] = {
		{ "the first", "f", "_Z1fv", "", 1 },
		{ "the same", "f", "_Z1fv", "", 1 },
		{ "the same, and a file that is not known", "f", "_Z1fv", NULL, 1 },
		{ "a static one elsewhere", "f", "_Z1fv", "b.c", 2 },
		{ "another symbol of this name", "f", "_Z1fi", "", 3 },
		{ "the name does not count", "g", "_Z1fi", "", 3 },
		{ "no symbol: its name is taken", "lib.so+0x1230", "", "", 4 },
		{ "another one without", "lib.so+0x4560", "", "", 5 },
		{ "the first one without", "lib.so+0x1230", NULL, "", 4 },
		{ "the symbol that the name was", "?", "lib.so+0x4560", "", 5 },
		{ "the first again", "f", "_Z1fv", "", 1 },
	};
	struct arena a = map_fail_arena(1u << 20);
	struct pprof *w = pprof_begin(&a, keep_anew(), &cpu_head);
	Pprofshim__Profile *p;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (pprof_add_function(w, cases[i].name, cases[i].system_name, cases[i].file, 0) !=
		    cases[i].id)
			fail_msg("%s: not %u", cases[i].says, (unsigned)cases[i].id);
	assert_int_equal(pprof_end(w), 0);
	p = unpack(kept.len);
	check_valid(p);
	assert_int_equal(p->n_function, 5);
	assert_string_equal(string_of(p, p->function[3]->system_name), "lib.so+0x1230");
	done_with(p);
	arena_reset(&a);
}

static void strings_are_valid_and_said_once(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "plain", "plain" },
		{ "plain", "plain" },
		{ "", "" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "caf\xe9", "caf" BAD },
		{ "caf" BAD, "caf" BAD },
		{ "caf\xe8", "caf" BAD },
		{ "\xff\xff\xff", BAD BAD BAD },
		{ "caf\xe9", "caf" BAD },
	};
	struct arena a = map_fail_arena(1u << 20);
	struct pprof *w = pprof_begin(&a, keep_anew(), &cpu_head);
	Pprofshim__Profile *p;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		pprof_comment(w, cases[i].text);
	assert_int_equal(pprof_end(w), 0);
	p = unpack(kept.len);
	check_valid(p);
	assert_int_equal(p->n_comment, COUNT_OF(cases));
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(string_of(p, p->comment[i]), cases[i].want);
	done_with(p);
	arena_reset(&a);
}

static void an_invalid_string_costs_memory_only_once(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	struct pprof *w = pprof_begin(&a, keep_anew(), &cpu_head);

	(void)state;
	for (int i = 0; i < 100000; i++)
		pprof_comment(w, "a thread named \xfe\xff");
	assert_int_equal(pprof_end(w), 0);
	arena_reset(&a);
}

static void what_is_given_is_copied_at_once(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	struct pprof_head head = cpu_head;
	char name[] = "before", type[] = "type";
	struct pprof *w;
	Pprofshim__Profile *p;

	(void)state;
	head.sample_type[0].type = type;
	w = pprof_begin(&a, keep_anew(), &head);
	memset(type, 'x', 4);
	memset(&head, 0, sizeof(head));
	assert_int_equal(pprof_add_function(w, name, name, name, 0), 1);
	memcpy(name, "after!", 6);
	assert_int_equal(pprof_add_function(w, name, name, name, 0), 2);
	memcpy(name, "before", 6);
	assert_int_equal(pprof_add_function(w, name, name, name, 0), 1);
	assert_int_equal(pprof_end(w), 0);
	p = unpack(kept.len);
	check_valid(p);
	assert_string_equal(string_of(p, p->sample_type[0]->type), "type");
	assert_string_equal(string_of(p, p->function[0]->name), "before");
	assert_string_equal(string_of(p, p->function[1]->name), "after!");
	done_with(p);
	arena_reset(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_was_said_is_in_the_profile),
		cmocka_unit_test(mappings_and_functions_are_told_as_given),
		cmocka_unit_test(samples_have_their_stacks_and_values),
		cmocka_unit_test(labels_are_strings_or_numbers),
		cmocka_unit_test(a_profile_without_samples_is_whole),
		cmocka_unit_test(equal_functions_are_one),
		cmocka_unit_test(strings_are_valid_and_said_once),
		cmocka_unit_test(an_invalid_string_costs_memory_only_once),
		cmocka_unit_test(what_is_given_is_copied_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
