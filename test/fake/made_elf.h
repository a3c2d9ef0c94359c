/* test/fake/made_elf.h -- small ELF objects made to order, for the tests of those who read them.
 *
 * The file is one PT_LOAD from MADE_BASE on: headers, a build id, and code from MADE_CODE on (of
 * which there is none: zeroes).  Behind it, not mapped: symbol tables, strings, section headers. */
#ifndef TEST_FAKE_MADE_ELF_H
#define TEST_FAKE_MADE_ELF_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MADE_BASE        UINT64_C(0x10000)
#define MADE_CODE_OFFSET UINT64_C(0x1000)
#define MADE_CODE        (MADE_BASE + MADE_CODE_OFFSET)
#define MADE_NOTE_OFFSET UINT64_C(0x200)
#define MADE_UNDEFINED   0xfeff

struct made_symbol {
	const char *name;
	uint64_t    at, size;           /* at: from MADE_CODE on */
	uint8_t     type, bind;         /* STT_, STB_ */
	uint16_t    section;            /* 0: an ordinary one; MADE_UNDEFINED */
};

struct made_elf {
	const struct made_symbol *full, *dynamic;       /* .symtab, .dynsym */
	size_t      full_count, dynamic_count;
	const char *build_id;           /* 20 bytes; NULL: none */
	uint64_t    code_bytes;
};

static inline size_t made_strings(const struct made_symbol *s, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += strlen(s[i].name) + 1;
	return bytes;
}

static inline void made_table(const struct made_symbol *s, size_t count, Elf64_Sym *to,
			      char *strings, size_t *used)
{
	for (size_t i = 0; i < count; i++) {
		to[i] = (Elf64_Sym){
			.st_name = (Elf64_Word)*used,
			.st_value = MADE_CODE + s[i].at,
			.st_size = s[i].size,
			.st_info = ELF64_ST_INFO(s[i].bind, s[i].type),
			.st_shndx = s[i].section > 0 ? s[i].section : 1,
		};
		if (s[i].section == MADE_UNDEFINED)
			to[i].st_shndx = SHN_UNDEF;
		strcpy(strings + *used, s[i].name);
		*used += strlen(s[i].name) + 1;
	}
}

static inline void made_headers(const struct made_elf *how, uint8_t *file, uint64_t sections)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)file;
	Elf64_Phdr *p = (Elf64_Phdr *)(file + sizeof(*h));
	Elf64_Nhdr note = { 4, 20, NT_GNU_BUILD_ID };

	memcpy(h->e_ident, "\177ELF\2\1\1", 7);
	h->e_type = ET_DYN;
	h->e_machine = EM_X86_64;
	h->e_version = EV_CURRENT;
	h->e_ehsize = sizeof(*h);
	h->e_phoff = sizeof(*h);
	h->e_phentsize = sizeof(*p);
	h->e_phnum = how->build_id != NULL ? 2 : 1;
	h->e_shoff = sections;
	h->e_shentsize = sizeof(Elf64_Shdr);
	h->e_shnum = 4;
	p[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = MADE_BASE };
	p[0].p_filesz = p[0].p_memsz = MADE_CODE_OFFSET + how->code_bytes;
	if (how->build_id == NULL)
		return;
	p[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = MADE_NOTE_OFFSET, .p_filesz = 36 };
	memcpy(file + MADE_NOTE_OFFSET, &note, sizeof(note));
	memcpy(file + MADE_NOTE_OFFSET + sizeof(note), "GNU", 4);
	memcpy(file + MADE_NOTE_OFFSET + sizeof(note) + 4, how->build_id, 20);
}

/* Makes it in fresh memory, to be freed.  Returns its length. */
static inline size_t made_elf(const struct made_elf *how, uint8_t **out)
{
	uint64_t full = MADE_CODE_OFFSET + ((how->code_bytes + 15) & ~UINT64_C(15));
	uint64_t dynamic = full + how->full_count * sizeof(Elf64_Sym);
	uint64_t strings = dynamic + how->dynamic_count * sizeof(Elf64_Sym);
	size_t strings_bytes = 1 + made_strings(how->full, how->full_count) +
			       made_strings(how->dynamic, how->dynamic_count);
	uint64_t sections = (strings + strings_bytes + 15) & ~UINT64_C(15);
	size_t bytes = sections + 4 * sizeof(Elf64_Shdr), used = 1;
	uint8_t *file = calloc(1, bytes);
	Elf64_Shdr *s = (Elf64_Shdr *)(file + sections);

	made_headers(how, file, sections);
	made_table(how->full, how->full_count, (Elf64_Sym *)(file + full), (char *)file + strings,
		   &used);
	made_table(how->dynamic, how->dynamic_count, (Elf64_Sym *)(file + dynamic),
		   (char *)file + strings, &used);
	s[1] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = full, .sh_size = dynamic - full };
	s[2] = (Elf64_Shdr){ .sh_type = SHT_DYNSYM, .sh_offset = dynamic };
	s[2].sh_size = strings - dynamic;
	s[3] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = strings };
	s[3].sh_size = strings_bytes;
	s[1].sh_link = s[2].sh_link = 3;
	s[1].sh_entsize = s[2].sh_entsize = sizeof(Elf64_Sym);
	*out = file;
	return bytes;
}

#endif
