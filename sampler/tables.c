#include "sampler/tables.h"

#include <string.h>

#include "sampler/count.h"
#include "sampler/os.h"
#include "sampler/rows_build.h"

/* Some 0.5 us each (unwinding.md 1f: 0.4 ms for each MB of code, which has 2,000). */
#define ENTRIES_AT_ONCE 2000

static struct {
	struct tables     table[MODULES_LIVE_MAX];
	unsigned          count;
	size_t            bytes;        /* of copies and rows */
	struct tables    *compiling;    /* NULL: nothing */
	struct rows_build build;
	struct cfi_object source;       /* what is compiled: a copy of tables that are in use */
	size_t            source_bytes; /* 0: it is one that we keep anyway */
} tables;

static _Atomic bool asked;

static size_t size_of(const struct cfi_object *o)
{
	return (size_t)(o->hi - o->lo);
}

void tables_ask(struct tables *t)
{
	atomic_store_explicit(&t->wanted, true, memory_order_relaxed);
	atomic_store_explicit(&asked, true, memory_order_release);
}

/* --- which object has which ------------------------------------------------------------------ */

/* A copy of the bytes at [lo, hi), which may be going.  NULL: they cannot be read, or no memory. */
static uint8_t *copy_bytes(uintptr_t lo, size_t bytes)
{
	uint8_t *to = os_map(bytes);

	if (to != NULL && os_peek(to, lo, bytes) != (long)bytes) {
		os_unmap(to, bytes);
		return NULL;
	}
	return to;
}

static struct tables *find_copy(const struct object *o)
{
	for (unsigned i = 0; o->build_id_len > 0 && i < tables.count; i++) {
		struct tables *t = &tables.table[i];

		if (memcmp(t->build_id, o->build_id, BUILD_ID_MAX) == 0 &&
		    size_of(&t->source) == o->hi - o->lo)
			return t;
	}
	return NULL;
}

static struct tables *find_in_place(const struct object *o)
{
	for (unsigned i = 0; i < tables.count; i++)
		if (tables.table[i].source.hdr == (const uint8_t *)o->hdr)
			return &tables.table[i];
	return NULL;
}

static struct tables *add_in_place(const struct object *o, struct tables *t)
{
	t->source = (struct cfi_object){ (const uint8_t *)o->hdr, (const uint8_t *)o->lo,
					 (const uint8_t *)o->hi, 0 };
	return t;
}

/* Another object may have come to its place while we read. */
static bool is_there_still(const struct object *o)
{
	return o->build_id_at == 0 ||
	       objects_is_build(o->build_id_at, o->build_id, o->build_id_len);
}

static struct tables *add_copy(const struct object *o, struct tables *t)
{
	size_t bytes = o->hi - o->lo;
	uint8_t *at;

	if (bytes > TABLES_BYTES - tables.bytes) {
		count_add(COUNT_MODULE_NO_TABLES);
		return NULL;
	}
	at = copy_bytes(o->lo, bytes);
	if (at == NULL)
		return NULL;
	if (!is_there_still(o)) {
		os_unmap(at, bytes);
		return NULL;
	}
	memcpy(t->build_id, o->build_id, BUILD_ID_MAX);
	t->source = (struct cfi_object){ at + (o->hdr - o->lo), at, at + bytes,
					 o->lo - (uintptr_t)at };
	tables.bytes += bytes;
	return t;
}

struct tables *tables_of(const struct object *object, uintptr_t image, bool permanent,
			 struct cfi_object *place)
{
	struct tables *t;

	if (object->hdr == 0)
		return NULL;
	t = permanent ? find_in_place(object) : find_copy(object);
	if (t == NULL) {
		if (tables.count == MODULES_LIVE_MAX) {
			count_add(COUNT_MODULE_NO_TABLES);
			return NULL;
		}
		t = &tables.table[tables.count];
		t->image = image;
		t = permanent ? add_in_place(object, t) : add_copy(object, t);
		if (t == NULL)
			return NULL;
		tables.count++;
	}
	*place = t->source;
	if (!permanent)
		place->moved = object->lo - (uintptr_t)t->source.lo;
	return t;
}

