#include "httpd/lock_names.h"

#include <elf.h>
#include <string.h>

#include "encode/buf.h"
#include "encode/demangle.h"
#include "httpd/job.h"
#include "httpd/names_cache.h"
#include "httpd/order.h"

#define SYMBOLS_AT_ONCE 512     /* 12 KiB on the stack */
#define NAME_BYTES      4096    /* a longer name is cut there */

struct lock {
	uint64_t             address;
	const struct module *module;    /* NULL: none */
	uint64_t             start;     /* of the best symbol so far, in the object */
	uint32_t             string;    /* its name; 0: there is none */
	bool                 local;
	const char          *name;
};

struct lock_names {
	struct lock *lock;              /* by address, each once */
	uint32_t     count;
};

/* The first at or above an address. */
static uint32_t above(const struct lock_names *n, uint64_t address)
{
	uint32_t lo = 0, hi = n->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (n->lock[mid].address < address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* --- which object ---------------------------------------------------------------------------- */

static const struct module *module_below(const struct ground *ground, uint64_t address)
{
	const struct module *best = NULL;

	for (uint32_t i = 0; i < ground->modules(); i++) {
		const struct module *m = ground->module(i);

		if (m->alive && m->image != 0 && m->image <= address && m->path[0] == '/' &&
		    (best == NULL || m->image > best->image))
			best = m;
	}
	return best;
}

/* What to add to an address of the object to have it in this process. */
static bool find_bias(const struct names_cache_object *o, const struct module *m, uint64_t *bias)
{
	uint64_t there;

	if (o == NULL || !elf_address(&o->elf, m->offset, &there))
		return false;
	*bias = m->start - there;
	return true;
}

/* --- which symbol ---------------------------------------------------------------------------- */

static const struct elf_table *table_of(const struct names_cache_object *o)
{
	return o->tables.full.count > 0 ? &o->tables.full : &o->tables.dynamic;
}

/* The innermost one; of two at one address an exported one. */
static bool is_better(const struct lock *than, uint64_t start, bool local)
{
	return than->string == 0 || start > than->start ||
	       (start == than->start && than->local && !local);
}

static void take_symbol(struct lock_names *n, const struct module *m, uint64_t bias,
			const Elf64_Sym *sym)
{
	bool local = ELF64_ST_BIND(sym->st_info) == STB_LOCAL;
	uint64_t start = sym->st_value + bias;

	if (ELF64_ST_TYPE(sym->st_info) != STT_OBJECT || sym->st_shndx == SHN_UNDEF ||
	    sym->st_name == 0)
		return;
	for (uint32_t i = above(n, start); i < n->count; i++) {
		struct lock *l = &n->lock[i];

		if (l->address - start >= sym->st_size)
			break;
		if (l->module != m || !is_better(l, start, local))
			continue;
		l->start = start;
		l->string = sym->st_name;
		l->local = local;
	}
}

/* Some of an object's symbols from *at on.  False: these were the last. */
static bool take_symbols(struct lock_names *n, const struct module *m, uint64_t *at)
{
	const struct names_cache_object *o = names_cache_get(m);
	Elf64_Sym sym[SYMBOLS_AT_ONCE];
	const struct elf_table *t;
	uint64_t count, bias;

	if (!find_bias(o, m, &bias))
		return false;
	t = table_of(o);
	count = *at < t->count ? t->count - *at : 0;
	if (count > SYMBOLS_AT_ONCE)
		count = SYMBOLS_AT_ONCE;
	if (count == 0 ||
	    !elf_read(&o->elf, sym, count * sizeof(sym[0]), t->symbols + *at * sizeof(sym[0])))
		return false;
	for (uint64_t i = 0; i < count; i++)
		take_symbol(n, m, bias, &sym[i]);
	*at += count;
	return true;
}

/* --- what it is called ----------------------------------------------------------------------- */

static const char *make_name(struct arena *arena, const char *symbol, uint64_t offset)
{
	const char *plain = demangle(arena, symbol);
	size_t cap = strlen(plain) + sizeof("+0x") + 16;
	char *name = arena_alloc(arena, cap);
	struct buf b = buf_bounded(name, cap);

	if (name == NULL)
		return NULL;
	buf_string(&b, plain);
	if (offset > 0) {
		buf_string(&b, "+0x");
		buf_hex(&b, offset, 1);
	}
	buf_end(&b);
	return name;
}

static void name_lock(struct arena *arena, struct lock *l)
{
	const struct names_cache_object *o = names_cache_get(l->module);
	char symbol[NAME_BYTES];
	const struct elf_table *t;

	if (o == NULL)
		return;
	t = table_of(o);
	if (elf_string(&o->elf, t->strings, t->strings_bytes, l->string, symbol,
		       sizeof(symbol)) == 0)
		return;
	l->name = make_name(arena, symbol, l->address - l->start);
}

static void name_locks_of(struct lock_names *n, struct arena *arena, const struct module *m)
{
	uint64_t at = 0;

	while (take_symbols(n, m, &at))
		job_breathe();
	for (uint32_t i = 0; i < n->count && !arena->failed; i++) {
		if (n->lock[i].module != m || n->lock[i].string == 0)
			continue;
		name_lock(arena, &n->lock[i]);
		job_breathe();
	}
}

/* --- all of them ----------------------------------------------------------------------------- */

static bool collect(struct lock_names *n, struct arena *arena, const struct ground *ground,
		    const uint64_t *address, uint32_t count)
{
	struct order *order = arena_alloc(arena, (count + 1) * sizeof(*order));

	n->lock = arena_alloc(arena, (count + 1) * sizeof(*n->lock));
	if (arena->failed)
		return false;
	for (uint32_t i = 0; i < count; i++)
		order[i] = (struct order){ address[i], i };
	order_sort(order, count);
	for (uint32_t i = 0; i < count; i++) {
		if (order[i].key == 0 || (i > 0 && order[i].key == order[i - 1].key))
			continue;
		n->lock[n->count++] = (struct lock){
			.address = order[i].key,
			.module = module_below(ground, order[i].key),
		};
		job_breathe();
	}
	return true;
}

struct lock_names *lock_names_make(struct arena *arena, const struct ground *ground,
				   const uint64_t *address, uint32_t count)
{
	struct lock_names *n = arena_alloc(arena, sizeof(*n));

	if (n == NULL || !collect(n, arena, ground, address, count))
		return NULL;
	for (uint32_t i = 0; i < n->count; i++) {
		const struct module *m = n->lock[i].module;

		/* Images do not overlap: the locks of one are side by side. */
		if (m != NULL && (i == 0 || n->lock[i - 1].module != m))
			name_locks_of(n, arena, m);
	}
	return arena->failed ? NULL : n;
}

const char *lock_names_find(const struct lock_names *n, uint64_t address)
{
	uint32_t i = above(n, address);

	return i < n->count && n->lock[i].address == address ? n->lock[i].name : NULL;
}
