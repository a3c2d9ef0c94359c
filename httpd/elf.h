/* httpd/elf.h -- a reader of one ELF object: 64 bits, little-endian.
 *
 * Context   our thread.  Nothing is kept but struct elf; every call is bounded by a few
 *           milliseconds, so nothing here breathes.
 * Trust     none: every offset and size is checked against the size of the source, and against
 *           overflow.  A file that changes meanwhile gives wrong answers, never a bad read.
 * Source    the System V gABI, chapters 4 and 5.
 * Tests     test/unit/elf_test.c, test/fuzz/elf_fuzz.c
 * Words     an offset is a place in the source; an address is one of the object (p_vaddr). */
#ifndef HTTPD_ELF_H
#define HTTPD_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/limits.h"

#define ELF_LOADS_MAX    16             /* further ones are ignored: their addresses have no name */
#define ELF_SEGMENTS_MAX 64             /* the same */
#define ELF_ADDRESS_MAX  (UINT64_C(1) << 56)

/* A file (fd >= 0), or an image in the memory of this process, as the vDSO's. */
struct elf_source {
	int       fd;
	uintptr_t memory;
	uint64_t  bytes;
};

/* A PT_LOAD segment.  address + bytes and offset + bytes are <= ELF_ADDRESS_MAX. */
struct elf_load {
	uint64_t offset, address;
	uint64_t bytes;                 /* in the file */
	bool     code;
};

/* Part of the source, not checked: elf_read does. */
struct elf_part {
	uint64_t offset, address, bytes;
};

struct elf {
	struct elf_source source;
	uint64_t          sections;     /* offset of the section headers */
	uint32_t          section_count;
	uint32_t          load_count;
	struct elf_load   load[ELF_LOADS_MAX];
	struct elf_part   dynamic;      /* bytes 0: there is none */
	struct elf_part   frames;       /* .eh_frame_hdr; the same */
	uint8_t           build_id_len; /* 0: there is none */
	uint8_t           build_id[BUILD_ID_MAX];
};

/* 0, -ENOEXEC if it is not such an object, or -EIO. */
MUST_CHECK int elf_open(struct elf *e, const struct elf_source *source);

/* Exactly n bytes at an offset, or false. */
MUST_CHECK bool elf_read(const struct elf *e, void *to, size_t n, uint64_t offset);
/* True if these n bytes lie in the source. */
bool elf_has(const struct elf *e, uint64_t offset, uint64_t n);

/* A string of a table that lies in the source at [strings, strings + bytes).  Returns its length,
 * < capacity, cut there if need be; 0 if there is none.  buf ends in 0 in any case. */
size_t elf_string(const struct elf *e, uint64_t strings, uint64_t bytes, uint64_t at, char *buf,
		  size_t capacity);

/* The address of what is mapped executable from this offset, and the offset of an address. */
MUST_CHECK bool elf_address(const struct elf *e, uint64_t offset, uint64_t *address);
MUST_CHECK bool elf_offset(const struct elf *e, uint64_t address, uint64_t *offset);
/* End of the executable segment that holds an address; 0 if none does. */
uint64_t elf_code_end(const struct elf *e, uint64_t address);

#endif
