/* Which object has which tables, the rows that are compiled from them, and what a fork child makes
 * of both. */
#include "sampler/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <sys/syscall.h>

#include "fake/child.h"
#include "fake/cpu_clock.h"
#include "fake/mapped_file.h"
#include "fake/sys_refused.h"
#include "sampler/cfi_find.h"
#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/limits.h"
#include "sampler/os.h"
#include "test/unit/cfi_image.h"

#define PAGE 4096u

static struct object made_object(const void *at, size_t bytes, uint8_t id)
{
	struct object o = { .hdr = (uintptr_t)at + 40, .lo = (uintptr_t)at,
			    .hi = (uintptr_t)at + bytes };

	if (id != 0) {
		o.build_id_len = 20;
		memset(o.build_id, id, 20);
	}
	return o;
}

/* Of an object that may be unloaded. */
static struct tables *copy_of(const struct object *o, struct cfi_object *place)
{
	return tables_of(o, o->lo, false, place);
}

/* --- which object has which ------------------------------------------------------------------ */

static void a_copy_has_the_same_bytes_elsewhere(void **state)
{
	char bytes[3000];
	struct object o = made_object(bytes, sizeof(bytes), 1);
	struct cfi_object copy;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	assert_non_null(copy_of(&o, &copy));
	assert_int_equal(copy.hi - copy.lo, sizeof(bytes));
	assert_memory_equal(copy.lo, bytes, sizeof(bytes));
	assert_true(copy.lo + sizeof(bytes) <= (uint8_t *)bytes ||
		    copy.lo >= (uint8_t *)bytes + sizeof(bytes));
	assert_int_equal(copy.hdr - copy.lo, 40);
	assert_int_equal((uintptr_t)copy.hdr + copy.moved, o.hdr);
	/* The original may change or go: the copy does not. */
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(copy.lo[1], 7);
}

static void what_stays_is_not_copied(void **state)
{
	static char bytes[2][100];
	struct object one = made_object(bytes[0], 100, 0), other = made_object(bytes[1], 100, 0);
	struct cfi_object place;
	struct tables *t;

	(void)state;
	t = tables_of(&one, one.lo, true, &place);
	assert_non_null(t);
	assert_true(place.hdr == (uint8_t *)one.hdr && place.lo == (uint8_t *)one.lo &&
		    place.hi == (uint8_t *)one.hi && place.moved == 0);
	assert_ptr_not_equal(tables_of(&other, other.lo, true, &place), t);
	assert_ptr_equal(place.hdr, other.hdr);
	/* Another mapping of the same object. */
	assert_ptr_equal(tables_of(&one, one.lo, true, &place), t);
	assert_ptr_equal(place.hdr, one.hdr);
}

static void an_object_without_tables_has_none(void **state)
{
	struct object o = { .build_id_len = 20 };
	struct cfi_object place;

	(void)state;
	assert_null(tables_of(&o, 4096, false, &place));
	assert_null(tables_of(&o, 4096, true, &place));
}

static void the_same_object_elsewhere_has_the_same_copy(void **state)
{
	char bytes[2][500] = { "first" };
	struct object here = made_object(bytes[0], 500, 2), there = made_object(bytes[1], 500, 2);
	struct object other = made_object(bytes[1], 500, 3), longer = made_object(bytes[0], 600, 2);
	struct cfi_object first, second;
	struct tables *t;

	(void)state;
	t = copy_of(&here, &first);
	assert_non_null(t);
	assert_ptr_equal(copy_of(&there, &second), t);
	assert_ptr_equal(first.hdr, second.hdr);
	assert_int_equal((uintptr_t)second.hdr + second.moved, there.hdr);
	assert_ptr_not_equal(copy_of(&other, &second), t);
	assert_ptr_not_equal(first.hdr, second.hdr);
	/* A build id that lies about its tables. */
	assert_ptr_not_equal(copy_of(&longer, &second), t);
	assert_ptr_not_equal(first.hdr, second.hdr);
}

