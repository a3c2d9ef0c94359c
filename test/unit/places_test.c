#include "unit/pprof_kept.h"

#include "fake/made_program.h"
#include "httpd/places.h"
#include "sampler/sample.h"

static struct arena arena;
static struct desk_view desk = { .ground = &made_ground };
static struct pprof *pprof;
static struct places *places;
static Pprofshim__Profile *profile;

static int begin(void **state)
{
	(void)state;
	make_program();
	desk.names = true;
	arena = map_fail_arena(64u << 20);
	pprof = pprof_begin(&arena, keep_anew(), &cpu_head);
	profile = NULL;
	return pprof == NULL;
}

static int end(void **state)
{
	(void)state;
	if (profile != NULL)
		done_with(profile);
	arena_reset(&arena);
	drop_program();
	return map_fail.live_bytes != 0;
}

static void new_places(void)
{
	places = places_new(&arena, &desk, pprof);
	assert_non_null(places);
}

/* The profile so far. */
static void read_back(void)
{
	assert_int_equal(pprof_end(pprof), 0);
	profile = unpack(kept.len);
	check_valid(profile);
}

static const char *name_at(uint64_t location)
{
	const Pprofshim__Location *l = profile->location[location - 1];

	if (l->n_line == 0)
		return "";
	return string_of(profile, profile->function[l->line[0]->function_id - 1]->name);
}

/* --- names ----------------------------------------------------------------------------------- */

static void a_frame_has_its_module_and_function(void **state)
{
	struct place *p;

	(void)state;
	new_places();
	p = places_find(places, program_frame(PROGRAM_WORK));
	assert_ptr_equal(p->module, &made.module[1]);
	assert_string_equal(p->function.name, "work");
	assert_true(p->function.start == PROGRAM_START + 16);
	assert_true(p->frame == program_frame(PROGRAM_WORK));
	p = places_find(places, program_frame(PROGRAM_BOX));
	assert_string_equal(p->function.name, "ns::Box<3>::add");
	assert_string_equal(p->function.system_name, program_names[PROGRAM_BOX]);
}

static void without_names_a_frame_has_its_module_only(void **state)
{
	struct place *p;

	(void)state;
	desk.names = false;
	new_places();
	p = places_find(places, program_frame(PROGRAM_WORK));
	assert_ptr_equal(p->module, &made.module[1]);
	assert_null(p->function.name);
}

static void the_cut_of_a_stack_has_a_name_with_or_without_names(void **state)
{
	(void)state;
	for (int names = 0; names <= 1; names++) {
		const struct place *p;

		desk.names = names;
		new_places();
		p = places_find(places, FRAME_TRUNCATED);
		assert_string_equal(p->function.name, "[truncated]");
		assert_null(p->module);
	}
}

static void a_frame_of_nobody_says_so(void **state)
{
	const struct place *p;

	(void)state;
	new_places();
	p = places_find(places, 0x1234);
	assert_null(p->module);
	assert_string_equal(p->function.name, "[anon]");
}

static void each_frame_is_looked_up_once_and_stays_where_it_is(void **state)
{
	enum { MANY = 20000 };
	static struct place *found[MANY];

	(void)state;
	desk.names = false;
	new_places();
	for (unsigned i = 0; i < MANY; i++) {
		found[i] = places_find(places, 0x1000 + i);
		assert_non_null(found[i]);
		found[i]->location = i + 1;
	}
	for (unsigned i = 0; i < MANY; i++) {
		assert_ptr_equal(places_find(places, 0x1000 + i), found[i]);
		assert_true(found[i]->frame == 0x1000 + i && found[i]->location == i + 1);
	}
	/* The same address under another epoch is another frame. */
	assert_ptr_not_equal(places_find(places, 0x1000 | (frame_t)7 << 48), found[0]);
}

