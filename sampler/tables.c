#include "sampler/tables.h"

#include <string.h>

#include "sampler/count.h"
#include "sampler/os.h"
#include "sampler/rows_build.h"

/* Of the process' CPU time: what compiling may take, of an object that stays and of a later one. */
#define PERCENT       1u
#define PERCENT_LATER 4u

/* Copying included (unwinding.md 1f: 0.54 s for the 115 MB of .eh_frame of a Debian 12). */
#define NS_PER_BYTE 5u

/* From so many compiled bytes on this machine's own rate is known (of fewer it is that of mapping
 * memory): an emulator's, or valgrind's, is 50 times that. */
#define BYTES_OF_A_RATE (64u << 10)

/* Some 0.5 us each (unwinding.md 1f: 0.4 ms for each MB of code, which has 2,000). */
#define ENTRIES_AT_ONCE 2000

/* Of a copy to compile from: 0.5 ms with its page faults (measured; 3.6 ms for the 7 MB of 200,000
 * functions). */
#define COPY_AT_ONCE (1u << 20)

static struct {
	struct tables     table[MODULES_LIVE_MAX];
	unsigned          count;
	size_t            bytes;        /* of copies and rows */
	struct tables    *compiling;    /* NULL: nothing */
	bool              builds;       /* its build has begun: the source is whole */
	struct rows_build build;
	struct cfi_object source;       /* what is compiled: a copy of tables that are in use */
	size_t            source_bytes; /* 0: it is one that we keep anyway */
	size_t            copied;       /* of them, so far */
	uint64_t          spent_ns, done_bytes; /* CPU time on so many bytes of tables, so far */
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

size_t tables_bytes(void)
{
	return tables.bytes;
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

/* Tables in place are compiled from a copy too, made by copy_some: what cannot be read is an error
 * then, not a fault. */
static bool take_source(const struct tables *t)
{
	size_t bytes = size_of(&t->source);
	uint8_t *at;

	tables.source = t->source;
	tables.source_bytes = tables.copied = 0;
	if (t->source.moved != 0)
		return true;
	at = os_map(bytes);
	if (at == NULL)
		return false;
	tables.source_bytes = bytes;
	tables.source = (struct cfi_object){ at + (t->source.hdr - t->source.lo), at, at + bytes,
					     (uintptr_t)t->source.lo - (uintptr_t)at };
	return true;
}

/* False: it cannot be read. */
static bool copy_some(void)
{
	size_t left = tables.source_bytes - tables.copied;
	size_t n = left < COPY_AT_ONCE ? left : COPY_AT_ONCE;
	uintptr_t at = (uintptr_t)tables.source.lo + tables.copied;

	if (n > 0 && os_peek((void *)at, at + tables.source.moved, n) != (long)n)
		return false;
	tables.copied += n;
	return true;
}

/* At least what was measured elsewhere: a rate of small objects may be too good. */
static uint64_t estimate_ns(const struct tables *t)
{
	uint64_t rate = NS_PER_BYTE;

	if (tables.done_bytes >= BYTES_OF_A_RATE && tables.spent_ns / tables.done_bytes > rate)
		rate = tables.spent_ns / tables.done_bytes;
	return size_of(&t->source) * rate;
}

static bool is_in_budget(const struct tables *t, uint64_t cpu_ns)
{
	bool later = t->source.moved != 0;

	return tables.spent_ns + estimate_ns(t) <=
	       cpu_ns / 100 * (later ? PERCENT_LATER : PERCENT);
}

static void give_up(void)
{
	tables.compiling = NULL;
	drop_source();
}

/* The next piece of the source; behind the last one the build begins. */
static void prepare(void)
{
	if (!copy_some()) {
		give_up();
	} else if (tables.copied == tables.source_bytes) {
		tables.builds = rows_build_begin(&tables.build, &tables.source,
						 tables.compiling->image);
		if (!tables.builds)
			give_up();
	}
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
	tables.builds = false;
	tables.compiling = t;
	prepare();
}

static void end(struct tables *t)
{
	size_t bytes;

	tables.compiling = NULL;
	tables.done_bytes += size_of(&t->source);
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
	uint64_t cpu_ns = os_process_cpu_ns();
	bool has_to_wait = false;

	atomic_exchange_explicit(&asked, false, memory_order_acquire);
	for (unsigned i = 0; i < tables.count && tables.compiling == NULL; i++) {
		struct tables *t = &tables.table[i];

		if (t->tried || !atomic_load_explicit(&t->wanted, memory_order_relaxed))
			continue;
		if (is_in_budget(t, cpu_ns))
			begin(t);
		else
			has_to_wait = true;
	}
	/* Others may have been asked for. */
	if (tables.compiling != NULL || has_to_wait)
		atomic_store_explicit(&asked, true, memory_order_relaxed);
	return tables.compiling != NULL;
}

static bool compile_some(void)
{
	bool is_new = tables.compiling == NULL;

	if (is_new && !begin_next())
		return false;
	if (!is_new && !tables.builds)
		prepare();
	else if (tables.builds && !rows_build_go_on(&tables.build, ENTRIES_AT_ONCE))
		end(tables.compiling);
	return true;
}

bool tables_compile(void)
{
	uint64_t began;
	bool more;

	if (tables.compiling == NULL && !atomic_load_explicit(&asked, memory_order_relaxed))
		return false;
	began = os_thread_cpu_ns(0);
	more = compile_some();
	/* To look whether there is room does not count: that may be for hours. */
	if (more)
		tables.spent_ns += os_thread_cpu_ns(0) - began;
	return more;
}

/* The old rows stay: zeros, which take no memory.  A handler that forked may have interrupted a
 * walk that is reading them.  A child's CPU time begins at 0, and so does what was spent of it. */
void tables_after_fork(void)
{
	if (tables.compiling != NULL) {
		if (tables.builds)
			rows_build_drop(&tables.build);
		drop_source();
		tables.compiling = NULL;
	}
	tables.spent_ns = tables.done_bytes = 0;
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