/* Nothing says that they are the same. */
static void objects_without_a_build_id_have_copies_of_their_own(void **state)
{
	char bytes[2][500] = { "first", "second" };
	struct object one = made_object(bytes[0], 500, 0), two = made_object(bytes[1], 500, 0);
	struct cfi_object first, second;

	(void)state;
	assert_non_null(copy_of(&one, &first));
	assert_non_null(copy_of(&two, &second));
	assert_memory_equal(first.lo, "first", 6);
	assert_memory_equal(second.lo, "second", 7);
}

static void what_cannot_be_read_has_no_copy(void **state)
{
	char *at = free_addresses();
	struct object o = made_object(at, 500, 4);
	struct cfi_object copy;

	(void)state;
	assert_null(copy_of(&o, &copy));
	/* Only its second page is missing. */
	assert_int_equal(mprotect(at, PAGE, PROT_READ | PROT_WRITE), 0);
	o.hi = (uintptr_t)at + PAGE + 1;
	assert_null(copy_of(&o, &copy));
	o.hi--;
	assert_non_null(copy_of(&o, &copy));
}

static void without_memory_there_is_no_copy(void **state)
{
	char bytes[100] = "";
	struct object o = made_object(bytes, sizeof(bytes), 5);
	struct cfi_object copy;
	uint64_t before = count_get(COUNT_MAP_REFUSED);

	(void)state;
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	assert_null(copy_of(&o, &copy));
	sys_refuse(0, 0, 0);
	assert_int_equal(count_get(COUNT_MAP_REFUSED), before + 1);
	assert_non_null(copy_of(&o, &copy));
}

static uint8_t id_bytes[20];

static void come_another(void) { id_bytes[19]++; }

/* Its bytes would be taken for those of the one that went. */
static void an_object_that_goes_meanwhile_has_no_copy(void **state)
{
	char bytes[100] = "";
	struct object o = made_object(bytes, sizeof(bytes), 7);
	struct cfi_object copy;

	(void)state;
	memcpy(id_bytes, o.build_id, sizeof(id_bytes));
	o.build_id_at = (uintptr_t)id_bytes;
	sys_interrupt(SYS_process_vm_readv, 1, come_another);
	assert_null(copy_of(&o, &copy));
	sys_refuse(0, 0, 0);
	memcpy(id_bytes, o.build_id, sizeof(id_bytes));
	assert_non_null(copy_of(&o, &copy));
	/* Or nothing has come. */
	o.build_id[0] = 77;
	o.build_id_at = (uintptr_t)free_addresses() + (2 << 20);
	assert_null(copy_of(&o, &copy));
}

/* --- compiling ------------------------------------------------------------------------------- */

/* One function, of 100 bytes with CFA = rsp + n; build id 0: none.  at a page of the test's own. */
static struct object with_function(uint8_t *at, uint8_t n, uint8_t id)
{
	static struct image image;
	struct object o;

	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE, 100, OPS(0x0e, n));
	image_end(&image);
	memcpy(at, image.bytes, image.n);
	o = made_object(at, image.n, id);
	o.hdr = (uintptr_t)at;
	return o;
}

/* Where its image is, for its code to be at IMAGE_CODE - IMAGE_BASE from there. */
#define IMAGE_OF(at) ((uintptr_t)(at))
#define CODE         (IMAGE_CODE - IMAGE_BASE)

/* All that is asked for.  Returns how many steps it took. */
static unsigned compile_all(void)
{
	unsigned steps = 0;

	while (tables_compile())
		steps++;
	return steps;
}

/* In place, of this very page. */
static struct tables *in_place(uint8_t *at, uint8_t n)
{
	struct object o = with_function(at, n, 0);
	struct cfi_object place;

	return tables_of(&o, IMAGE_OF(at), true, &place);
}

static uint8_t page[8][PAGE];

