#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <link.h>
#include <stdlib.h>

#include "fake/mapped_file.h"
#include "fuzz/wall.h"
#include "sampler/compiler.h"
#include "sampler/objects.h"

#define PAGE 4096u

/* --- against the loader ---------------------------------------------------------------------- */

/* Where an object's header is, and where one of its segments is. */
static uintptr_t image_of(const struct dl_phdr_info *info)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			return (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr) / PAGE * PAGE;
	return 0;
}

static int compare_tables(struct dl_phdr_info *info, size_t size, void *count)
{
	struct object o;
	uintptr_t hdr = 0, frames, end = 0;
	int32_t to_frames;

	(void)size;
	assert_true(objects_read(image_of(info), &o));
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			hdr = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
	assert_int_equal(o.hdr, hdr);
	if (hdr == 0)
		return 0;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && hdr >= start && hdr < start + p->p_filesz)
			end = start + p->p_filesz;
	}
	assert_int_equal(o.hi, end);
	/* From the lower one of the two on, and nothing before it. */
	memcpy(&to_frames, (const void *)(hdr + 4), 4);
	frames = hdr + 4 + (uintptr_t)(intptr_t)to_frames;
	assert_int_equal(o.lo, frames < hdr ? frames : hdr);
	++*(unsigned *)count;
	return 0;
}

static void the_tables_of_loaded_objects_are_where_the_loader_says(void **state)
{
	unsigned compared = 0;

	(void)state;
	dl_iterate_phdr(compare_tables, &compared);
	assert_true(compared >= 4);
}

static int compare_build_id(struct dl_phdr_info *info, size_t size, void *count)
{
	struct object o;

	(void)size;
	assert_true(objects_read(image_of(info), &o));
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const char *note = (const char *)info->dlpi_addr + p->p_vaddr;

		for (size_t at = 0; p->p_type == PT_NOTE && at + 36 <= p->p_memsz; at += 4) {
			if (memcmp(note + at, "\4\0\0\0\x14\0\0\0\3\0\0\0GNU", 16) != 0)
				continue;
			assert_int_equal(o.build_id_len, 20);
			assert_memory_equal(o.build_id, note + at + 16, 20);
			++*(unsigned *)count;
		}
	}
	return 0;
}

static void build_ids_are_those_of_the_notes(void **state)
{
	unsigned compared = 0;

	(void)state;
	dl_iterate_phdr(compare_build_id, &compared);
	assert_true(compared >= 4);
}

/* --- what is no object ----------------------------------------------------------------------- */

static void assert_no_object(uintptr_t at)
{
	struct object o = { .build_id_len = 77, .hdr = 77, .lo = 77, .hi = 77 };

	assert_false(objects_read(at, &o));
	assert_true(o.hdr == 0 && o.build_id_len == 0);
}

static void what_is_not_mapped_is_no_object(void **state)
{
	char *gone = free_addresses();

	(void)state;
	assert_no_object(0);
	assert_no_object(1);
	assert_no_object(UINTPTR_MAX - 10);
	assert_no_object((uintptr_t)gone);
}

static void what_does_not_look_like_an_object_is_none(void **state)
{
	char page[sizeof(Elf64_Ehdr)] = "";
	char *file = NULL;

	(void)state;
	assert_no_object((uintptr_t)page);
	assert_no_object((uintptr_t)assert_no_object);
	if (read_library(SOME_LIBRARY, &file) == 0)
		skip();
	memcpy(page, file, sizeof(page));
	page[EI_CLASS] = ELFCLASS32;
	assert_no_object((uintptr_t)page);
	memcpy(page, file, sizeof(page));
	page[3] = 'f';
	assert_no_object((uintptr_t)page);
	memcpy(page, file, sizeof(page));
	((Elf64_Ehdr *)(void *)page)->e_phentsize--;
	assert_no_object((uintptr_t)page);
	free(file);
}

