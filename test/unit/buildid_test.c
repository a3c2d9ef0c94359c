#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sampler/buildid.h"
#include "sampler/compiler.h"

/* Notes are written down with their padding, little-endian. */
#define HEAD(name, desc, type) name "\0\0\0" desc "\0\0\0" type "\0\0\0"
#define GNU                    "GNU\0"
#define ID20                   "0123456789abcdefghij"
#define OTHER                  HEAD("\4", "\4", "\1") GNU "abcd"
#define MATCH                  HEAD("\4", "\24", "\3") GNU ID20
/* NT_GNU_PROPERTY_TYPE_0 of 28 bytes, which only an alignment of 8 ends in the right place. */
#define PROPERTY HEAD("\4", "\34", "\5") GNU "0123456789abcdef0123456789ab"

static const struct { const char *says, *notes; size_t len; const char *id; } cases[] = {
	{ "an id alone", MATCH, sizeof(MATCH) - 1, ID20 },
	{ "behind another note", OTHER MATCH, sizeof(OTHER MATCH) - 1, ID20 },
	{ "in front of another note", MATCH OTHER, sizeof(MATCH OTHER) - 1, ID20 },
	{ "alignment of 8", PROPERTY "\0\0\0\0" MATCH,
	  sizeof(PROPERTY "\0\0\0\0" MATCH) - 1, ID20 },
	{ "a note with a name of odd length", HEAD("\1", "\1", "\3") "x\0\0\0y\0\0\0" MATCH,
	  sizeof(HEAD("\1", "\1", "\3") "x\0\0\0y\0\0\0" MATCH) - 1, ID20 },
	{ "no padding at the end", HEAD("\4", "\5", "\3") GNU "12345",
	  sizeof(HEAD("\4", "\5", "\3") GNU "12345") - 1, "12345" },
	{ "behind an empty one", HEAD("\4", "\0", "\3") GNU MATCH,
	  sizeof(HEAD("\4", "\0", "\3") GNU MATCH) - 1, ID20 },
	{ "more than BUILD_ID_MAX bytes", HEAD("\4", "\50", "\3") GNU ID20 ID20,
	  sizeof(HEAD("\4", "\50", "\3") GNU ID20 ID20) - 1, ID20 "0123456789ab" },

	{ "nothing", "", 0, "" },
	{ "part of a header", MATCH, 11, "" },
	{ "a header alone", MATCH, 12, "" },
	{ "an id cut short", MATCH, sizeof(MATCH) - 2, "" },
	{ "another note", OTHER, sizeof(OTHER) - 1, "" },
	{ "an empty id", HEAD("\4", "\0", "\3") GNU, sizeof(HEAD("\4", "\0", "\3") GNU) - 1, "" },
	{ "another owner", HEAD("\4", "\4", "\3") "BSD\0abcd",
	  sizeof(HEAD("\4", "\4", "\3") "BSD\0abcd") - 1, "" },
	{ "an owner that starts as ours", HEAD("\5", "\4", "\3") "GNU2\0\0\0\0abcd",
	  sizeof(HEAD("\5", "\4", "\3") "GNU2\0\0\0\0abcd") - 1, "" },
	{ "an owner with more behind our name", HEAD("\5", "\4", "\3") "GNU\0x\0\0\0abcd",
	  sizeof(HEAD("\5", "\4", "\3") "GNU\0x\0\0\0abcd") - 1, "" },
	{ "a name of 4 GiB", "\377\377\377\377\4\0\0\0\3\0\0\0GNU\0abcd", 20, "" },
	{ "an id of 4 GiB", "\4\0\0\0\377\377\377\377\3\0\0\0GNU\0abcd", 20, "" },
	{ "all sizes 0", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, "" },
	{ "all bits set", "\377\377\377\377\377\377\377\377\377\377\377\377", 12, "" },
};

/* A copy that ends at an inaccessible page. */
static const uint8_t *wall_copy(const void *bytes, size_t n)
{
	static uint8_t *pages;

	if (pages == NULL) {
		pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		assert_true(pages != MAP_FAILED);
		assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
	}
	if (n > 0)
		memcpy(pages + 4096 - n, bytes, n);
	return pages + 4096 - n;
}

static void finds_the_id_or_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t id[BUILD_ID_MAX];
		size_t want = strlen(cases[i].id);
		size_t n = buildid_parse(wall_copy(cases[i].notes, cases[i].len), cases[i].len, id);

		if (n != want || memcmp(id, cases[i].id, want) != 0)
			fail_msg("%s: %zu bytes, not %zu", cases[i].says, n, want);
	}
}

static void reads_no_byte_behind_any_prefix(void **state)
{
	static const char all[] = PROPERTY "\0\0\0\0" MATCH;

	(void)state;
	for (size_t n = 0; n < sizeof(all); n++) {
		uint8_t id[BUILD_ID_MAX];
		size_t len = buildid_parse(wall_copy(all, n), n, id);

		assert_int_equal(len, n < sizeof(all) - 1 ? 0 : 20);
	}
}

/* The program itself: the linker gave it a SHA-1, and libc and vDSO have their own. */
static int look_at_object(struct dl_phdr_info *info, size_t size, void *found)
{
	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint8_t id[BUILD_ID_MAX];

		if (p->p_type == PT_NOTE &&
		    buildid_parse((const uint8_t *)(info->dlpi_addr + p->p_vaddr), p->p_memsz, id))
			++*(int *)found;
	}
	return 0;
}

static void finds_the_ids_of_mapped_objects(void **state)
{
	int found = 0;

	(void)state;
	dl_iterate_phdr(look_at_object, &found);
	assert_true(found >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_id_or_nothing),
		cmocka_unit_test(reads_no_byte_behind_any_prefix),
		cmocka_unit_test(finds_the_ids_of_mapped_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