static void what_is_asked_for_is_compiled(void **state)
{
	struct tables *t = in_place(page[0], 24), *other = in_place(page[1], 32);
	const struct rows *rows;

	(void)state;
	assert_false(tables_compile());
	assert_null(tables_rows(t));
	assert_int_equal(compile_all(), 1);
	rows = tables_rows(t);
	assert_non_null(rows);
	assert_int_equal(rows_find(rows, CODE), RULES_SP | 24);
	assert_int_equal(rows_find(rows, CODE + 99), RULES_SP | 24);
	assert_int_equal(rows_find(rows, CODE + 100), RULES_UNDESCRIBED);
	assert_false(tables_compile());
	/* The other one only when it is asked for. */
	assert_null(atomic_load(&other->rows));
	assert_null(tables_rows(other));
	assert_int_equal(compile_all(), 1);
	assert_int_equal(rows_find(tables_rows(other), CODE), RULES_SP | 32);
	assert_ptr_equal(tables_rows(t), rows);
}

static void all_that_is_asked_for_is_compiled(void **state)
{
	struct tables *t[6];

	(void)state;
	for (uint8_t i = 0; i < COUNT_OF(t); i++)
		t[i] = in_place(page[2 + i], 16 + 8 * i);
	for (unsigned i = 0; i < COUNT_OF(t) - 1; i++)
		assert_null(tables_rows(t[i]));
	assert_true(tables_compile());
	/* Meanwhile. */
	assert_null(tables_rows(t[COUNT_OF(t) - 1]));
	assert_int_equal(compile_all(), COUNT_OF(t) - 1);
	for (unsigned i = 0; i < COUNT_OF(t); i++)
		assert_int_equal(rows_find(tables_rows(t[i]), CODE), RULES_SP | (16 + 8 * i));
}

/* The rows of a copy are good wherever the object is. */
static void an_object_that_comes_again_has_its_rows(void **state)
{
	static uint8_t first[PAGE], second[PAGE];
	struct object here = with_function(first, 40, 6), there = with_function(second, 40, 6);
	struct cfi_object place, again;
	struct tables *t = tables_of(&here, IMAGE_OF(first), false, &place);

	(void)state;
	assert_null(tables_rows(t));
	memset(first, 0, sizeof(first));                /* gone */
	assert_int_equal(compile_all(), 1);
	assert_ptr_equal(tables_of(&there, IMAGE_OF(second), false, &again), t);
	assert_non_null(tables_rows(t));
	assert_int_equal(rows_find(tables_rows(t), CODE), RULES_SP | 40);
	assert_int_equal((uintptr_t)again.hdr + again.moved, there.hdr);
	assert_false(tables_compile());
}

static struct object libc_object;
static uintptr_t libc_image;

static struct tables *of_libc(void)
{
	struct cfi_object place;
	Dl_info info;

	assert_int_not_equal(dladdr((void *)(uintptr_t)strtod, &info), 0);
	libc_image = (uintptr_t)info.dli_fbase;
	assert_true(objects_read(libc_image, &libc_object));
	return tables_of(&libc_object, libc_image, true, &place);
}

/* Some thousand functions: not at once. */
static void a_large_object_is_compiled_in_steps(void **state)
{
	struct tables *t = of_libc();
	struct cfi_object object = t->source;
	static struct cfi_work work;
	uint64_t entries = cfi_table_count(&object);
	unsigned steps;

	(void)state;
	assert_null(tables_rows(t));
	assert_true(tables_compile());
	assert_null(tables_rows(t));
	steps = 1 + compile_all();
	assert_in_range(steps, entries / 3000, entries / 1000 + 1);
	assert_non_null(tables_rows(t));
	assert_true(cfi_find_row(&object, (uintptr_t)strtod, &work));
	assert_int_equal(rows_find(tables_rows(t), (uintptr_t)strtod - libc_image),
			 rules_from_row(&object, &work.row));
}

/* Three MiB and a bit, of which nobody may read the end. */
static struct tables *half_readable(void)
{
	const size_t bytes = (3u << 20) + 100;
	char *at = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct object o = made_object(at, bytes, 0);
	struct cfi_object place;

	if (at == MAP_FAILED || mprotect(at + (3u << 20), PAGE, PROT_NONE) < 0)
		return NULL;
	return tables_of(&o, o.lo, true, &place);
}

