/* httpd/elf_tables.h -- where the symbol tables of an object are. */
#ifndef HTTPD_ELF_TABLES_H
#define HTTPD_ELF_TABLES_H

#include "httpd/elf.h"

/* Symbols (Elf64_Sym) and their strings, both inside of the source.  count 0: no such table. */
struct elf_table {
	uint64_t symbols;               /* offset */
	uint64_t count;
	uint64_t strings, strings_bytes;
};

struct elf_tables {
	struct elf_table full;          /* .symtab */
	struct elf_table dynamic;       /* .dynsym, also without section headers */
};

void elf_tables_find(const struct elf *e, struct elf_tables *out);

#endif
