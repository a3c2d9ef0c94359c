/* One thread looks what is mapped, again and again, while libraries come and go; others ask for
 * code all the time, as samples do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>

#include "fake/crowd.h"
#include "fake/mapped_file.h"
#include "sampler/compiler.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"

#define READERS 6
#define PLACES  8       /* where the library is mapped in turn */
#define SECONDS 1.0
#define SCANS_MIN 20    /* however long they take */

static char *library;
static char path[] = "/tmp/modules_stress_test.XXXXXX";
static uintptr_t permanent[3];
static _Atomic bool over;
static _Atomic uint64_t found_mapped;
static unsigned scans;

/* A reader takes what it can get: a torn entry is thrown away by its version, which no sanitizer
 * can know. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:ranges_find\nrace:ranges_insert\nrace:ranges_begin\nrace:search\n";
}

static char *place(unsigned i)
{
	return free_addresses() + ((size_t)i << 24);
}

/* Two scans in a row may overtake a reader once in a while; not when it asks again. */
static bool is_permanent(uintptr_t pc)
{
	return modules_frame(pc) == pc || modules_frame(pc) == pc;
}

static void ask_for_permanent_code(void)
{
	for (size_t i = 0; i < COUNT_OF(permanent); i++) {
		struct range r;
		uintptr_t pc = permanent[i];

		CROWD_DEMAND(is_permanent(pc));
		CROWD_DEMAND(modules_is_code(pc) || modules_is_code(pc));
		CROWD_DEMAND(modules_find_range(pc, &r) || modules_find_range(pc, &r));
		CROWD_DEMAND(r.place.moved == 0 && memcmp(r.place.hdr, "\1\x1b\3\x3b", 4) == 0);
		CROWD_DEMAND(r.permanent && r.tables != NULL);
	}
}

/* Of what comes and goes, only this is sure: what is given out can be read, and is a whole
 * answer. */
static void ask_for_code_that_comes_and_goes(void)
{
	for (unsigned i = 0; i < PLACES; i++) {
		struct range r;
		uintptr_t pc = (uintptr_t)code_of(library, place(i)) + 64;

		CROWD_DEMAND(frame_epoch(modules_frame(pc)) != 0);
		CROWD_DEMAND(frame_pc(modules_frame(pc)) == pc);
		if (!modules_find_range(pc, &r))
			continue;
		atomic_fetch_add(&found_mapped, 1);
		CROWD_DEMAND(r.image == (uintptr_t)place(i) && r.tables != NULL && !r.permanent);
		CROWD_DEMAND(r.place.lo <= r.place.hdr && r.place.hdr < r.place.hi);
		CROWD_DEMAND(memcmp(r.place.hdr, "\1\x1b\3\x3b", 4) == 0);
		CROWD_DEMAND((uintptr_t)r.place.hdr + r.place.moved >= (uintptr_t)place(i));
		CROWD_DEMAND((uintptr_t)r.place.hdr + r.place.moved <
			     (uintptr_t)place(i) + (1 << 24));
	}
}

static void ask(void)
{
	while (!atomic_load(&over)) {
		ask_for_permanent_code();
		ask_for_code_that_comes_and_goes();
		CROWD_DEMAND(!modules_is_code((uintptr_t)&over));
	}
}

static void scan(void)
{
	double end = crowd_now_s() + SECONDS;
	size_t bytes[PLACES] = { 0 };

	while (scans < SCANS_MIN || (crowd_now_s() < end && modules_count() < MODULES_EVER_MAX)) {
		unsigned i = scans++ * 5 % PLACES;

		if (bytes[i] == 0) {
			bytes[i] = map_object(path, library, place(i));
		} else {
			dlclose_passes();
			unmap_file(place(i), bytes[i]);
			bytes[i] = 0;
		}
		CROWD_DEMAND(modules_scan(false) == 0);
	}
	atomic_store(&over, true);
}

static void run(unsigned who)
{
	if (who < READERS)
		ask();
	else
		scan();
}

static void readers_get_whole_answers_while_modules_change(void **state)
{
	size_t n = read_library(SOME_LIBRARY, &library);

	(void)state;
	if (n == 0)
		skip();
	make_file(path, library, n);
	(void)free_addresses();         /* found before there are threads that ask for them */
	permanent[0] = (uintptr_t)run;
	permanent[1] = (uintptr_t)dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
	permanent[2] = (uintptr_t)dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests");
	crowd_run(READERS + 1, run);
	unlink(path);
	crowd_check();
	print_message("%u scans, found %llu times\n", scans, (unsigned long long)found_mapped);
	assert_true(scans >= SCANS_MIN);
	assert_true(found_mapped > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_get_whole_answers_while_modules_change),
	};

	if (modules_scan(true) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