static void a_large_object_is_copied_in_steps(void **state)
{
	struct tables *t = half_readable();
	uint64_t before = os_mapped_bytes();

	(void)state;
	assert_non_null(t);
	assert_null(tables_rows(t));
	for (unsigned i = 0; i < 3; i++) {
		assert_true(tables_compile());
		assert_in_range(os_mapped_bytes(), before + (3u << 20), before + (4u << 20));
	}
	assert_true(tables_compile());          /* what cannot be read */
	assert_int_equal(os_mapped_bytes(), before);
	assert_false(tables_compile());
	assert_null(tables_rows(t));
}

/* --- what cannot be compiled ----------------------------------------------------------------- */

/* It is tried once. */
static void check_no_rows(struct tables *t)
{
	assert_null(tables_rows(t));
	assert_int_equal(compile_all(), 0);
	sys_refuse(SYS_process_vm_readv, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_null(tables_rows(t));
		assert_false(tables_compile());
	}
	assert_int_equal(sys_refused.seen, 0);
}

static void tables_that_cannot_be_read_have_no_rows(void **state)
{
	char *at = free_addresses() + (1 << 20);
	struct object o = made_object(at, 500, 0);
	struct cfi_object place;

	(void)state;
	check_no_rows(tables_of(&o, o.lo, true, &place));
}

static void tables_that_list_nothing_have_no_rows(void **state)
{
	static uint8_t bytes[PAGE];
	struct object o = with_function(bytes, 8, 0);
	struct cfi_object place;
	struct tables *t = tables_of(&o, o.lo, true, &place);

	(void)state;
	memset(bytes + 8, 0, 4);
	check_no_rows(t);
}

/* Of the copy, then of the rows. */
static void without_memory_there_are_no_rows(void **state)
{
	static uint8_t bytes[2][PAGE];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t before = count_get(COUNT_MAP_REFUSED);
		struct tables *t = in_place(bytes[i], 8);

		assert_null(tables_rows(t));
		sys_refuse(SYS_mmap, i + 1, -ENOMEM);
		assert_false(tables_compile());
		sys_refuse(0, 0, 0);
		assert_int_equal(count_get(COUNT_MAP_REFUSED), before + 1);
		check_no_rows(t);
	}
}

static void tables_that_make_no_sense_have_no_rows(void **state)
{
	static uint8_t bytes[PAGE], *bad = bytes;
	struct tables *t = in_place(bad, 8);

	(void)state;
	bytes[12]--;                    /* the header's only entry says another start, */
	bytes[16]++;                    /* and a place where no record is */
	assert_null(tables_rows(t));
	assert_int_equal(compile_all(), 1);
	check_no_rows(t);
}

/* --- the budget of memory -------------------------------------------------------------------- */

static char *large;

#define LARGE_BYTES (70u << 20)

static void all_copies_together_stay_within_their_budget_in_child(void)
{
	size_t each = 5u << 20, made = 0;
	uint64_t before = count_get(COUNT_MODULE_NO_TABLES);
	struct cfi_object copy;

	for (uint8_t id = 100; id < 120; id++) {
		struct object o = made_object(large, each, id);

		made += copy_of(&o, &copy) != NULL;
	}
	CHILD_DEMAND(made == TABLES_BYTES / each);
	CHILD_DEMAND(count_get(COUNT_MODULE_NO_TABLES) == before + 20 - made);
	/* What was copied before is there still. */
	for (uint8_t id = 100; id < 100 + made; id++) {
		struct object o = made_object(large, each, id);

		CHILD_DEMAND(copy_of(&o, &copy) != NULL);
	}
}

/* 1,400 rows from 3,600 bytes of tables: twice their size. */
static struct object with_many_rows(uint8_t *at)
{
	static struct image image;
	uint8_t ops[2000];
	struct object o;

	for (size_t i = 0; i < sizeof(ops); i += 5)
		memcpy(ops + i, "\x86\2\x41\xc6\x41", 5);
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE, 0x400, (struct ops){ ops, sizeof(ops) });
	image_end(&image);
	memcpy(at, image.bytes, image.n);
	o = made_object(at, image.n + 400, 0);          /* room for all */
	o.hdr = (uintptr_t)at;
	return o;
}