/* However many bytes of it are there: no fault, and no nonsense. */
static void a_cut_object_is_none_or_has_no_tables(void **state)
{
	char *file = NULL;
	size_t n = read_library(SOME_LIBRARY, &file);
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)file;
	struct object o;

	(void)state;
	if (n == 0)
		skip();
	for (size_t len = 0; len < 2 * PAGE; len = len < 1200 ? len + 1 : len + 97) {
		const char *at = wall_copy(file, len);
		bool is = objects_read((uintptr_t)at, &o);

		assert_int_equal(is, len >= e->e_phoff + e->e_phnum * sizeof(Elf64_Phdr));
		if (!is)
			assert_true(o.hdr == 0 && o.build_id_len == 0);
	}
	free(file);
}

/* Headers that say anything at all. */
static void wild_headers_are_no_reason_to_fault(void **state)
{
	char *file = NULL, *page;
	size_t n = read_library(SOME_LIBRARY, &file), bytes = 2 * PAGE;
	uint32_t random = 1;

	(void)state;
	if (n == 0)
		skip();
	page = wall_room(bytes);
	for (unsigned round = 0; round < 20000; round++) {
		struct object o;

		if (round % 8 == 0)
			memcpy(page, file, bytes);
		for (unsigned i = 0; i < 3; i++) {
			random = random * 1664525 + 1013904223;
			page[4 + (random >> 8) % 700] = (char)(random >> 24);
		}
		memcpy(page, ELFMAG "\2", 5);
		if (!objects_read((uintptr_t)page, &o))
			continue;
		assert_true(o.build_id_len <= BUILD_ID_MAX);
		assert_true(o.hdr == 0 || (o.lo <= o.hdr && o.hdr < o.hi));
	}
	free(file);
}

/* More program headers than there is room for: the first ones count. */
static void of_very_many_headers_the_first_are_read(void **state)
{
	static struct { Elf64_Ehdr e; Elf64_Phdr ph[40]; char frames[64]; } made;
	uintptr_t at = (uintptr_t)&made;
	struct object o;

	(void)state;
	memcpy(made.e.e_ident, ELFMAG "\2", 5);
	made.e.e_phoff = offsetof(__typeof__(made), ph);
	made.e.e_phentsize = sizeof(Elf64_Phdr);
	made.e.e_phnum = 40;
	made.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = sizeof(made) };
	made.ph[31] = (Elf64_Phdr){ .p_type = PT_GNU_EH_FRAME,
				    .p_vaddr = offsetof(__typeof__(made), frames) };
	assert_true(objects_read(at, &o));
	assert_int_equal(o.hdr, (uintptr_t)made.frames);
	assert_int_equal(o.hi, at + sizeof(made));
	/* Of another encoding, the table may be anywhere in its segment. */
	assert_int_equal(o.lo, at);
	/* Of the usual one it is where the header says, before or behind it. */
	memcpy(made.frames, "\1\x1b\3\x3b\xf0\xff\xff\xff", 8);
	assert_true(objects_read(at, &o));
	assert_int_equal(o.lo, (uintptr_t)made.frames + 4 - 16);
	memcpy(made.frames + 4, "\x10\0\0\0", 4);
	assert_true(objects_read(at, &o));
	assert_int_equal(o.lo, (uintptr_t)made.frames);
	/* But not before the segment. */
	memcpy(made.frames + 4, "\0\0\0\x80", 4);
	assert_true(objects_read(at, &o));
	assert_int_equal(o.lo, at);
	made.ph[39] = made.ph[31];
	made.ph[31].p_type = PT_NULL;
	assert_true(objects_read(at, &o));
	assert_int_equal(o.hdr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tables_of_loaded_objects_are_where_the_loader_says),
		cmocka_unit_test(build_ids_are_those_of_the_notes),
		cmocka_unit_test(what_is_not_mapped_is_no_object),
		cmocka_unit_test(what_does_not_look_like_an_object_is_none),
		cmocka_unit_test(a_cut_object_is_none_or_has_no_tables),
		cmocka_unit_test(wild_headers_are_no_reason_to_fault),
		cmocka_unit_test(of_very_many_headers_the_first_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
