/* httpd/elf_frames.h -- from where to where the function at an address reaches, by the search table
 * of .eh_frame_hdr.  Nearly every object has one, stripped or not.
 *
 * Cost      some ten short reads.
 * Source    LSB Core 10.6.2 (.eh_frame_hdr), DWARF 5 section 6.4.1.
 * Tests     test/unit/elf_frames_test.c, test/fuzz/elf_fuzz.c */
#ifndef HTTPD_ELF_FRAMES_H
#define HTTPD_ELF_FRAMES_H

#include "httpd/elf.h"

struct elf_frame {
	uint64_t start, end;            /* addresses: start <= address < end */
};

/* False: no FDE covers the address, or the tables make no sense. */
MUST_CHECK bool elf_frames_find(const struct elf *e, uint64_t address, struct elf_frame *out);

#endif