unsigned tables_count(void)
{
	return tables.count;
}

void tables_forget(unsigned n)
{
	while (tables.count > n) {
		struct tables *t = &tables.table[--tables.count];

		if (t->source.moved != 0) {
			os_unmap((void *)(uintptr_t)t->source.lo, size_of(&t->source));
			tables.bytes -= size_of(&t->source);
		}
		memset(t, 0, sizeof(*t));
	}
}

/* --- compiling ------------------------------------------------------------------------------- */

/* A fork may come in between: what is given back is forgotten first. */
static void drop_source(void)
{
	size_t bytes = tables.source_bytes;

	tables.source_bytes = 0;
	if (bytes != 0)
		os_unmap((void *)(uintptr_t)tables.source.lo, bytes);
}

/* Tables in place are compiled from a copy too: what cannot be read is an error then, not a
 * fault. */
static bool take_source(const struct tables *t)
{
	size_t bytes = size_of(&t->source);
	uint8_t *at;

	tables.source = t->source;
	tables.source_bytes = 0;
	if (t->source.moved != 0)
		return true;
	at = copy_bytes((uintptr_t)t->source.lo, bytes);
	if (at == NULL)
		return false;
	tables.source_bytes = bytes;
	tables.source = (struct cfi_object){ at + (t->source.hdr - t->source.lo), at, at + bytes,
					     (uintptr_t)t->source.lo - (uintptr_t)at };
	return true;
}

static void begin(struct tables *t)
{
	t->tried = true;
	if (tables.bytes + size_of(&t->source) > TABLES_BYTES) {
		count_add(COUNT_MODULE_NO_TABLES);
		return;
	}
	if (!take_source(t))
		return;
	if (rows_build_begin(&tables.build, &tables.source, t->image))
		tables.compiling = t;
	else
		drop_source();
}

static void end(struct tables *t)
{
	size_t bytes;

	tables.compiling = NULL;
	if (!rows_build_end(&tables.build, &t->compiled, &bytes)) {
		/* They made no sense. */
	} else if (bytes > TABLES_BYTES - tables.bytes) {
		os_unmap((void *)(uintptr_t)t->compiled.row, bytes);
		count_add(COUNT_MODULE_NO_TABLES);
	} else {
		tables.bytes += bytes;
		t->compiled_bytes = bytes;
		atomic_store_explicit(&t->rows, &t->compiled, memory_order_release);
	}
	drop_source();
}

static bool begin_next(void)
{
	if (!atomic_exchange_explicit(&asked, false, memory_order_acquire))
		return false;
	for (unsigned i = 0; i < tables.count && tables.compiling == NULL; i++) {
		struct tables *t = &tables.table[i];

		if (!t->tried && atomic_load_explicit(&t->wanted, memory_order_relaxed))
			begin(t);
	}
	/* Others may have been asked for. */
	if (tables.compiling != NULL)
		atomic_store_explicit(&asked, true, memory_order_relaxed);
	return tables.compiling != NULL;
}

bool tables_compile(void)
{
	if (tables.compiling == NULL && !begin_next())
		return false;
	if (!rows_build_go_on(&tables.build, ENTRIES_AT_ONCE))
		end(tables.compiling);
	return true;
}

/* The old rows stay: zeros, which take no memory.  A handler that forked may have interrupted a
 * walk that is reading them. */
void tables_after_fork(void)
{
	if (tables.compiling != NULL) {
		rows_build_drop(&tables.build);
		drop_source();
		tables.compiling = NULL;
	}
	for (unsigned i = 0; i < tables.count; i++) {
		struct tables *t = &tables.table[i];

		if (!t->tried && !t->wanted)
			continue;
		t->rows = NULL;
		tables.bytes -= t->compiled_bytes;
		t->compiled_bytes = 0;
		t->wanted = t->tried = false;
	}
}
