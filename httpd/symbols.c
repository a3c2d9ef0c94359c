#include "httpd/symbols.h"

#include <assert.h>
#include <elf.h>
#include <stdatomic.h>
#include <string.h>

#include "httpd/symbols_sort.h"
#include "sampler/os.h"

#define SYMBOLS_AT_ONCE 512     /* 12 KiB on the stack */
#define GROUPS_AT_ONCE  1024
#define READS_AT_ONCE   128
#define TIES_MAX        16      /* names compared of one address */
#define TIE_BYTES       256     /* of a name compared */

static_assert(sizeof(struct symbols_entry) == 16, "names.h promises 16 bytes a function");

enum phase { NONE, COUNT, COUNTED, FILL, SORT, SETTLE, READY };

void symbols_begin(struct symbols *s, const struct elf_table *table)
{
	symbols_free(s);
	s->table = *table;
	if (s->table.count > SYMBOLS_SCAN_MAX)
		s->table.count = SYMBOLS_SCAN_MAX;
	s->phase = s->table.count > 0 ? COUNT : NONE;
}

size_t symbols_bytes(const struct symbols *s)
{
	return ((size_t)s->capacity * sizeof(struct symbols_entry) + 4095) & ~(size_t)4095;
}

bool symbols_map(struct symbols *s)
{
	struct symbols_entry *p = s->phase == COUNTED ? os_map(symbols_bytes(s)) : NULL;

	s->phase = p != NULL ? FILL : NONE;
	s->at = 0;
	s->map_bytes = symbols_bytes(s);
	atomic_signal_fence(memory_order_seq_cst);
	s->entry = p;
	return p != NULL;
}

void symbols_free(struct symbols *s)
{
	struct symbols_entry *p = s->entry;
	size_t bytes = s->map_bytes;

	/* A child forked in between leaks the mapping; the other order would unmap it twice. */
	s->entry = NULL;
	atomic_signal_fence(memory_order_seq_cst);
	if (p != NULL)
		os_unmap(p, bytes);
	memset(s, 0, sizeof(*s));
}

/* --- counting and filling --- */

static bool wanted(const struct symbols *s, const struct elf *e, const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);

	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return false;
	if (sym->st_shndx == SHN_UNDEF ||
	    (sym->st_shndx >= SHN_LORESERVE && sym->st_shndx != SHN_XINDEX))
		return false;
	return sym->st_name > 0 && sym->st_name < s->table.strings_bytes &&
	       sym->st_value < ELF_ADDRESS_MAX && elf_code_end(e, sym->st_value) > 0;
}

static struct symbols_entry make_entry(const Elf64_Sym *sym)
{
	uint64_t flaws = 0;

	if (ELF64_ST_TYPE(sym->st_info) == STT_NOTYPE)
		flaws |= SYMBOLS_UNTYPED;
	if (ELF64_ST_BIND(sym->st_info) == STB_LOCAL)
		flaws |= SYMBOLS_LOCAL;
	if (ELF64_ST_BIND(sym->st_info) == STB_WEAK)
		flaws |= SYMBOLS_WEAK;
	if (sym->st_size == 0)
		flaws |= SYMBOLS_UNSIZED;
	return (struct symbols_entry){
		.key = sym->st_value << SYMBOLS_KEY_BITS | flaws,
		.size = sym->st_size < UINT32_MAX ? (uint32_t)sym->st_size : UINT32_MAX,
		.name = sym->st_name,
	};
}

static void scan(struct symbols *s, const struct elf *e)
{
	Elf64_Sym sym[SYMBOLS_AT_ONCE];
	uint64_t n = s->table.count - s->at;

	if (n > SYMBOLS_AT_ONCE)
		n = SYMBOLS_AT_ONCE;
	if (!elf_read(e, sym, n * sizeof(sym[0]), s->table.symbols + s->at * sizeof(sym[0]))) {
		s->phase = NONE;
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		if (!wanted(s, e, &sym[i]))
			continue;
		if (s->phase == COUNT)
			s->capacity++;
		else if (s->count < s->capacity)        /* the file may have changed */
			s->entry[s->count++] = make_entry(&sym[i]);
	}
	s->at += n;
	if (s->at < s->table.count)
		return;
	if (s->phase == COUNT)
		s->phase = s->capacity > 0 ? COUNTED : NONE;
	else
		s->phase = SORT;
	s->at = 0;
}

/* --- settling: one entry for each address --- */

struct tie {
	uint32_t at;            /* in entry */
	bool     weak;
	size_t   underscores, len;
	char     name[TIE_BYTES];
};

static void read_tie(const struct symbols *s, const struct elf *e, uint32_t at, struct tie *out)
{
	out->at = at;
	out->weak = (s->entry[at].key & SYMBOLS_WEAK) != 0;
	out->len = symbols_name(s, e, &s->entry[at], out->name, sizeof(out->name));
	out->underscores = out->len > 0 ? 0 : TIE_BYTES;        /* no name is the worst */
	while (out->len > 0 && out->name[out->underscores] == '_')
		out->underscores++;
}

