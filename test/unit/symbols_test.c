#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fake/made_elf.h"
#include "httpd/symbols.h"
#include "httpd/symbols_sort.h"
#include "sampler/compiler.h"

#define CODE_BYTES 0x10000

/* Short for rows of a table. */
#define GLOBAL STT_FUNC, STB_GLOBAL
#define WEAK   STT_FUNC, STB_WEAK
#define LOCAL  STT_FUNC, STB_LOCAL
#define LABEL  STT_NOTYPE, STB_LOCAL

/* The index of a made object. */
struct index {
	uint8_t          *file;
	struct elf        elf;
	struct symbols    symbols;
	enum symbols_state state;
};

static void make_index(struct index *x, const struct made_symbol *s, size_t count)
{
	struct made_elf how = { .full = s, .full_count = count, .code_bytes = CODE_BYTES };
	struct elf_source source = { .fd = -1 };
	struct elf_tables tables;

	memset(x, 0, sizeof(*x));
	source.bytes = made_elf(&how, &x->file);
	source.memory = (uintptr_t)x->file;
	assert_int_equal(elf_open(&x->elf, &source), 0);
	elf_tables_find(&x->elf, &tables);
	assert_int_equal(tables.full.count, count);
	symbols_begin(&x->symbols, &tables.full);
	do {
		x->state = symbols_step(&x->symbols, &x->elf);
		if (x->state == SYMBOLS_COUNTED)
			assert_true(symbols_map(&x->symbols));
	} while (x->state == SYMBOLS_MORE || x->state == SYMBOLS_COUNTED);
}

static void free_index(struct index *x)
{
	symbols_free(&x->symbols);
	free(x->file);
}

/* The name at this place in the code, "" for none. */
static const char *name_at(const struct index *x, uint64_t at)
{
	static char name[4096];
	const struct symbols_entry *entry = symbols_find(&x->symbols, MADE_CODE + at);

	name[0] = '\0';
	if (entry != NULL)
		symbols_name(&x->symbols, &x->elf, entry, name, sizeof(name));
	return name;
}

struct place { uint64_t at; const char *name; };

static void check_places(const struct made_symbol *s, size_t count, const struct place *places,
			 size_t place_count)
{
	struct index x;

	make_index(&x, s, count);
	assert_int_equal(x.state, SYMBOLS_READY);
	for (size_t i = 0; i < place_count; i++)
		if (strcmp(name_at(&x, places[i].at), places[i].name) != 0)
			fail_msg("at 0x%lx is \"%s\", not \"%s\"", (long)places[i].at,
				 name_at(&x, places[i].at), places[i].name);
	free_index(&x);
}

#define CHECK_PLACES(s, places) check_places(s, COUNT_OF(s), places, COUNT_OF(places))

static void a_size_is_respected(void **state)
{
	static const struct made_symbol s[] = {
		{ "second", 0x200, 0x80, GLOBAL, 0 },
		{ "first", 0x100, 0x80, LOCAL, 0 },
		{ "resolver", 0x300, 1, STT_GNU_IFUNC, STB_GLOBAL, 0 },
	};
	static const struct place places[] = {
		{ 0, "" }, { 0xff, "" }, { 0x100, "first" }, { 0x17f, "first" }, { 0x180, "" },
		{ 0x1ff, "" }, { 0x200, "second" }, { 0x27f, "second" }, { 0x280, "" },
		{ 0x300, "resolver" }, { 0x301, "" }, { CODE_BYTES - 1, "" }, { CODE_BYTES, "" },
	};

	(void)state;
	CHECK_PLACES(s, places);
}

static void without_a_size_it_reaches_to_the_next(void **state)
{
	static const struct made_symbol s[] = {
		{ "sized", 0x100, 0x100, GLOBAL, 0 },
		{ "label_inside", 0x180, 0, LABEL, 0 },
		{ "assembler", 0x300, 0, LABEL, 0 },
		{ "last", 0x400, 0, GLOBAL, 0 },
	};
	static const struct place places[] = {
		{ 0x17f, "sized" }, { 0x180, "sized" }, { 0x1ff, "sized" }, { 0x200, "" },
		{ 0x2ff, "" }, { 0x300, "assembler" }, { 0x3ff, "assembler" }, { 0x400, "last" },
		{ CODE_BYTES - 1, "last" }, { CODE_BYTES, "" },
	};

	(void)state;
	CHECK_PLACES(s, places);
}

static void the_innermost_function_answers(void **state)
{
	static const struct made_symbol s[] = {
		{ "outer", 0x100, 0x400, GLOBAL, 0 },
		{ "inner", 0x200, 0x100, LOCAL, 0 },
		{ "innermost", 0x210, 0x10, LOCAL, 0 },
	};
	static const struct place places[] = {
		{ 0x1ff, "outer" }, { 0x200, "inner" }, { 0x210, "innermost" }, { 0x220, "inner" },
		{ 0x2ff, "inner" }, { 0x300, "outer" }, { 0x4ff, "outer" }, { 0x500, "" },
	};

	(void)state;
	CHECK_PLACES(s, places);
}