static void an_address_of_a_module_is_one_place_in_all_epochs(void **state)
{
	frame_t pc = frame_pc(program_frame(PROGRAM_WORK)), nobodys = 0x1234;
	struct place *first;

	(void)state;
	new_places();
	first = places_find(places, pc | (frame_t)7 << 48);
	assert_string_equal(first->function.name, "work");
	assert_ptr_equal(places_find(places, pc | (frame_t)9 << 48), first);
	assert_ptr_equal(places_find(places, pc | (frame_t)7 << 48), first);
	assert_true(places_location(places, pc | (frame_t)9 << 48) ==
		    places_location(places, pc | (frame_t)7 << 48));
	/* Nor can those be told apart that were of nobody we know. */
	assert_ptr_equal(places_find(places, nobodys | (frame_t)7 << 48),
			 places_find(places, nobodys | (frame_t)9 << 48));
}

/* --- in a profile ---------------------------------------------------------------------------- */

static void locations_are_numbered_as_they_are_mentioned(void **state)
{
	static const frame_t frames[] = { PROGRAM_START + 21, LIBRARY_START + 5, PROGRAM_START + 5,
					  FRAME_TRUNCATED, 0x1234, PROGRAM_START + 22 };

	(void)state;
	new_places();
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < COUNT_OF(frames); i++)
			assert_int_equal(places_location(places, frames[i]), i + 1);
	read_back();
	assert_int_equal(profile->n_location, COUNT_OF(frames));
	for (size_t i = 0; i < COUNT_OF(frames); i++)
		assert_int_equal(profile->location[i]->address, frames[i]);
	assert_string_equal(name_at(1), "work");
	assert_string_equal(name_at(2), "malloc");
	assert_string_equal(name_at(3), "main");
	assert_string_equal(name_at(4), "[truncated]");
	assert_string_equal(name_at(5), "[anon]");
	/* Two places in one function: one function. */
	assert_string_equal(name_at(6), "work");
	assert_int_equal(profile->location[0]->line[0]->function_id,
			 profile->location[5]->line[0]->function_id);
}

static void the_program_is_mapping_1_and_all_that_is_mapped_is_there(void **state)
{
	const Pprofshim__Mapping *m;

	(void)state;
	new_places();
	read_back();
	assert_int_equal(profile->n_mapping, 2);
	m = profile->mapping[0];
	assert_string_equal(string_of(profile, m->filename), program_path);
	assert_int_equal(m->memory_start, PROGRAM_START);
	assert_int_equal(m->memory_limit, made.module[1].limit);
	assert_int_equal(m->file_offset, made.module[1].offset);
	assert_string_equal(string_of(profile, m->build_id), "");
	assert_string_equal(string_of(profile, profile->mapping[1]->filename), library_path);
}

static void locations_point_to_their_mappings(void **state)
{
	(void)state;
	new_places();
	places_location(places, program_frame(PROGRAM_WORK));
	places_location(places, library_frame(LIBRARY_STRDUP));
	places_location(places, FRAME_TRUNCATED);
	places_location(places, 0x1234);
	read_back();
	assert_int_equal(profile->location[0]->mapping_id, 1);
	assert_int_equal(profile->location[1]->mapping_id, 2);
	assert_int_equal(profile->location[2]->mapping_id, 0);
	assert_int_equal(profile->location[3]->mapping_id, 0);
}

static void what_has_gone_is_mentioned_when_a_frame_of_it_is(void **state)
{
	(void)state;
	new_places();
	places_location(places, GONE_START + 0x10);
	places_location(places, GONE_START + 0x20);
	read_back();
	assert_int_equal(profile->n_mapping, 3);
	assert_string_equal(string_of(profile, profile->mapping[2]->filename),
			    "/gone/libgone.so.1");
	assert_string_equal(string_of(profile, profile->mapping[2]->build_id), "0abcff");
	assert_int_equal(profile->location[0]->mapping_id, 3);
	assert_int_equal(profile->location[1]->mapping_id, 3);
}

/* It tells a reader that it need not look for names itself. */
static void a_mapping_has_functions_if_a_location_of_it_has(void **state)
{
	(void)state;
	new_places();
	places_location(places, program_frame(PROGRAM_WORK));
	read_back();
	assert_true(profile->mapping[0]->has_functions);
	assert_false(profile->mapping[1]->has_functions);
}

