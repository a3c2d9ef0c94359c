#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fake/asked_files.h"

#define PLAIN "text/plain; charset=utf-8"

/* --- what is in it --------------------------------------------------------------------------- */

static uint32_t work_stack(void)
{
	frame_t frame[] = { program_frame(PROGRAM_WORK), program_frame(PROGRAM_MAIN) };

	return made_stack(frame, 2);
}

static uint32_t flat_stack(frame_t frame)
{
	return made_stack(&frame, 1);
}

static void add(uint32_t stack, uint64_t created, uint64_t ended)
{
	struct made_row *r = made_add(GROUND_CREATE, stack, 0, 0);

	r->value[BIRTHS_CREATED] = created;
	r->value[BIRTHS_ENDED] = ended;
}

static void add_some(void)
{
	add(flat_stack(FRAME_BIRTH_MAIN), 1, 0);
	add(work_stack(), 9, 5);
	/* The same once more, as another generation has it; and who lives no more. */
	add(work_stack(), 2, 0);
	add(flat_stack(program_frame(PROGRAM_MAIN)), 7, 7);
	add(flat_stack(FRAME_BIRTH_UNSEEN), 3, 1);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void the_profile_is_gos(void **state)
{
	(void)state;
	add_some();
	get("/debug/pprof/threadcreate", "threadcreate");
	assert_int_equal(profile->n_sample_type, 1);
	assert_string_equal(string_of(profile, profile->sample_type[0]->type), "threadcreate");
	assert_string_equal(string_of(profile, profile->sample_type[0]->unit), "count");
	assert_string_equal(string_of(profile, profile->period_type->type), "threadcreate");
	assert_string_equal(string_of(profile, profile->period_type->unit), "count");
	assert_int_equal(profile->period, 1);
	assert_int_equal(profile->default_sample_type, 0);
	assert_int_equal(profile->duration_nanos, 0);
	assert_int_equal(profile->n_sample, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(profile->sample[i]->n_value, 1);
		assert_int_equal(profile->sample[i]->n_label, 0);
	}
	assert_int_equal(profile->sample[0]->value[0], 6);
	assert_int_equal(profile->sample[0]->n_location_id, 2);
	assert_int_equal(profile->sample[1]->value[0], 2);
	assert_int_equal(profile->sample[2]->value[0], 1);
}

static void the_text_is_gos(void **state)
{
	char want[1024];

	(void)state;
	add_some();
	snprintf(want, sizeof(want),
		 "threadcreate profile: total 9\n"
		 "6 @ 0x555500000016 0x555500000006\n"
		 "#\t0x555500000015\twork+0x5\t%s:0\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n\n"
		 "2 @ 0xa\n"
		 "#\t0x9\t[not seen]+0x0\t?:0\n\n"
		 "1 @ 0x9\n"
		 "#\t0x8\t[main thread]+0x0\t?:0\n\n",
		 program_path, program_path);
	assert_answer("/debug/pprof/threadcreate?debug=1", 200, PLAIN, want);
	assert_answer("/debug/pprof/threadcreate?debug=2", 200, PLAIN, want);
	made_forget();
	assert_answer("/debug/pprof/threadcreate?debug=1", 200, PLAIN,
		      "threadcreate profile: total 0\n");
}

static void come_late(unsigned scan)
{
	if (scan == 3)
		add(flat_stack(FRAME_BIRTH_UNSEEN), 1, 0);
}

static void who_was_met_is_waited_for_until_he_counts(void **state)
{
	(void)state;
	made.on_scan = come_late;
	made.scans_wanted = 3;
	get("/debug/pprof/threadcreate", "threadcreate");
	assert_int_equal(profile->n_sample, 1);
	/* But not for ever. */
	made.scans = 4;
	made.scans_wanted = 1000;
	get("/debug/pprof/threadcreate", "threadcreate");
	assert_in_range(made.scans, 10, 40);
}

static void begin_and_end_some(unsigned scan)
{
	made.row[GROUND_CREATE][1].value[BIRTHS_CREATED] += scan == 2 ? 3 : 0;
	made.row[GROUND_CREATE][2].value[BIRTHS_ENDED] += scan == 2 ? 2 : 0;
}

static void a_delta_is_what_came_less_what_went(void **state)
{
	(void)state;
	add(work_stack(), 9, 5);
	add(flat_stack(program_frame(PROGRAM_MAIN)), 7, 1);
	add(flat_stack(FRAME_BIRTH_MAIN), 1, 0);
	made.on_scan = begin_and_end_some;
	get("/debug/pprof/threadcreate?seconds=1", "threadcreate-delta");
	assert_int_equal(profile->n_sample, 2);
	assert_int_equal(profile->sample[0]->value[0], 3);
	assert_int_equal(profile->sample[1]->value[0], -2);
}

static void parameters_are_gos(void **state)
{
	(void)state;
	assert_answer("/debug/pprof/threadcreate?seconds=0", 400, PLAIN,
		      "invalid value for \"seconds\" - must be a positive integer\n");
	assert_answer("/debug/pprof/threadcreate?seconds=1&debug=1", 400, PLAIN,
		      "seconds and debug params are incompatible\n");
	assert_int_equal(ask_head("/debug/pprof/threadcreate"), 200);
	/* There is no label to ask for, so it means nothing. */
	get("/debug/pprof/threadcreate?labels=thread", "threadcreate");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_profile_is_gos, begin, end),
		cmocka_unit_test_setup_teardown(the_text_is_gos, begin, end),
		cmocka_unit_test_setup_teardown(who_was_met_is_waited_for_until_he_counts, begin,
						end),
		cmocka_unit_test_setup_teardown(a_delta_is_what_came_less_what_went, begin, end),
		cmocka_unit_test_setup_teardown(parameters_are_gos, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