/* Each pair in both orders: the first of a row wins. */
static void the_better_name_of_an_address_wins(void **state)
{
	static const struct made_symbol rows[][2] = {
		{ { "exported", 0, 16, GLOBAL, 0 }, { "a", 0, 16, LOCAL, 0 } },
		{ { "exported", 0, 16, WEAK, 0 }, { "a", 0, 16, LOCAL, 0 } },
		{ { "strchr", 0, 16, GLOBAL, 0 }, { "index", 0, 16, WEAK, 0 } },
		{ { "poll", 0, 16, WEAK, 0 }, { "__poll", 0, 16, GLOBAL, 0 } },
		{ { "fopen", 0, 16, GLOBAL, 0 }, { "_fopen", 0, 16, GLOBAL, 0 } },
		{ { "open", 0, 16, WEAK, 0 }, { "open64", 0, 16, WEAK, 0 } },
		{ { "abc", 0, 16, WEAK, 0 }, { "abd", 0, 16, WEAK, 0 } },
		{ { "sized_name", 0, 16, GLOBAL, 0 }, { "none", 0, 0, GLOBAL, 0 } },
		{ { "function", 0, 16, LOCAL, 0 }, { "text", 0, 0, STT_NOTYPE, STB_GLOBAL, 0 } },
		{ { "x", 0, 16, GLOBAL, 0 }, { "", 0, 16, GLOBAL, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
		struct made_symbol pair[2] = { rows[i / 2][i % 2], rows[i / 2][(i + 1) % 2] };
		struct index x;

		make_index(&x, pair, 2);
		assert_string_equal(name_at(&x, 8), rows[i / 2][0].name);
		assert_int_equal(x.symbols.count, 1);
		free_index(&x);
	}
}

static void what_is_no_code_is_left_out(void **state)
{
	static const struct made_symbol s[] = {
		{ "data", 0x10, 16, STT_OBJECT, STB_GLOBAL, 0 },
		{ "section", 0x20, 16, STT_SECTION, STB_LOCAL, 0 },
		{ "thread_local", 0x30, 16, STT_TLS, STB_GLOBAL, 0 },
		{ "elsewhere", 0x40, 16, GLOBAL, SHN_ABS },
		{ "undefined", 0x60, 16, GLOBAL, MADE_UNDEFINED },      /* has a place in a PLT */
		{ "common", 0x50, 16, GLOBAL, SHN_COMMON },
		{ "outside", CODE_BYTES, 16, GLOBAL, 0 },
		{ "far_outside", UINT64_C(1) << 60, 16, GLOBAL, 0 },
		{ "below", -(uint64_t)MADE_CODE, 16, GLOBAL, 0 },
	};
	struct index x;

	(void)state;
	make_index(&x, s, COUNT_OF(s));
	assert_int_equal(x.state, SYMBOLS_NONE);
	assert_null(x.symbols.entry);
	assert_null(symbols_find(&x.symbols, MADE_CODE));
	free_index(&x);
}

static void a_version_is_cut_off(void **state)
{
	static const struct made_symbol s[] = {
		{ "memcpy@@GLIBC_2.14", 0, 16, GLOBAL, 0 },
		{ "memcpy@GLIBC_2.2.5", 16, 16, GLOBAL, 0 },
		{ "@odd", 32, 16, GLOBAL, 0 },
	};
	static const struct place places[] = { { 0, "memcpy" }, { 16, "memcpy" }, { 32, "@odd" } };

	(void)state;
	CHECK_PLACES(s, places);
}

static void a_long_name_is_cut_to_what_is_wanted(void **state)
{
	static char longest[9000];
	struct made_symbol s = { longest, 0, 16, GLOBAL, 0 };
	struct index x;
	char name[4096];

	(void)state;
	memset(longest, 'n', sizeof(longest) - 1);
	make_index(&x, &s, 1);
	for (size_t n = 128; n <= sizeof(name); n *= 2) {
		assert_int_equal(symbols_name(&x.symbols, &x.elf, x.symbols.entry, name, n), n - 1);
		assert_int_equal(strlen(name), n - 1);
	}
	free_index(&x);
}

static void it_sorts(void **state)
{
	static struct symbols_entry entry[5000];
	uint32_t counts[] = { 0, 1, 2, 3, 7, 1000, 5000 };
	uint64_t random = 88172645463325252u;

	(void)state;
	for (size_t k = 0; k < COUNT_OF(counts); k++) {
		uint64_t at = 0, sum = 0;

		for (uint32_t i = 0; i < counts[k]; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			entry[i] = (struct symbols_entry){ .key = random % 3000, .name = i + 1 };
			sum += i + 1;
		}
		while (symbols_sort_step(entry, counts[k], &at))
			;
		for (uint32_t i = 0; i < counts[k]; i++) {
			assert_true(i == 0 || entry[i - 1].key <= entry[i].key);
			sum -= entry[i].name;
		}
		assert_int_equal(sum, 0);       /* nothing lost, nothing twice */
	}
}

/* Many of them, which take many steps; all found again. */
static void a_large_table_takes_steps(void **state)
{
	enum { MANY = 20000 };
	static struct made_symbol s[MANY];
	static char names[MANY][8];
	struct index x;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		unsigned place = i * 7919u % MANY;      /* 7919 is a prime: a permutation */

		snprintf(names[i], sizeof(names[i]), "f%u", place);
		s[i] = (struct made_symbol){ names[i], place * 3, 3, GLOBAL, 0 };
	}
	make_index(&x, s, MANY);
	for (unsigned at = 0; at < MANY * 3; at++) {
		char want[16];

		snprintf(want, sizeof(want), "f%u", at / 3);
		assert_string_equal(name_at(&x, at), want);
	}
	assert_true(x.symbols.map_bytes <= MANY * 16 + 4096);
	free_index(&x);
	assert_int_equal(x.symbols.map_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_size_is_respected),
		cmocka_unit_test(without_a_size_it_reaches_to_the_next),
		cmocka_unit_test(the_innermost_function_answers),
		cmocka_unit_test(the_better_name_of_an_address_wins),
		cmocka_unit_test(what_is_no_code_is_left_out),
		cmocka_unit_test(a_version_is_cut_off),
		cmocka_unit_test(a_long_name_is_cut_to_what_is_wanted),
		cmocka_unit_test(it_sorts),
		cmocka_unit_test(a_large_table_takes_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
