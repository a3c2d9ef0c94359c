/* What was there when this program began, told from what a constructor may have loaded since. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "preload/startup.h"
#include "sampler/compiler.h"

/* Part of every Debian, and nothing here needs it. */
static const char plugin[] = "libbz2.so.1.0";

static uintptr_t image_of(const void *address)
{
	Dl_info info;

	return dladdr(address, &info) != 0 ? (uintptr_t)info.dli_fbase : 0;
}

static void what_the_program_was_started_with_stays(void **state)
{
	(void)state;
	startup_init(NULL);
	assert_true(startup_has(image_of((const void *)(uintptr_t)what_the_program_was_started_with_stays)));
	assert_true(startup_has(image_of((const void *)(uintptr_t)printf)));
	assert_true(startup_has(image_of(dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests"))));
	assert_true(startup_has(getauxval(AT_SYSINFO_EHDR)));
	assert_true(startup_has(getauxval(AT_BASE)));
	assert_false(startup_has(0x1000));
}

/* Loads the plugin; skips the test where there is none. */
static void *load_plugin(uintptr_t *image)
{
	void *handle = dlopen(plugin, RTLD_LAZY);

	if (handle == NULL) {
		print_message("%s\n", dlerror());
		skip();
	}
	*image = image_of(dlsym(handle, "BZ2_bzlibVersion"));
	assert_int_not_equal(*image, 0);
	return handle;
}

static void what_was_loaded_since_may_leave(void **state)
{
	uintptr_t image;
	void *handle = load_plugin(&image);

	(void)state;
	startup_init(NULL);
	assert_false(startup_has(image));
	startup_init("/some/where/else.so:not-libbz2.so.1.0 libbz2.so.1.0.4");
	assert_false(startup_has(image));
	dlclose(handle);
}

/* A preload is named by its path or without one, among others. */
static void a_preload_stays(void **state)
{
	static const char *const preloads[] = {
		"libbz2.so.1.0", "/usr/lib/libbz2.so.1.0", "a.so libbz2.so.1.0", "libbz2.so.1.0:b.so",
	};
	uintptr_t image;
	void *handle = load_plugin(&image);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(preloads); i++) {
		startup_init(preloads[i]);
		assert_true(startup_has(image));
	}
	dlclose(handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_program_was_started_with_stays),
		cmocka_unit_test(what_was_loaded_since_may_leave),
		cmocka_unit_test(a_preload_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
