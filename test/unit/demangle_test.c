#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "encode/demangle.h"
#include "fake/map_fail.h"
#include "fuzz/wall.h"
#include "sampler/compiler.h"

static const struct {
	const char *says, *symbol, *name;
} cases[] = {
	{ "a method of a template", "_ZN2ns3BoxIlE4workEl", "ns::Box<long>::work" },
	{ "a function template", "_Z3fooIiEvT_", "foo<int>" },
	{ "an operator", "_Znwm", "operator new" },
	{ "a constructor", "_ZN1AC1Ev", "A::A" },
	{ "a destructor", "_ZN1AD0Ev", "A::~A" },
	{ "a lambda", "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()" },
	{ "a local of a function", "_ZZ3fooiE3bar", "foo(int)::bar" },
	{ "an unnamed namespace", "_ZN12_GLOBAL__N_13fooEv", "(anonymous namespace)::foo" },
	{ "a thunk", "_ZThn16_N1B1fEv", "non-virtual thunk to B::f()" },
	{ "types of std", "_ZNSt6vectorIiSaIiEE9push_backEOi",
	  "std::vector<int, std::allocator<int> >::push_back" },
	{ "an ABI tag", "_ZN1A1fB5cxx11Ev", "A::f[abi:cxx11]" },
	{ "a number in a lambda", "_ZZ4mainENKUlvE10_clEv", "main::{lambda()#12}::operator()" },
	{ "a C++ clone", "_Z3foov.cold", "foo" },
	{ "a clone of a clone", "_Z3foov.constprop.0.isra.0.cold", "foo" },
	{ "a C++ symbol of a version", "_Z3foov@@VER_1", "foo" },
	{ "Rust, legacy", "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE",
	  "core::fmt::Write::write_fmt" },
	{ "Rust, legacy, a clone of LLVM's",
	  "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE.llvm.123456",
	  "core::fmt::Write::write_fmt" },
	{ "Rust, legacy, an impl",
	  "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar"
	  "17h930b740aa94f1d3aE", "<Test + 'static as foo::Bar<Test>>::bar" },
	{ "not a hash: all of one digit", "_ZN3foo17h0000000000000000E", "foo::h0000000000000000" },
	{ "Rust, v0", "_RNvC6_123foo3bar", "123foo::bar" },
	{ "Rust, v0, a generic", "_RINvNtC3std3mem8align_ofjdE",
	  "std::mem::align_of::<usize, f64>" },
	{ "Rust, v0, a clone of LLVM's", "_RNvC3foo3bar.llvm.1234", "foo::bar" },
	{ "Rust, v0, a constant", "_RIC0Kj12cd_E", "::<4813>" },
	{ "Rust, v0, outside of ASCII", "_RNvCs4fqI2P2rA04_5crateu9gdel_5qa6k", NULL },
	{ "C", "main", NULL },
	{ "a C clone", "foo.isra.0", NULL },
	{ "a C clone of a clone", "foo.constprop.0.cold", NULL },
	{ "C, of a version", "memcpy@@GLIBC_2.14", "memcpy" },
	{ "C, of an old version", "memcpy@GLIBC_2.2.5", "memcpy" },
	{ "a version alone", "@VER", NULL },
	{ "nothing", "", NULL },
	{ "an underscore", "_", NULL },
	{ "a beginning", "_Z", NULL },
	{ "a beginning of a name", "_ZN3fo", NULL },
	{ "a beginning of a Rust name", "_RNv", NULL },
	{ "good at first, then wrong", "_RNvNtNtCs1234_7mycrate3foo3bar", NULL },
	{ "a C name that looks like it", "_Zx", NULL },
	{ "a C name in UTF-8", "gr\xc3\xb6\xc3\x9f" "er", NULL },
	{ "not a name at all", "\xff\xfe\x01", NULL },
};

static void each_symbol_has_the_name_its_author_gave_it(void **state)
{
	struct arena a = map_fail_arena(1u << 20);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *symbol = wall_copy(cases[i].symbol, strlen(cases[i].symbol) + 1);
		const char *want = cases[i].name != NULL ? cases[i].name : symbol;
		const char *got = demangle(&a, symbol);

		if (strcmp(got, want) != 0)
			fail_msg("%s: %s, not %s", cases[i].says, got, want);
		if (cases[i].name == NULL && got != symbol)
			fail_msg("%s: copied for nothing", cases[i].says);
	}
	arena_reset(&a);
}

static void a_full_arena_leaves_the_symbol_as_it_is(void **state)
{
	struct arena a = map_fail_arena(0);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_ptr_equal(demangle(&a, cases[i].symbol), cases[i].symbol);
}

static const char *repeat(const char *head, const char *middle, unsigned times, const char *tail)
{
	static char text[1u << 18];
	size_t n = strlen(head);

	memcpy(text, head, n);
	for (; times > 0; times--) {
		memcpy(text + n, middle, strlen(middle));
		n += strlen(middle);
	}
	memcpy(text + n, tail, strlen(tail) + 1);
	return text;
}