/* Leave so many bytes of the budget, of which nothing was used. */
static void leave(size_t bytes)
{
	struct object o = made_object(large, TABLES_BYTES - bytes, 99);
	struct cfi_object copy;

	CHILD_DEMAND(copy_of(&o, &copy) != NULL);
}

static void check_left(size_t bytes)
{
	struct object more = made_object(large, bytes + 1, 98), fits = made_object(large, bytes, 97);
	struct cfi_object copy;

	CHILD_DEMAND(copy_of(&more, &copy) == NULL);
	CHILD_DEMAND(copy_of(&fits, &copy) != NULL);
}

static void compile_with(size_t left, bool fits, unsigned steps)
{
	uint64_t before = count_get(COUNT_MODULE_NO_TABLES);
	struct object o = with_many_rows(page[0]);
	struct cfi_object place;
	struct tables *t = tables_of(&o, IMAGE_OF(page[0]), true, &place);

	leave(left);
	CHILD_DEMAND(tables_rows(t) == NULL);
	CHILD_DEMAND(compile_all() == steps);
	CHILD_DEMAND((tables_rows(t) != NULL) == fits);
	CHILD_DEMAND(count_get(COUNT_MODULE_NO_TABLES) == before + !fits);
	check_left(fits ? left - t->compiled_bytes : left);
}

static void rows_that_fit(void) { compile_with(16000, true, 1); }
/* More than the tables have, less than the rows take. */
static void rows_that_do_not_fit(void) { compile_with(4000, false, 1); }
static void tables_that_do_not_fit(void) { compile_with(400, false, 0); }

static void copies_and_rows_together_stay_within_their_budget(void **state)
{
	(void)state;
	assert_child(all_copies_together_stay_within_their_budget_in_child);
	assert_child(rows_that_fit);
	assert_child(rows_that_do_not_fit);
	assert_child(tables_that_do_not_fit);
}

static void more_objects_than_there_can_be(void)
{
	uint64_t before = count_get(COUNT_MODULE_NO_TABLES);
	struct cfi_object place;

	for (unsigned i = 0; i < MODULES_LIVE_MAX; i++) {
		struct object o = made_object(large + 64 * i, 60, 0);

		CHILD_DEMAND(tables_of(&o, o.lo, true, &place) != NULL);
	}
	for (unsigned i = MODULES_LIVE_MAX; i < MODULES_LIVE_MAX + 2; i++) {
		struct object o = made_object(large + 64 * i, 60, 0);

		CHILD_DEMAND(tables_of(&o, o.lo, true, &place) == NULL);
		CHILD_DEMAND(tables_of(&o, o.lo, false, &place) == NULL);
	}
	CHILD_DEMAND(count_get(COUNT_MODULE_NO_TABLES) == before + 4);
}

static void an_object_too_many_has_no_tables(void **state)
{
	(void)state;
	assert_child(more_objects_than_there_can_be);
}

/* --- the budget of time ---------------------------------------------------------------------- */

/* CPU time of a process that lets it compile these, by tables.h; without what was spent. */
static uint64_t cpu_for(const struct tables *t)
{
	return (uint64_t)(t->source.hi - t->source.lo) * 5 * 100;
}

#define SLOW_NS 30000000ull

static void be_slow(void)
{
	uint64_t end = os_thread_cpu_ns(0) + SLOW_NS;

	while (os_thread_cpu_ns(0) < end)
		;
}

static void compile_when_there_is_room(void)
{
	struct tables *t = of_libc();

	cpu_clock_ns = 0;
	CHILD_DEMAND(tables_rows(t) == NULL);
	CHILD_DEMAND(!tables_compile());
	/* To look for room takes none of it. */
	sys_interrupt(SYS_clock_gettime, 2, be_slow);
	cpu_clock_ns = cpu_for(t) - 1;
	CHILD_DEMAND(!tables_compile() && !tables_compile());
	sys_refuse(0, 0, 0);
	/* Nobody has to ask again. */
	cpu_clock_ns = 2 * cpu_for(t);
	CHILD_DEMAND(compile_all() > 0);
	CHILD_DEMAND(tables_rows(t) != NULL);
}

