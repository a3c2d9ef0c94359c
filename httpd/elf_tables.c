/* Section headers say it best.  Without them, PT_DYNAMIC says where .dynsym is, but only its hash
 * table says how long it is: DT_HASH in so many words, DT_GNU_HASH by the end of its last chain. */
#include "httpd/elf_tables.h"

#include <elf.h>
#include <string.h>

#define SECTIONS_AT_ONCE 32
#define TAGS_AT_ONCE     32
#define TAGS_MAX         1024           /* entries of PT_DYNAMIC looked at; some 30 in practice */
#define WORDS_AT_ONCE    1024
#define HASH_WORDS_MAX   (1u << 20)     /* of a DT_GNU_HASH: its buckets, and its last chain */

/* --- by section headers --- */

static bool read_section(const struct elf *e, uint32_t i, Elf64_Shdr *out)
{
	return i < e->section_count &&
	       elf_read(e, out, sizeof(*out), e->sections + i * sizeof(*out));
}

static void take_section(const struct elf *e, const Elf64_Shdr *symbols, struct elf_table *out)
{
	Elf64_Shdr strings;

	if (out->count > 0 || symbols->sh_entsize != sizeof(Elf64_Sym) ||
	    !elf_has(e, symbols->sh_offset, symbols->sh_size) ||
	    !read_section(e, symbols->sh_link, &strings) || strings.sh_type != SHT_STRTAB ||
	    !elf_has(e, strings.sh_offset, strings.sh_size))
		return;
	*out = (struct elf_table){
		.symbols = symbols->sh_offset,
		.count = symbols->sh_size / sizeof(Elf64_Sym),
		.strings = strings.sh_offset,
		.strings_bytes = strings.sh_size,
	};
}

static void find_sections(const struct elf *e, struct elf_tables *out)
{
	Elf64_Shdr s[SECTIONS_AT_ONCE];
	uint32_t n;

	for (uint32_t i = 0; i < e->section_count; i += n) {
		n = e->section_count - i < SECTIONS_AT_ONCE ? e->section_count - i
							    : SECTIONS_AT_ONCE;
		if (!elf_read(e, s, n * sizeof(s[0]), e->sections + i * sizeof(s[0])))
			return;
		for (uint32_t k = 0; k < n; k++) {
			if (s[k].sh_type == SHT_SYMTAB)
				take_section(e, &s[k], &out->full);
			else if (s[k].sh_type == SHT_DYNSYM)
				take_section(e, &s[k], &out->dynamic);
		}
	}
}

/* --- by PT_DYNAMIC --- */

/* Offsets in the source; 0 is not given. */
struct tags {
	uint64_t symbols, strings, strings_bytes, hash, gnu_hash;
};

static bool take_tag(const struct elf *e, const Elf64_Dyn *d, struct tags *t)
{
	uint64_t offset;

	if (d->d_tag == DT_NULL)
		return false;
	if (d->d_tag == DT_STRSZ)
		t->strings_bytes = d->d_un.d_val;
	if (!elf_offset(e, d->d_un.d_ptr, &offset))
		return true;
	if (d->d_tag == DT_SYMTAB)
		t->symbols = offset;
	else if (d->d_tag == DT_STRTAB)
		t->strings = offset;
	else if (d->d_tag == DT_HASH)
		t->hash = offset;
	else if (d->d_tag == DT_GNU_HASH)
		t->gnu_hash = offset;
	return true;
}

static void read_tags(const struct elf *e, struct tags *t)
{
	Elf64_Dyn d[TAGS_AT_ONCE];
	uint64_t total = e->dynamic.bytes / sizeof(d[0]);
	uint64_t n;

	if (total > TAGS_MAX)
		total = TAGS_MAX;
	for (uint64_t i = 0; i < total; i += n) {
		n = total - i < TAGS_AT_ONCE ? total - i : TAGS_AT_ONCE;
		if (!elf_read(e, d, n * sizeof(d[0]), e->dynamic.offset + i * sizeof(d[0])))
			return;
		for (uint64_t k = 0; k < n; k++)
			if (!take_tag(e, &d[k], t))
				return;
	}
}

/* The greatest of so many words, in *out. */
static bool greatest_word(const struct elf *e, uint64_t offset, uint32_t count, uint32_t *out)
{
	uint32_t w[WORDS_AT_ONCE];
	uint32_t n;

	*out = 0;
	for (uint32_t i = 0; i < count; i += n) {
		n = count - i < WORDS_AT_ONCE ? count - i : WORDS_AT_ONCE;
		if (!elf_read(e, w, n * sizeof(w[0]), offset + i * sizeof(w[0])))
			return false;
		for (uint32_t k = 0; k < n; k++)
			*out = w[k] > *out ? w[k] : *out;
	}
	return true;
}

/* Symbols that a DT_GNU_HASH knows of.  Its last chain starts at the greatest symbol of any bucket
 * and ends at a word with bit 0 set. */
static uint64_t count_gnu_hash(const struct elf *e, uint64_t offset)
{
	struct { uint32_t buckets, first, bloom, shift; } h;
	uint32_t last, word = 0;
	uint64_t chains;

	if (!elf_read(e, &h, sizeof(h), offset) || h.buckets > HASH_WORDS_MAX)
		return 0;
	offset += sizeof(h) + h.bloom * UINT64_C(8);
	chains = offset + h.buckets * UINT64_C(4);
	if (!greatest_word(e, offset, h.buckets, &last))
		return 0;
	if (last < h.first)
		return h.first;
	for (uint32_t i = 0; (word & 1) == 0; i++, last++)
		if (i == HASH_WORDS_MAX || last == UINT32_MAX ||
		    !elf_read(e, &word, sizeof(word), chains + (last - h.first) * UINT64_C(4)))
			return 0;
	return last;
}

static void find_dynamic(const struct elf *e, struct elf_table *out)
{
	struct tags t = { 0 };
	uint32_t hash[2];               /* nbucket, nchain */
	uint64_t count = 0;

	read_tags(e, &t);
	if (t.symbols == 0 || t.strings == 0 || !elf_has(e, t.strings, t.strings_bytes))
		return;
	if (t.hash != 0 && elf_read(e, hash, sizeof(hash), t.hash))
		count = hash[1];
	else if (t.gnu_hash != 0)
		count = count_gnu_hash(e, t.gnu_hash);
	if (!elf_has(e, t.symbols, count * sizeof(Elf64_Sym)))
		return;
	*out = (struct elf_table){ t.symbols, count, t.strings, t.strings_bytes };
}

void elf_tables_find(const struct elf *e, struct elf_tables *out)
{
	memset(out, 0, sizeof(*out));
	find_sections(e, out);
	if (out->dynamic.count == 0)
		find_dynamic(e, &out->dynamic);
}
