#include "preload/scope.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sampler/compiler.h"
#include "sampler/sys.h"

#define PAGE 4096u

struct tables {
	Elf64_Sym *symbols;
	const char *strings;
	const uint32_t *gnu, *sysv; /* hash tables, NULL: it has none */
	const uint16_t *versions;
};

/* In the program's and the libraries' dynamic sections the loader has made addresses of offsets,
 * not in the vDSO's, which it cannot write. */
static void *at(const struct link_map *m, const Elf64_Dyn *d)
{
	return (void *)(d->d_un.d_ptr < m->l_addr ? d->d_un.d_ptr + m->l_addr : d->d_un.d_ptr);
}

static struct tables read_tables(const struct link_map *m)
{
	struct tables t = { 0 };

	for (const Elf64_Dyn *d = m->l_ld; d != NULL && d->d_tag != DT_NULL; d++)
		switch (d->d_tag) {
		case DT_SYMTAB: t.symbols = at(m, d); break;
		case DT_STRTAB: t.strings = at(m, d); break;
		case DT_GNU_HASH: t.gnu = at(m, d); break;
		case DT_HASH: t.sysv = at(m, d); break;
		case DT_VERSYM: t.versions = at(m, d); break;
		}
	return t;
}

/* Defined for others, in its default version. */
static bool is_found(const struct tables *t, uint32_t i, const char *name)
{
	const Elf64_Sym *s = &t->symbols[i];

	return s->st_shndx != SHN_UNDEF && ELF64_ST_BIND(s->st_info) != STB_LOCAL &&
	       (t->versions == NULL || (t->versions[i] & 0x8000) == 0) &&
	       strcmp(t->strings + s->st_name, name) == 0;
}

static Elf64_Sym *find_by_gnu_hash(const struct tables *t, const char *name)
{
	uint32_t buckets = t->gnu[0], first = t->gnu[1], words = t->gnu[2], shift = t->gnu[3];
	const uint64_t *bloom = (const void *)(t->gnu + 4);
	const uint32_t *bucket = (const void *)(bloom + words), *chain = bucket + buckets;
	uint32_t hash = 5381, i;
	uint64_t word;

	if (buckets == 0 || words == 0)
		return NULL;
	for (const char *c = name; *c != '\0'; c++)
		hash = hash * 33 + (unsigned char)*c;
	word = bloom[hash / 64 % words];
	if ((word >> (hash % 64) & word >> ((hash >> shift) % 64) & 1) == 0)
		return NULL;
	for (i = bucket[hash % buckets]; i >= first; i++) {
		if ((chain[i - first] | 1) == (hash | 1) && is_found(t, i, name))
			return &t->symbols[i];
		if (chain[i - first] & 1)
			break;
	}
	return NULL;
}

static Elf64_Sym *find_by_sysv_hash(const struct tables *t, const char *name)
{
	uint32_t buckets = t->sysv[0], hash = 0, i;
	const uint32_t *bucket = t->sysv + 2, *chain = bucket + buckets;

	for (const char *c = name; *c != '\0'; c++) {
		hash = (hash << 4) + (unsigned char)*c;
		hash = (hash ^ (hash >> 28) << 4) & 0x0fffffff;
	}
	for (i = buckets != 0 ? bucket[hash % buckets] : 0; i != 0; i = chain[i])
		if (is_found(t, i, name))
			return &t->symbols[i];
	return NULL;
}

static Elf64_Sym *find_in(const struct link_map *m, const char *name)
{
	struct tables t = read_tables(m);

	if (t.symbols == NULL || t.strings == NULL)
		return NULL;
	return t.gnu != NULL	? find_by_gnu_hash(&t, name)
	       : t.sysv != NULL ? find_by_sysv_hash(&t, name)
				: NULL;
}

/* --- the list of objects --------------------------------------------------------------------- */

static struct link_map *ours(void)
{
	static struct link_map *m;
	Dl_info info;

	if (m == NULL && dladdr1((void *)ours, &info, (void **)&m, RTLD_DL_LINKMAP) == 0)
		m = NULL;
	return m;
}

static struct link_map *program(void)
{
	struct link_map *m = ours();

	while (m != NULL && m->l_prev != NULL)
		m = m->l_prev;
	return m;
}

void *scope_find(const char *name)
{
	struct link_map *self = ours();

	for (struct link_map *m = program(); m != NULL; m = m->l_next) {
		Elf64_Sym *s = m != self ? find_in(m, name) : NULL;

		if (s != NULL)
			return (void *)(m->l_addr + s->st_value);
	}
	return NULL;
}

bool scope_has_next(const char *name)
{
	struct link_map *m = ours();

	for (m = m != NULL ? m->l_next : NULL; m != NULL; m = m->l_next)
		if (find_in(m, name) != NULL)
			return true;
	return false;
}

bool scope_program_has(const char *name)
{
	struct link_map *m = program();

	return m != NULL && find_in(m, name) != NULL;
}

bool scope_is_shadowed(const char *name)
{
	struct link_map *self = ours();

	for (struct link_map *m = program(); m != NULL && m != self; m = m->l_next)
		if (find_in(m, name) != NULL)
			return true;
	return false;
}

/* --- our own table --------------------------------------------------------------------------- */

static int protection_at(const struct link_map *m, uintptr_t address)
{
	const Elf64_Ehdr *head = (const void *)m->l_addr;
	const Elf64_Phdr *ph = (const void *)(m->l_addr + head->e_phoff);

	for (unsigned i = 0; i < head->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && address - m->l_addr - ph[i].p_vaddr < ph[i].p_memsz)
			return (ph[i].p_flags & PF_R ? PROT_READ : 0) |
			       (ph[i].p_flags & PF_W ? PROT_WRITE : 0) |
			       (ph[i].p_flags & PF_X ? PROT_EXEC : 0);
	return PROT_NONE;
}

bool scope_hide(const char *const *names, unsigned count)
{
	struct link_map *m = ours();
	Elf64_Sym *s;
	uintptr_t lo = UINTPTR_MAX, hi = 0;

	for (unsigned i = 0; m != NULL && i < count; i++) {
		s = find_in(m, names[i]);
		if (s != NULL && (uintptr_t)s < lo)
			lo = (uintptr_t)s & ~(uintptr_t)(PAGE - 1);
		if (s != NULL && (uintptr_t)(s + 1) > hi)
			hi = (uintptr_t)(s + 1);
	}
	if (lo >= hi)
		return true;
	if (protection_at(m, lo) != PROT_READ || protection_at(m, hi - 1) != PROT_READ ||
	    sys_call3(SYS_mprotect, lo, hi - lo, PROT_READ | PROT_WRITE) < 0)
		return false;
	for (unsigned i = 0; i < count; i++) {
		s = find_in(m, names[i]);
		if (s != NULL)
			/* One byte: who reads the table now finds the symbol as it was, or not. */
			__atomic_store_n(&s->st_info,
					 ELF64_ST_INFO(STB_LOCAL, ELF64_ST_TYPE(s->st_info)),
					 __ATOMIC_RELAXED);
	}
	sys_call3(SYS_mprotect, lo, hi - lo, PROT_READ);
	return true;
}
