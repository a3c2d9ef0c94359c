#include "httpd/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "sampler/buildid.h"
#include "sampler/os.h"

#define PAGE        4096u
#define NOTES_BYTES 4096        /* of one PT_NOTE: some hundred bytes in practice */
#define STRING_HEAD 256         /* most names fit: one short read */

bool elf_has(const struct elf *e, uint64_t offset, uint64_t n)
{
	return offset <= e->source.bytes && n <= e->source.bytes - offset;
}

bool elf_read(const struct elf *e, void *to, size_t n, uint64_t offset)
{
	if (!elf_has(e, offset, n))
		return false;
	if (e->source.fd >= 0)
		return os_pread(e->source.fd, to, n, offset) == (long)n;
	return os_peek(to, e->source.memory + offset, n) == (long)n;
}

size_t elf_string(const struct elf *e, uint64_t strings, uint64_t bytes, uint64_t at, char *buf,
		  size_t capacity)
{
	size_t n = STRING_HEAD, len;

	buf[0] = '\0';
	if (at >= bytes || !elf_has(e, strings, bytes))
		return 0;
	for (;;) {
		if (n > capacity - 1)
			n = capacity - 1;
		if (n > bytes - at)
			n = bytes - at;
		if (!elf_read(e, buf, n, strings + at)) {
			buf[0] = '\0';
			return 0;
		}
		len = strnlen(buf, n);
		if (len < n || n == capacity - 1 || n == bytes - at)
			break;
		n = capacity;
	}
	buf[len] = '\0';
	return len;
}

/* --- segments --- */

static void add_load(struct elf *e, const Elf64_Phdr *p)
{
	if (e->load_count == ELF_LOADS_MAX || p->p_vaddr >= ELF_ADDRESS_MAX ||
	    p->p_offset >= ELF_ADDRESS_MAX || p->p_filesz >= ELF_ADDRESS_MAX - p->p_vaddr ||
	    p->p_filesz >= ELF_ADDRESS_MAX - p->p_offset)
		return;
	e->load[e->load_count++] = (struct elf_load){
		.offset = p->p_offset,
		.address = p->p_vaddr,
		.bytes = p->p_filesz,
		.code = (p->p_flags & PF_X) != 0,
	};
}

static void find_build_id(struct elf *e, const Elf64_Phdr *p)
{
	uint8_t notes[NOTES_BYTES];
	size_t n = p->p_filesz < sizeof(notes) ? p->p_filesz : sizeof(notes);

	if (e->build_id_len == 0 && elf_read(e, notes, n, p->p_offset))
		e->build_id_len = (uint8_t)buildid_parse(notes, n, e->build_id);
}

static void add_segment(struct elf *e, const Elf64_Phdr *p)
{
	struct elf_part part = { p->p_offset, p->p_vaddr, p->p_filesz };

	switch (p->p_type) {
	case PT_LOAD:
		add_load(e, p);
		break;
	case PT_DYNAMIC:
		e->dynamic = part;
		break;
	case PT_GNU_EH_FRAME:
		e->frames = part;
		break;
	case PT_NOTE:
		find_build_id(e, p);
		break;
	}
}

static int read_segments(struct elf *e, const Elf64_Ehdr *h)
{
	Elf64_Phdr p[ELF_SEGMENTS_MAX];
	size_t n = h->e_phnum < ELF_SEGMENTS_MAX ? h->e_phnum : ELF_SEGMENTS_MAX;

	if (n == 0 || h->e_phentsize != sizeof(p[0]))
		return -ENOEXEC;
	if (!elf_read(e, p, n * sizeof(p[0]), h->e_phoff))
		return -EIO;
	for (size_t i = 0; i < n; i++)
		add_segment(e, &p[i]);
	return e->load_count > 0 ? 0 : -ENOEXEC;
}

int elf_open(struct elf *e, const struct elf_source *source)
{
	static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT };
	Elf64_Ehdr h;

	memset(e, 0, sizeof(*e));
	e->source = *source;
	if (!elf_has(e, 0, sizeof(h)))
		return -ENOEXEC;
	if (!elf_read(e, &h, sizeof(h), 0))
		return -EIO;
	if (memcmp(h.e_ident, ident, sizeof(ident)) != 0 ||
	    (h.e_type != ET_EXEC && h.e_type != ET_DYN))
		return -ENOEXEC;
	/* Stripped of its sections is fine, and more than e_shnum can say is nobody's. */
	if (h.e_shentsize == sizeof(Elf64_Shdr) &&
	    elf_has(e, h.e_shoff, h.e_shnum * sizeof(Elf64_Shdr))) {
		e->sections = h.e_shoff;
		e->section_count = h.e_shnum;
	}
	return read_segments(e, &h);
}

/* --- addresses --- */

bool elf_address(const struct elf *e, uint64_t offset, uint64_t *address)
{
	for (uint32_t i = 0; i < e->load_count; i++) {
		const struct elf_load *l = &e->load[i];
		/* A mapping starts with the page that the segment starts in. */
		uint64_t before = l->offset % PAGE;

		if (before > l->address)
			before = l->address;
		if (!l->code || offset < l->offset - before || offset >= l->offset + l->bytes)
			continue;
		*address = l->address - before + (offset - (l->offset - before));
		return true;
	}
	return false;
}

bool elf_offset(const struct elf *e, uint64_t address, uint64_t *offset)
{
	for (uint32_t i = 0; i < e->load_count; i++) {
		const struct elf_load *l = &e->load[i];

		if (address < l->address || address - l->address >= l->bytes)
			continue;
		*offset = address - l->address + l->offset;
		return true;
	}
	return false;
}

uint64_t elf_code_end(const struct elf *e, uint64_t address)
{
	for (uint32_t i = 0; i < e->load_count; i++) {
		const struct elf_load *l = &e->load[i];

		if (l->code && address >= l->address && address - l->address < l->bytes)
			return l->address + l->bytes;
	}
	return 0;
}