static const struct {
	const char *says, *head, *middle, *tail;
} deep[] = {
	{ "pointers", "_Z1fI", "P", "iEvv" },
	{ "pointers to constants", "_Z1fI", "PK", "iEvv" },
	{ "arrays", "_Z1fI", "A_", "iEvv" },
	{ "functions", "_Z1fI", "PFv", "iEvv" },
	{ "templates", "_ZN", "1AI", "i" },
	{ "expressions", "_Z1fIX", "ng", "Li1EEEvv" },
	{ "scopes", "_ZN", "1A", "E" },
	{ "locals", "_Z", "Z1fvE", "1x" },
	{ "virtual tables", "_ZTV", "P", "i" },
	{ "references to parameters", "_Z1fI1AIiE1AIiE1AIiE1AIiE1AIiE1AIiE1AIiEEv", "RT_", "" },
	{ "Rust references", "_RINvC1a1b", "R", "uE" },
	{ "Rust tuples", "_RINvC1a1b", "T", "uE" },
	{ "Rust paths", "_R", "Nv", "C1a" },
	{ "Rust impls", "_R", "XC1a", "u" },
};

/* Returns what is wrong, or NULL. */
static void *demangle_deep_ones(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT_OF(deep); i++) {
		for (unsigned times = 1; times < 20000; times += times / 8 + 1) {
			struct arena a = map_fail_arena(1u << 20);
			const char *symbol = repeat(deep[i].head, deep[i].middle, times,
						    deep[i].tail);
			const char *name = demangle(&a, symbol);
			bool wrong = name != symbol && (strlen(symbol) > DEMANGLE_SYMBOL_MAX ||
							strlen(name) > DEMANGLE_NAME_MAX);

			arena_reset(&a);
			if (wrong)
				return (void *)(uintptr_t)deep[i].says;
		}
	}
	return NULL;
}

/* On a stack of the size that the header promises to be enough; below it there is a guard page. */
static void deep_and_long_symbols_do_no_harm(void **state)
{
	pthread_attr_t attr;
	pthread_t thread;
	void *wrong = NULL;

	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("leaving a demangler half way (__builtin_longjmp) is too much for tsan\n");
	skip();
#endif
	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, 512u << 10), 0);
	assert_int_equal(pthread_create(&thread, &attr, demangle_deep_ones, NULL), 0);
	assert_int_equal(pthread_join(thread, &wrong), 0);
	if (wrong != NULL)
		fail_msg("%s: longer than promised", (const char *)wrong);
}

static void a_symbol_of_the_largest_size_is_tried(void **state)
{
	static char symbol[DEMANGLE_SYMBOL_MAX + 2];
	struct arena a = map_fail_arena(1u << 20);

	(void)state;
	for (int longer = 0; longer < 2; longer++) {
		int n = snprintf(symbol, sizeof(symbol), "_RNvC1a%d", DEMANGLE_SYMBOL_MAX - 11);

		memset(symbol + n, 'x', sizeof(symbol) - 1 - (size_t)n);
		symbol[DEMANGLE_SYMBOL_MAX + longer] = 0;
		if (longer)
			memcpy(symbol + 7, "4086", 4);
		if (longer)
			assert_ptr_equal(demangle(&a, symbol), symbol);
		else
			assert_int_equal(strlen(demangle(&a, symbol)),
					 DEMANGLE_SYMBOL_MAX - 11 + 3);
	}
	arena_reset(&a);
}

/* Rust v0: each tuple is two of the one before. */
static const char *doubling_rust(char *symbol)
{
	static const char digit[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t n = (size_t)sprintf(symbol, "_RINvC1a1bTuuE"), before = 8;

	for (int i = 0; i < 40; i++) {
		size_t here = n - 2, back = before - 1;
		char ref[8];

		if (back < 62)
			snprintf(ref, sizeof(ref), "B%c_", digit[back]);
		else
			snprintf(ref, sizeof(ref), "B%c%c_", digit[back / 62], digit[back % 62]);
		n += (size_t)sprintf(symbol + n, "T%s%sE", ref, ref);
		before = here;
	}
	symbol[n] = 'E';
	symbol[n + 1] = 0;
	return symbol;
}

/* C++: each type is a template of two of the one before. */
static const char *doubling_cpp(char *symbol)
{
	static const char digit[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t n = (size_t)sprintf(symbol, "_Z1fI1AIiiE");

	for (int i = 0; i < 34; i++)
		n += (size_t)sprintf(symbol + n, "S0_IS%c_S%c_E", digit[i + 1],
				    digit[i + 1]);
	strcpy(symbol + n, "Evv");
	return symbol;
}

static void a_name_without_end_is_cut(void **state)
{
	static char rust[4096], cpp[4096];
	struct arena a = map_fail_arena(1u << 20);
	const char *name = demangle(&a, doubling_rust(rust));

	(void)state;
	assert_int_equal(strlen(name), DEMANGLE_NAME_MAX);
	assert_memory_equal(name, "a::b::<((), ()), ", 12);
	name = demangle(&a, doubling_cpp(cpp));
	assert_int_equal(strlen(name), DEMANGLE_NAME_MAX);
	assert_memory_equal(name, "f<A<int, int>, A<A<int, int>", 28);
	assert_string_equal(demangle(&a, "_Z3foov"), "foo");
	arena_reset(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_symbol_has_the_name_its_author_gave_it),
		cmocka_unit_test(a_full_arena_leaves_the_symbol_as_it_is),
		cmocka_unit_test(deep_and_long_symbols_do_no_harm),
		cmocka_unit_test(a_symbol_of_the_largest_size_is_tried),
		cmocka_unit_test(a_name_without_end_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