static void without_names_no_mapping_has_functions(void **state)
{
	(void)state;
	desk.names = false;
	new_places();
	places_location(places, program_frame(PROGRAM_WORK));
	places_location(places, FRAME_TRUNCATED);
	read_back();
	assert_false(profile->mapping[0]->has_functions);
	assert_int_equal(profile->location[0]->n_line, 0);
	assert_int_equal(profile->location[0]->mapping_id, 1);
	assert_string_equal(name_at(2), "[truncated]");
}

static void a_module_that_came_meanwhile_is_no_mapping_yet(void **state)
{
	(void)state;
	made.modules = 2;
	new_places();
	made.modules = 3;
	places_location(places, GONE_START + 0x10);
	read_back();
	assert_int_equal(profile->n_mapping, 2);
	assert_int_equal(profile->location[0]->mapping_id, 0);
}

/* --- the allocator --------------------------------------------------------------------------- */

static void leaf_frames_of_the_allocator_are_counted(void **state)
{
	const frame_t new = library_frame(LIBRARY_NEW), call = library_frame(LIBRARY_CALLOC);
	const frame_t mall = library_frame(LIBRARY_MALLOC), dup = library_frame(LIBRARY_STRDUP);
	const frame_t work = program_frame(PROGRAM_WORK);
	const struct { frame_t frame[4]; unsigned depth, want; } cases[] = {
		{ { mall, work }, 2, 1 },
		{ { mall, new, work }, 3, 2 },
		{ { call, dup, work }, 3, 1 },
		{ { dup, mall, work }, 3, 0 },
		{ { work, mall }, 2, 0 },
		{ { work }, 1, 0 },
		{ { mall, FRAME_TRUNCATED }, 2, 1 },
		{ { FRAME_TRUNCATED }, 1, 0 },
		/* Never all of them: a sample without a stack is of no use. */
		{ { mall }, 1, 0 },
		{ { mall, new, call }, 3, 0 },
		{ { mall }, 0, 0 },
	};

	(void)state;
	new_places();
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (places_allocator_frames(places, cases[i].frame, cases[i].depth) !=
		    cases[i].want)
			fail_msg("case %zu", i);
}

static void without_names_nobody_knows_the_allocator(void **state)
{
	frame_t frame[] = { library_frame(LIBRARY_MALLOC), program_frame(PROGRAM_WORK) };

	(void)state;
	desk.names = false;
	new_places();
	assert_int_equal(places_allocator_frames(places, frame, 2), 0);
}

/* --- memory ---------------------------------------------------------------------------------- */

/* The arena refuses from some allocation on: nothing is found then, and nothing is written to. */
static void any_lack_of_memory_is_an_answer(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth < 40; nth++) {
		unsigned refused = 0;

		arena_reset(&arena);
		arena = map_fail_arena(64u << 20);
		map_fail.fail_at = nth;
		pprof = pprof_begin(&arena, keep_anew(), &cpu_head);
		places = pprof != NULL ? places_new(&arena, &desk, pprof) : NULL;
		for (unsigned i = 0; places != NULL && i < 5000; i++)
			refused += places_location(places, PROGRAM_START + i % 4000) == 0;
		assert_true(arena.failed || refused == 0);
		if (!arena.failed)
			return;
	}
	fail();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_frame_has_its_module_and_function),
		TEST(without_names_a_frame_has_its_module_only),
		TEST(the_cut_of_a_stack_has_a_name_with_or_without_names),
		TEST(a_frame_of_nobody_says_so),
		TEST(each_frame_is_looked_up_once_and_stays_where_it_is),
		TEST(an_address_of_a_module_is_one_place_in_all_epochs),
		TEST(locations_are_numbered_as_they_are_mentioned),
		TEST(the_program_is_mapping_1_and_all_that_is_mapped_is_there),
		TEST(locations_point_to_their_mappings),
		TEST(what_has_gone_is_mentioned_when_a_frame_of_it_is),
		TEST(a_mapping_has_functions_if_a_location_of_it_has),
		TEST(without_names_no_mapping_has_functions),
		TEST(a_module_that_came_meanwhile_is_no_mapping_yet),
		TEST(leaf_frames_of_the_allocator_are_counted),
		TEST(without_names_nobody_knows_the_allocator),
		TEST(any_lack_of_memory_is_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