/* No rule of theirs is kept: they come for a quarter. */
static void compile_a_later_one_sooner(void)
{
	struct tables *stays = of_libc(), *later;
	struct cfi_object place;

	later = tables_of(&libc_object, libc_image, false, &place);
	CHILD_DEMAND(tables_rows(stays) == NULL && tables_rows(later) == NULL);
	cpu_clock_ns = cpu_for(stays) / 4 - 1;
	CHILD_DEMAND(!tables_compile());
	cpu_clock_ns = cpu_for(stays) / 2;
	CHILD_DEMAND(compile_all() > 0);
	CHILD_DEMAND(tables_rows(later) != NULL && tables_rows(stays) == NULL);
}

/* With 30 ms more than it needs: our clock is read before a step and behind it. */
static struct tables *compile_slowly(void)
{
	struct tables *t = of_libc();

	CHILD_DEMAND(tables_rows(t) == NULL);
	sys_interrupt(SYS_clock_gettime, 2, be_slow);
	CHILD_DEMAND(compile_all() > 0);
	sys_refuse(0, 0, 0);
	CHILD_DEMAND(tables_rows(t) != NULL);
	return t;
}

static void count_what_was_spent(void)
{
	struct tables *t;

	compile_slowly();
	t = in_place(page[0], 8);
	CHILD_DEMAND(tables_rows(t) == NULL);
	cpu_clock_ns = SLOW_NS * 99;
	CHILD_DEMAND(!tables_compile());
	cpu_clock_ns = UINT64_MAX / 8;
	CHILD_DEMAND(compile_all() == 1);
}

/* What is too much to begin with at 5 ns a byte times 30. */
static void expect_what_was_measured(void)
{
	struct object o = made_object(large, 60u << 20, 0);
	struct cfi_object place;
	struct tables *t;

	compile_slowly();
	t = tables_of(&o, o.lo, true, &place);
	CHILD_DEMAND(tables_rows(t) == NULL);
	cpu_clock_ns = cpu_for(t) + 100 * 1000000000ull;
	CHILD_DEMAND(!tables_compile());
	CHILD_DEMAND(!t->tried);
	cpu_clock_ns = UINT64_MAX / 8;
	tables_compile();
	CHILD_DEMAND(t->tried);
}

/* What its parent spent is not its own. */
static void begin_anew_in_a_child(void)
{
	struct tables *t = compile_slowly();

	tables_after_fork();
	cpu_clock_ns = 0;
	CHILD_DEMAND(tables_rows(t) == NULL && !tables_compile());
	cpu_clock_ns = 2 * cpu_for(t);
	CHILD_DEMAND(compile_all() > 0);
	CHILD_DEMAND(tables_rows(t) != NULL);
}

static void compiling_takes_a_share_of_the_cpu_time(void **state)
{
	(void)state;
	assert_child(compile_when_there_is_room);
	assert_child(compile_a_later_one_sooner);
	assert_child(count_what_was_spent);
	assert_child(expect_what_was_measured);
	assert_child(begin_anew_in_a_child);
}

/* --- fork children --------------------------------------------------------------------------- */

static struct tables *forked[3];

/* In a child of the child, which dies of what it does, not of cmocka's handlers. */
static void in_fork(void (*f)(void))
{
	int status = -1;

	if (fork() == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		f();
		_exit(0);
	}
	wait(&status);
	if (child_wrong[0] != '\0')
		_exit(1);
	CHILD_DEMAND(status == 0);
}

/* Of all that the parent had: zeros, until tables_after_fork; and they stay readable, as a walk may
 * be at them that a handler interrupted, which forked. */
