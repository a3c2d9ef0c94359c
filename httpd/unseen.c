/* The strings first, a piece at a time: nearly always no name is among them, and that was all.
 * Then the symbols, for one that has such a name and is defined. */
#include "httpd/unseen.h"

#include <elf.h>
#include <string.h>

#include "httpd/elf_tables.h"
#include "httpd/job.h"
#include "httpd/names_file.h"
#include "sampler/compiler.h"

#define STRINGS_AT_ONCE (16u << 10)
#define SYMBOLS_AT_ONCE 512
#define HITS_MAX        32      /* a name, and the ends of others: "malloc" of "xmalloc" */
#define NAME_MAX_BYTES  32

#define MALLOC 0

static const struct unseen known[] = {
	[MALLOC] = { "malloc", "the program has an allocator linked into it" },
	{ "_rjem_malloc", "jemalloc under another name, as Rust programs have it" },
	{ "je_malloc", "jemalloc under another name" },
	{ "mi_malloc", "mimalloc under another name" },
	{ "tc_malloc", "tcmalloc under another name" },
	{ "TCMallocInternalMalloc", "tcmalloc under another name" },
	{ "sn_rust_alloc", "snmalloc under another name, as Rust programs have it" },
	{ "rpmalloc", "rpmalloc, under its own name" },
	{ "runtime.mallocgc", "Go's own heap; net/http/pprof shows it" },
};

enum phase { OPEN, STRINGS, SYMBOLS, DONE };

struct hit { uint32_t name, which; };

static struct {
	uint32_t          looked;       /* objects that are done */
	uint32_t          found;        /* a bit for each of known[] */
	enum phase        phase;
	struct elf        elf;          /* of the object number `looked` */
	struct names_file file;
	struct elf_table  table;
	uint64_t          at;           /* where the phase is */
	struct hit        hit[HITS_MAX];
	unsigned          hits;
	uint32_t          defined;      /* of this object, as `found` */
} look;

const struct unseen *unseen_at(size_t i)
{
	for (size_t n = 0; n < COUNT_OF(known); n++)
		if ((look.found >> n & 1) != 0 && i-- == 0)
			return &known[n];
	return NULL;
}

/* --- the strings ----------------------------------------------------------------------------- */

static void add_hits(const char *end, size_t room, uint64_t offset)
{
	for (uint32_t i = 0; i < COUNT_OF(known); i++) {
		size_t n = strlen(known[i].symbol);

		if (n <= room && look.hits < HITS_MAX &&
		    memcmp(end - n, known[i].symbol, n) == 0)
			look.hit[look.hits++] = (struct hit){ (uint32_t)(offset - n), i };
	}
}

/* Pieces overlap by the longest name. */
static void read_strings(void)
{
	char bytes[STRINGS_AT_ONCE];
	uint64_t back = look.at < NAME_MAX_BYTES ? look.at : NAME_MAX_BYTES;
	uint64_t from = look.at - back, n = look.table.strings_bytes - from;
	const char *at = bytes + back;

	if (n > sizeof(bytes))
		n = sizeof(bytes);
	if (!elf_read(&look.elf, bytes, n, look.table.strings + from))
		n = 0;
	while (at < bytes + n && (at = memchr(at, '\0', (size_t)(bytes + n - at))) != NULL) {
		add_hits(at, (size_t)(at - bytes), from + (uint64_t)(at - bytes));
		at++;
	}
	look.at = from + n;
	if (n > back && look.at < look.table.strings_bytes)
		return;
	look.phase = look.hits > 0 ? SYMBOLS : DONE;
	look.at = 0;
}

/* --- the symbols ----------------------------------------------------------------------------- */

static void take_symbol(const Elf64_Sym *s)
{
	unsigned type = ELF64_ST_TYPE(s->st_info);

	if (s->st_shndx == SHN_UNDEF ||
	    (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE))
		return;
	for (unsigned i = 0; i < look.hits; i++)
		if (look.hit[i].name == s->st_name)
			look.defined |= 1u << look.hit[i].which;
}

static void read_symbols(void)
{
	Elf64_Sym symbol[SYMBOLS_AT_ONCE];
	uint64_t n = look.table.count - look.at;

	if (n > SYMBOLS_AT_ONCE)
		n = SYMBOLS_AT_ONCE;
	if (!elf_read(&look.elf, symbol, n * sizeof(symbol[0]),
		      look.table.symbols + look.at * sizeof(symbol[0])))
		n = 0;
	for (uint64_t i = 0; i < n; i++)
		take_symbol(&symbol[i]);
	look.at += n;
	if (n == 0 || look.at == look.table.count)
		look.phase = DONE;
}

/* --- the objects ----------------------------------------------------------------------------- */

static bool is_seen_before(const struct ground *ground, const struct module *m)
{
	for (uint32_t i = 0; i < look.looked; i++) {
		const struct module *before = ground->module(i);

		if (before->inode == m->inode && before->dev == m->dev)
			return true;
	}
	return false;
}

/* DONE: there is nothing to read. */
static enum phase open_object(const struct ground *ground, const struct module *m)
{
	struct elf_tables tables;

	look.at = look.hits = look.defined = 0;
	look.elf.source.fd = -1;
	if (m->path[0] != '/' || is_seen_before(ground, m))
		return DONE;
	if (names_file_open(m, &look.elf, &look.file) < 0) {
		look.elf.source.fd = -1;
		return DONE;
	}
	elf_tables_find(&look.elf, &tables);
	look.table = tables.full.count > 0 ? tables.full : tables.dynamic;
	return look.table.count > 0 && look.table.strings_bytes <= UNSEEN_STRINGS_MAX ? STRINGS
										       : DONE;
}

/* A library that has malloc, too, stands behind our doors: it calls its own by another name. */
static void close_object(const struct module *m)
{
	names_file_close(look.elf.source.fd, &look.file);
	if (m->main || (look.defined & 1u << MALLOC) == 0)
		look.found |= look.defined;
	look.looked++;
	look.phase = OPEN;
}

/* False: there is no other object. */
static bool step(const struct ground *ground)
{
	const struct module *m;

	if (look.looked >= ground->modules())
		return false;
	m = ground->module(look.looked);
	if (look.phase == OPEN)
		look.phase = open_object(ground, m);
	else if (look.phase == DONE)
		close_object(m);
	else if (!names_file_is(look.elf.source.fd, &look.file))
		look.phase = DONE;      /* the host has closed it, or changed it */
	else if (look.phase == STRINGS)
		read_strings();
	else
		read_symbols();
	return true;
}

void unseen_look(const struct ground *ground)
{
	while (step(ground))
		job_breathe();
}
