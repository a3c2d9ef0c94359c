/* test/fake/made_program.h -- a program and a library in the made ground: small ELF files of their
 * own, with functions of 16 bytes whose names are known. */
#ifndef TEST_FAKE_MADE_PROGRAM_H
#define TEST_FAKE_MADE_PROGRAM_H

#include "fake/made_ground.h"
#include "fake/made_module.h"
#include "httpd/names.h"
#include "sampler/compiler.h"

#define PROGRAM_START UINT64_C(0x555500000000)
#define LIBRARY_START UINT64_C(0x7f0000000000)
#define GONE_START    UINT64_C(0x7e0000000000)

/* Functions of the program, in this order. */
enum { PROGRAM_MAIN, PROGRAM_WORK, PROGRAM_BOX };
/* Of the library: an allocator, and who calls it. */
enum { LIBRARY_MALLOC, LIBRARY_NEW, LIBRARY_CALLOC, LIBRARY_STRDUP };

static const char *const program_names[] = { "main", "work", "_ZN2ns3BoxILi3EE3addEi" };
static const char *const library_names[] = { "malloc", "_Znwm", "calloc", "strdup" };

static char program_path[] = "/tmp/made_program.XXXXXX";
static char library_path[] = "/tmp/made_library.XXXXXX";

/* Inside function i. */
static inline frame_t program_frame(unsigned i) { return PROGRAM_START + 16 * i + 5; }
static inline frame_t library_frame(unsigned i) { return LIBRARY_START + 16 * i + 5; }

static inline struct module make_object(const char *const *names, size_t count, char *path,
					uint64_t start)
{
	struct made_symbol symbol[8];
	struct made_elf how = { .full = symbol, .full_count = count, .code_bytes = 4096 };
	struct module m;
	int fd;

	for (size_t i = 0; i < count; i++)
		symbol[i] = (struct made_symbol){ names[i], 16 * i, 16, STT_FUNC, STB_GLOBAL, 0 };
	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || close(fd) != 0 || !made_module(&how, path, start, &m))
		abort();
	return m;
}

/* The library stands first, the program behind it; then an object that has gone, without a file. */
static inline void make_program(void)
{
	made_forget();
	made.module[0] = make_object(library_names, COUNT_OF(library_names), library_path,
				     LIBRARY_START);
	made.module[1] = make_object(program_names, COUNT_OF(program_names), program_path,
				     PROGRAM_START);
	made.module[1].main = true;
	made.module[2] = (struct module){
		.start = GONE_START, .limit = GONE_START + 4096, .offset = 0x2000,
		.born = 1, .last = 3, .build_id_len = 3, .build_id = { 0x0a, 0xbc, 0xff },
		.path = "/gone/libgone.so.1",
	};
	made.modules = 3;
	made.rates = (struct ground_rates){ .cpu_hz = 100, .heap_rate = 512 << 10,
					       .block_rate = 10000, .mutex_fraction = 1 };
}

static inline void drop_program(void)
{
	names_reset();
	unlink(program_path);
	unlink(library_path);
}

#endif