static void look_and_compile_again(void)
{
	const struct rows *wiped = tables_rows(forked[0]);
	const struct row *row = wiped->row;

	CHILD_DEMAND(wiped != NULL);
	for (uint64_t offset = 0; offset < CODE + 200; offset += 10)
		CHILD_DEMAND(rows_find(wiped, offset) == (offset < CODE || offset >= CODE + 100
								  ? RULES_UNDESCRIBED
								  : RULES_NONE));
	CHILD_DEMAND(!tables_compile());
	tables_after_fork();
	CHILD_DEMAND(row[0].rule == RULES_NONE);
	for (unsigned i = 0; i < COUNT_OF(forked); i++)
		CHILD_DEMAND(tables_rows(forked[i]) == NULL);
	CHILD_DEMAND(compile_all() == COUNT_OF(forked));
	for (unsigned i = 0; i < COUNT_OF(forked); i++)
		CHILD_DEMAND(rows_find(tables_rows(forked[i]), CODE) == (RULES_SP | 56));
}

static void make_forked(void)
{
	static uint8_t bytes[3][PAGE];

	for (unsigned i = 0; i < COUNT_OF(forked); i++) {
		struct object o = with_function(bytes[i], 56, 0);
		struct cfi_object place;

		forked[i] = tables_of(&o, IMAGE_OF(bytes[i]), i != 1, &place);
	}
}

static void a_child_compiles_its_own_rows_in_grandchild(void)
{
	make_forked();
	for (unsigned i = 0; i < 2; i++)
		CHILD_DEMAND(tables_rows(forked[i]) == NULL);
	CHILD_DEMAND(compile_all() == 2);
	CHILD_DEMAND(tables_rows(forked[0]) != NULL && tables_rows(forked[1]) != NULL);
	in_fork(look_and_compile_again);
	/* The parent has its rows still. */
	CHILD_DEMAND(rows_find(tables_rows(forked[0]), CODE) == (RULES_SP | 56));
}

static void a_child_compiles_its_own_rows(void **state)
{
	(void)state;
	assert_child(a_child_compiles_its_own_rows_in_grandchild);
}

/* What a thread of the host's has mapped meanwhile, where the rows did not need it. */
static char *tail;

static void compile_in_fork(void)
{
	tables_after_fork();
	CHILD_DEMAND(tail == NULL || os_readable((uintptr_t)tail));
	for (unsigned i = COUNT_OF(forked); i-- > 0;) {
		CHILD_DEMAND(tables_rows(forked[i]) == NULL);
		compile_all();
		CHILD_DEMAND(tables_rows(forked[i]) != NULL);
		CHILD_DEMAND(rows_find(tables_rows(forked[i]), CODE) == (RULES_SP | 56));
	}
	CHILD_DEMAND(tail == NULL || os_readable((uintptr_t)tail));
}

