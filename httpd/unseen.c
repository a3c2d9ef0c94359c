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
#define NAME_MAX_BYTES  32

enum { MALLOC, RJEM_MALLOC, JE_MALLOC };

static const struct unseen known[] = {
	[MALLOC] = { "malloc", "the program has an allocator linked into it" },
	[RJEM_MALLOC] = { "_rjem_malloc", "jemalloc under another name, as Rust programs have it" },
	[JE_MALLOC] = { "je_malloc", "jemalloc under another name" },
	{ "mi_malloc", "mimalloc under another name" },
	{ "tc_malloc", "tcmalloc under another name; gperftools' writes a profile of its own if "
		       "HEAPPROFILE names a file" },
	{ "TCMallocInternalMalloc", "tcmalloc under another name" },
	{ "sn_rust_alloc", "snmalloc under another name, as Rust programs have it" },
	{ "rpmalloc", "rpmalloc, under its own name" },
	{ "runtime.mallocgc", "Go's own heap; net/http/pprof shows it" },
};

/* jemalloc's options: variables, local to the object (--with-private-namespace). */
enum option { PROF, PREFIX, OPTIONS };
enum { PLAIN, RUST, NAMESPACES };

static const char *const options[NAMESPACES][OPTIONS] = {
	[PLAIN] = { "je_opt_prof", "je_opt_prof_prefix" },
	[RUST] = { "_rjem_je_opt_prof", "_rjem_je_opt_prof_prefix" },
};

/* Numbers of names: first those of known[], then options[][]. */
#define NAMES ((uint32_t)COUNT_OF(known) + NAMESPACES * OPTIONS)

static const char *name_at(uint32_t i)
{
	uint32_t option = i - (uint32_t)COUNT_OF(known);

	return i < COUNT_OF(known) ? known[i].symbol : options[option / OPTIONS][option % OPTIONS];
}

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
	struct hit        hit[UNSEEN_HITS_MAX];
	unsigned          hits;
	bool              partial;      /* in some object there were more */
	uint32_t          defined;      /* of this object, as `found` */
	uint64_t          option[NAMESPACES * OPTIONS];         /* the same: st_value */
	uintptr_t         option_at[NAMESPACES * OPTIONS];      /* of all, in memory */
} look;

const struct unseen *unseen_at(size_t i)
{
	for (size_t n = 0; n < COUNT_OF(known); n++)
		if ((look.found >> n & 1) != 0 && i-- == 0)
			return &known[n];
	return NULL;
}

bool unseen_is_partial(void)
{
	return look.partial;
}

bool unseen_jemalloc(struct unseen_jemalloc *out)
{
	const struct { unsigned malloc; const char *conf; unsigned space; } kind[] = {
		{ RJEM_MALLOC, "_RJEM_MALLOC_CONF", RUST },
		{ JE_MALLOC, "JE_MALLOC_CONF", PLAIN },
		{ MALLOC, "MALLOC_CONF", PLAIN },
		{ MALLOC, "MALLOC_CONF", RUST },        /* "unprefixed_malloc_on_..." */
	};

	for (unsigned i = 0; i < COUNT_OF(kind); i++) {
		const uintptr_t *at = &look.option_at[kind[i].space * OPTIONS];

		/* Whose malloc a plain one is, only these variables tell. */
		if ((look.found >> kind[i].malloc & 1) == 0 ||
		    (kind[i].malloc == MALLOC && at[PROF] == 0))
			continue;
		*out = (struct unseen_jemalloc){ kind[i].conf, at[PROF], at[PREFIX] };
		return true;
	}
	return false;
}

/* --- the strings ----------------------------------------------------------------------------- */

static void add_hits(const char *end, size_t room, uint64_t offset)
{
	for (uint32_t i = 0; i < NAMES; i++) {
		size_t n = strlen(name_at(i));

		if (n > room || memcmp(end - n, name_at(i), n) != 0)
			continue;
		if (look.hits < UNSEEN_HITS_MAX)
			look.hit[look.hits++] = (struct hit){ (uint32_t)(offset - n), i };
		else
			look.partial = true;
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
	bool function = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;

	if (s->st_shndx == SHN_UNDEF || (!function && type != STT_OBJECT))
		return;
	for (unsigned i = 0; i < look.hits; i++) {
		uint32_t which = look.hit[i].which;

		if (look.hit[i].name != s->st_name)
			continue;
		if (which >= COUNT_OF(known) && type == STT_OBJECT)
			look.option[which - COUNT_OF(known)] = s->st_value;
		else if (which < COUNT_OF(known) && function)
			look.defined |= 1u << which;
	}
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
	memset(look.option, 0, sizeof(look.option));
	look.elf.source.fd = -1;
	if (m->path[0] != '/' || is_seen_before(ground, m))
		return DONE;
	if (names_file_open(m, &look.elf, &look.file) < 0) {
		look.elf.source.fd = -1;
		return DONE;
	}
	elf_tables_find(&look.elf, &tables);
	look.table = tables.full.count > 0 ? tables.full : tables.dynamic;
	if (look.table.count == 0)
		return DONE;
	if (look.table.strings_bytes <= UNSEEN_STRINGS_MAX)
		return STRINGS;
	look.partial = true;
	return DONE;
}

/* What the object's own addresses are above. */
static uintptr_t bias(const struct module *m)
{
	uint64_t lowest = UINT64_MAX;

	for (uint32_t i = 0; i < look.elf.load_count; i++)
		if (look.elf.load[i].address < lowest)
			lowest = look.elf.load[i].address;
	return m->image - (lowest & ~UINT64_C(4095));
}

static void take_options(const struct module *m)
{
	for (unsigned i = 0; i < COUNT_OF(look.option); i++)
		if (look.option[i] != 0)
			look.option_at[i] = bias(m) + look.option[i];
}

/* A library that has malloc, too, stands behind our doors: it calls its own by another name. */
static void close_object(const struct module *m)
{
	names_file_close(look.elf.source.fd, &look.file);
	if (m->main || (look.defined & 1u << MALLOC) == 0) {
		look.found |= look.defined;
		take_options(m);
	}
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