static bool is_better(const struct tie *a, const struct tie *b)
{
	if (a->underscores != b->underscores)
		return a->underscores < b->underscores;
	if (a->weak != b->weak)
		return b->weak;
	if (a->len != b->len)
		return a->len < b->len;
	return strcmp(a->name, b->name) < 0;
}

/* The best of entry[from..to), all of one address and sorted.  Adds to *reads. */
static struct symbols_entry choose(const struct symbols *s, const struct elf *e, uint32_t from,
				   uint32_t to, uint32_t *reads)
{
	struct tie best, other;
	struct symbols_entry chosen = s->entry[from];

	if (to - from > 1 && (s->entry[from].key ^ s->entry[from + 1].key) <= SYMBOLS_WEAK) {
		read_tie(s, e, from, &best);
		for (uint32_t i = from + 1; i < to && i - from < TIES_MAX; i++) {
			if ((s->entry[from].key ^ s->entry[i].key) > SYMBOLS_WEAK)
				break;
			read_tie(s, e, i, &other);
			if (is_better(&other, &best))
				best = other;
		}
		chosen = s->entry[best.at];
		*reads += to - from;
	}
	/* A name without a size takes over that of another symbol there. */
	for (uint32_t i = from; i < to && chosen.size == 0; i++) {
		chosen.size = s->entry[i].size;
		if (chosen.size > 0)
			chosen.key &= ~(uint64_t)SYMBOLS_UNSIZED;
	}
	return chosen;
}

/* One that has no size reaches to the next symbol; inside of a function it is a mere label. */
static bool guess_size(const struct symbols *s, const struct elf *e, uint32_t next,
		       struct symbols_entry *entry)
{
	uint64_t start = symbols_address(entry), end = elf_code_end(e, start);

	if (start < s->reach)
		return false;
	if (next < s->count && symbols_address(&s->entry[next]) < end)
		end = symbols_address(&s->entry[next]);
	entry->size = end - start < UINT32_MAX ? (uint32_t)(end - start) : UINT32_MAX;
	return true;
}

static void settle(struct symbols *s, const struct elf *e)
{
	uint32_t reads = 0, from = (uint32_t)s->at, to = from;

	for (uint32_t i = 0; i < GROUPS_AT_ONCE && reads < READS_AT_ONCE && from < s->count; i++) {
		uint64_t address = symbols_address(&s->entry[from]);
		struct symbols_entry entry;

		while (to < s->count && symbols_address(&s->entry[to]) == address)
			to++;
		entry = choose(s, e, from, to, &reads);
		if (entry.size > 0 || guess_size(s, e, to, &entry))
			s->entry[s->kept++] = entry;
		if ((entry.key & SYMBOLS_UNSIZED) == 0 && address + entry.size > s->reach)
			s->reach = address + entry.size;
		from = to;
	}
	s->at = from;
	if (from == s->count) {
		s->count = s->kept;
		s->phase = s->count > 0 ? READY : NONE;
	}
}

enum symbols_state symbols_step(struct symbols *s, const struct elf *e)
{
	switch ((enum phase)s->phase) {
	case COUNT:
	case FILL:
		scan(s, e);
		break;
	case SORT:
		if (symbols_sort_step(s->entry, s->count, &s->at))
			break;
		s->phase = SETTLE;
		s->at = 0;
		break;
	case SETTLE:
		settle(s, e);
		break;
	case COUNTED:
	case READY:
	case NONE:
		break;
	}
	if (s->phase == COUNTED)
		return SYMBOLS_COUNTED;
	if (s->phase == NONE)
		return SYMBOLS_NONE;
	return s->phase == READY ? SYMBOLS_READY : SYMBOLS_MORE;
}

/* --- looking up --- */

const struct symbols_entry *symbols_find(const struct symbols *s, uint64_t address)
{
	uint32_t lo = 0, hi = s->phase == READY ? s->count : 0;

	if (address >= ELF_ADDRESS_MAX)
		return NULL;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (symbols_address(&s->entry[mid]) <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (uint32_t i = 0; i < SYMBOLS_NESTED_MAX && i < lo; i++) {
		const struct symbols_entry *entry = &s->entry[lo - 1 - i];

		if (address - symbols_address(entry) < entry->size)
			return entry;
	}
	return NULL;
}

size_t symbols_name(const struct symbols *s, const struct elf *e, const struct symbols_entry *entry,
		    char *buf, size_t capacity)
{
	size_t len = elf_string(e, s->table.strings, s->table.strings_bytes, entry->name, buf,
				capacity);
	char *at = len > 1 ? strchr(buf + 1, '@') : NULL;

	if (at != NULL) {
		*at = '\0';
		len = (size_t)(at - buf);
	}
	return len;
}