static void fork_meanwhile(void)
{
	const struct rows *had = &forked[0]->compiled;

	sys_refuse(0, 0, 0);
	if (had->row != NULL && tail == NULL) {
		char *end = (char *)(uintptr_t)had->row + PAGE;

		if (!os_readable((uintptr_t)end))
			tail = mmap(end, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	in_fork(compile_in_fork);
}

static struct { long nr; unsigned n; bool seen; } moment;

/* A room of three pages, of which one is needed; nothing of it in a reserve. */
static void fork_at_that_moment(void)
{
	make_forked();
	forked[0]->source.hi = forked[0]->source.lo + PAGE;
	for (unsigned i = 0; i < COUNT_OF(forked); i++)
		CHILD_DEMAND(tables_rows(forked[i]) == NULL);
	sys_interrupt(moment.nr, moment.n, fork_meanwhile);
	compile_all();
	*(bool *)(child_wrong + 512) |= sys_refused.from == 0;
	*(bool *)(child_wrong + 513) |= tail != NULL;
	for (unsigned i = 0; i < COUNT_OF(forked); i++)
		CHILD_DEMAND(rows_find(tables_rows(forked[i]), CODE) == (RULES_SP | 56));
}

/* While our thread compiles, others fork: before each of its system calls. */
static void a_fork_may_come_while_tables_are_compiled(void **state)
{
	const long calls[] = { SYS_mmap, SYS_munmap, SYS_madvise, SYS_process_vm_readv };
	unsigned moments = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		for (unsigned n = 1;; n++) {
			moment.nr = calls[i];
			moment.n = n;
			assert_child(fork_at_that_moment);
			if (!child_wrong[512])
				break;
			child_wrong[512] = 0;
			moments++;
		}
	assert_true(moments > 10);
	assert_true(child_wrong[513]);
}

/* What was being compiled is compiled anew, from its beginning. */
static void look_at_all_rows(void)
{
	static struct cfi_work work;
	struct cfi_object object;
	const struct rows *rows;
	struct tables *t = tables_of(&libc_object, libc_image, true, &object);

	tables_after_fork();
	CHILD_DEMAND(!tables_compile());
	CHILD_DEMAND(tables_rows(t) == NULL);
	compile_all();
	rows = tables_rows(t);
	CHILD_DEMAND(rows != NULL);
	for (uint32_t i = 0; i < rows->count; i++) {
		uintptr_t pc = libc_image + rows->row[i].offset;
		uint32_t want = cfi_find_row(&object, pc, &work)
					? rules_at(rules_from_row(&object, &work.row), pc)
					: RULES_UNDESCRIBED;

		CHILD_DEMAND(rows_find(rows, rows->row[i].offset) == want);
	}
}

static void fork_between_two_steps(void)
{
	struct tables *t = of_libc();

	CHILD_DEMAND(tables_rows(t) == NULL);
	CHILD_DEMAND(tables_compile() && tables_rows(t) == NULL);
	in_fork(look_at_all_rows);
	compile_all();
	CHILD_DEMAND(tables_rows(t) != NULL);
}

/* Nothing is built yet: what was built before stays where it is. */
static void fork_between_two_copies(void)
{
	static uint8_t bytes[PAGE];
	struct tables *small = in_place(bytes, 48), *t = half_readable();
	const struct rows *rows;

	CHILD_DEMAND(small != NULL && t != NULL && tables_rows(small) == NULL);
	compile_all();
	rows = tables_rows(small);
	CHILD_DEMAND(rows != NULL && tables_rows(t) == NULL && tables_compile());
	tables_after_fork();
	CHILD_DEMAND(!tables_compile() && rows->row[0].offset == CODE);
	CHILD_DEMAND(tables_rows(small) == NULL);
	compile_all();
	CHILD_DEMAND(rows_find(tables_rows(small), CODE) == (RULES_SP | 48));
}

static void a_fork_may_come_between_two_steps(void **state)
{
	(void)state;
	assert_child(fork_between_two_steps);
	assert_child(fork_between_two_copies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, as they need the whole budget. */
		cmocka_unit_test(copies_and_rows_together_stay_within_their_budget),
		cmocka_unit_test(an_object_too_many_has_no_tables),
		cmocka_unit_test(compiling_takes_a_share_of_the_cpu_time),
		cmocka_unit_test(a_child_compiles_its_own_rows),
		cmocka_unit_test(a_fork_may_come_while_tables_are_compiled),
		cmocka_unit_test(a_fork_may_come_between_two_steps),
		cmocka_unit_test(a_copy_has_the_same_bytes_elsewhere),
		cmocka_unit_test(what_stays_is_not_copied),
		cmocka_unit_test(an_object_without_tables_has_none),
		cmocka_unit_test(the_same_object_elsewhere_has_the_same_copy),
		cmocka_unit_test(objects_without_a_build_id_have_copies_of_their_own),
		cmocka_unit_test(what_cannot_be_read_has_no_copy),
		cmocka_unit_test(without_memory_there_is_no_copy),
		cmocka_unit_test(an_object_that_goes_meanwhile_has_no_copy),
		cmocka_unit_test(what_is_asked_for_is_compiled),
		cmocka_unit_test(all_that_is_asked_for_is_compiled),
		cmocka_unit_test(an_object_that_comes_again_has_its_rows),
		cmocka_unit_test(a_large_object_is_compiled_in_steps),
		cmocka_unit_test(a_large_object_is_copied_in_steps),
		cmocka_unit_test(tables_that_cannot_be_read_have_no_rows),
		cmocka_unit_test(tables_that_list_nothing_have_no_rows),
		cmocka_unit_test(without_memory_there_are_no_rows),
		cmocka_unit_test(tables_that_make_no_sense_have_no_rows),
	};

	large = mmap(NULL, LARGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (large == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
