#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>

#include "httpd/elf.h"
#include "httpd/elf_frames.h"
#include "sampler/os.h"

/* A function with known ends, between places that no FDE covers. */
__asm__(".text\n"
	".skip 16, 0x90\n"
	"elf_frames_test_before: .skip 32, 0x90\n"
	"elf_frames_test_start: .cfi_startproc\n"
	".skip 48, 0x90\n"
	"elf_frames_test_end: .cfi_endproc\n"
	".skip 32, 0x90\n");
extern const char elf_frames_test_before[], elf_frames_test_start[], elf_frames_test_end[];

static void open_file(struct elf *e, const char *path)
{
	struct elf_source source = { .fd = os_open_read(path) };
	struct stat st;

	assert_true(source.fd >= 0);
	assert_int_equal(os_fstat(source.fd, &st), 0);
	source.bytes = (uint64_t)st.st_size;
	assert_int_equal(elf_open(e, &source), 0);
}

static int find_moved(struct dl_phdr_info *info, size_t size, void *moved)
{
	(void)size;
	*(uintptr_t *)moved = info->dlpi_addr;
	return 1;       /* the first one is the program */
}

static void an_address_is_in_its_fde_and_in_no_other(void **state)
{
	uintptr_t moved = 0;
	uint64_t start, end;
	struct elf_frame f;
	struct elf e;

	(void)state;
	dl_iterate_phdr(find_moved, &moved);
	start = (uintptr_t)elf_frames_test_start - moved;
	end = (uintptr_t)elf_frames_test_end - moved;
	open_file(&e, "/proc/self/exe");
	for (uint64_t at = start; at < end; at++) {
		assert_true(elf_frames_find(&e, at, &f));
		assert_int_equal(f.start, start);
		assert_int_equal(f.end, end);
	}
	assert_false(elf_frames_find(&e, start - 1, &f));
	assert_false(elf_frames_find(&e, end, &f));
	assert_false(elf_frames_find(&e, (uintptr_t)elf_frames_test_before - moved, &f));
	assert_false(elf_frames_find(&e, 0, &f));
	assert_false(elf_frames_find(&e, UINT64_MAX, &f));
	os_close(e.source.fd);
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *path)
{
	(void)size;
	if (strstr(info->dlpi_name, "/libc.so") == NULL)
		return 0;
	strcpy(path, info->dlpi_name);
	return 1;
}

/* Frames follow each other: from the end of one, the next that is found starts there or later. */
static void the_frames_of_libc_are_apart(void **state)
{
	struct elf e;
	struct elf_frame f, same;
	char path[1024] = "";
	uint64_t end = 0;
	unsigned frames = 0;

	(void)state;
	dl_iterate_phdr(find_libc, path);
	open_file(&e, path);
	for (uint32_t i = 0; i < e.load_count; i++) {
		uint64_t at = e.load[i].address;

		while (e.load[i].code && at < e.load[i].address + e.load[i].bytes) {
			if (!elf_frames_find(&e, at, &f)) {
				at += 16;
				continue;
			}
			assert_true(f.start >= end && f.start <= at && f.end > at);
			assert_true(elf_frames_find(&e, f.start, &same));
			assert_memory_equal(&f, &same, sizeof(f));
			at = end = f.end;
			frames++;
		}
	}
	assert_true(frames > 1000);
	os_close(e.source.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_in_its_fde_and_in_no_other),
		cmocka_unit_test(the_frames_of_libc_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
