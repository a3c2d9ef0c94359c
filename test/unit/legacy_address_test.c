/* Frames as bare addresses, and what /pprof/symbol makes of them. */
#include "fake/asked.h"
#include "fake/made_program.h"
#include "httpd/legacy_address.h"
#include "httpd/thread_dump.h"
#include "sampler/sample.h"

static int begin(void **state)
{
	(void)state;
	make_program();
	return 0;
}

static int end(void **state)
{
	(void)state;
	asked_forget();
	drop_program();
	return map_fail.live_bytes != 0;
}

static uint64_t address_of(frame_t frame)
{
	struct arena a = map_fail_arena(1u << 20);
	struct places *p = places_new(&a, &asked.desk, NULL);
	uint64_t address = legacy_address(&made_ground, places_find(p, frame), frame);

	arena_reset(&a);
	return address;
}

/* "" is no line for that address. */
static void assert_name(uint64_t address, const char *want)
{
	char body[64], line[256];

	snprintf(body, sizeof(body), "0x%016llx", (unsigned long long)address);
	snprintf(line, sizeof(line), "num_symbols: 1\n");
	if (*want != '\0')
		snprintf(line, sizeof(line), "num_symbols: 1\n0x%llx %s\n",
			 (unsigned long long)address, want);
	assert_int_equal(ask_with("POST", "/pprof/symbol", NULL, body), 200);
	assert_string_equal(asked.body, line);
	assert_int_equal(ask_with("POST", "/pprof/symbolz", NULL, body), 200);
	assert_string_equal(asked.body, line);
}

static void code_that_is_there_is_its_address(void **state)
{
	frame_t work = program_frame(PROGRAM_WORK);

	(void)state;
	assert_int_equal(address_of(work), frame_pc(work));
	assert_name(frame_pc(work), "work");
	/* A JIT's: nobody knows a name for it. */
	assert_int_equal(address_of(0x123456789a), 0x123456789a);
	assert_name(0x123456789a, "");
}

/* A reader of a text takes 1 off, one of a leaf does not. */
static void what_is_no_code_has_its_name_also_beside_it(void **state)
{
	static const struct { frame_t frame; const char *name; } cases[] = {
		{ FRAME_TRUNCATED, "[truncated]" }, { FRAME_EVICTED, "[evicted]" },
		{ FRAME_MAPPED_OURS, "[pprofshim]" }, { FRAME_NO_STACK, "[stack unavailable]" },
		{ FRAME_LOCK_HOLDER_UNKNOWN, "[holder unknown]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t address = address_of(cases[i].frame);

		assert_name(address - 1, cases[i].name);
		assert_name(address, cases[i].name);
		assert_name(address + 1, cases[i].name);
	}
	/* Not the frames themselves: to Go's clients these are addresses without a name. */
	for (uint64_t address = 1; address < 16; address++)
		assert_name(address, "");
	assert_name(0x1000, "");
}

static void code_that_is_gone_is_still_its_modules(void **state)
{
	frame_t was = GONE_START + 0x123;
	uint64_t address = address_of(was);

	(void)state;
	assert_int_not_equal(address, frame_pc(was));
	assert_name(address, "libgone.so.1+0x2000");
	/* Something else is mapped there now. */
	made.module[3] = made.module[1];
	made.module[3].start = GONE_START;
	made.module[3].limit = GONE_START + 4096;
	made.modules = 4;
	assert_name(address, "libgone.so.1+0x2000");
	/* Or where it would be without its mark. */
	made.module[3].start = address & 0xffffffff0000;
	made.module[3].limit = made.module[3].start + 0x10000;
	assert_name(address, "libgone.so.1+0x2000");
	/* Beyond its end, and of a module that there is not yet. */
	assert_name(address + 4096, "");
	made.module[4] = made.module[2];
	assert_name(address + (UINT64_C(2) << 40), "");
}

/* A frame of an epoch in which no scan has seen what was there. */
static frame_t nobodys(void)
{
	return (program_frame(PROGRAM_WORK)) | (frame_t)5 << 48;
}

static const struct module *find_of_now_only(frame_t frame)
{
	return frame_epoch(frame) == 0 ? made_find_module(frame) : NULL;
}

static void code_that_was_nobodys_is_not_the_next_ones(void **state)
{
	struct ground ground = made_ground;
	struct desk_view desk = { .ground = &ground, .names = true };
	struct arena a = map_fail_arena(1u << 20);
	uint64_t address;

	(void)state;
	ground.find_module = find_of_now_only;
	address = legacy_address(&ground, places_find(places_new(&a, &desk, NULL), nobodys()),
				 nobodys());
	arena_reset(&a);
	assert_int_not_equal(address, frame_pc(nobodys()));
	assert_name(address, "");
	/* Nor is what no process has the code at its lower end. */
	assert_name(frame_pc(nobodys()), "work");
	assert_name(nobodys(), "");
}

/* It comes out of a file of the host's. */
static void a_name_is_one_line(void **state)
{
	static const char *const names[] = { "one\n0x1 two", "\xff" };
	static char path[] = "/tmp/made_odd.XXXXXX";

	(void)state;
	made.module[3] = make_object(names, COUNT_OF(names), path, LIBRARY_START + (1 << 20));
	made.modules = 4;
	assert_name(made.module[3].start + 5, "one?0x1 two");
	assert_name(made.module[3].start + 16 + 5, "\xef\xbf\xbd");
	unlink(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(code_that_is_there_is_its_address),
		TEST(what_is_no_code_has_its_name_also_beside_it),
		TEST(code_that_is_gone_is_still_its_modules),
		TEST(code_that_was_nobodys_is_not_the_next_ones),
		TEST(a_name_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
