/* A job may end at any breath, and other jobs ask for the same or other modules meanwhile.  So all
 * state of a build is in the table, nothing on the stack of a job is good after a breath, and a job
 * whose module is not the one being built helps with that one first: two half-built indexes could
 * evict each other for ever. */
#include "httpd/names_cache.h"

#include <errno.h>
#include <string.h>

#include "httpd/job.h"
#include "httpd/names.h"

static struct {
	struct names_cache_object object[NAMES_CACHE_OBJECTS_MAX];
	uint32_t rows;                          /* in use: object[0..rows) */
	struct names_cache_object *building;
	uint64_t clock;
} cache;

static bool is_in_memory(const struct names_cache_object *o)
{
	return o->elf.source.memory != 0;
}

/* --- giving back --- */

static bool has_row(const struct names_cache_object *o)
{
	return o->module != NULL;
}

static bool has_index(const struct names_cache_object *o)
{
	return o->symbols.entry != NULL;
}

static bool has_file(const struct names_cache_object *o)
{
	return (o->state == NAMES_CACHE_READY || o->state == NAMES_CACHE_BUILDING) &&
	       o->elf.source.fd >= 0;
}

static void close_file(struct names_cache_object *o)
{
	int fd = o->elf.source.fd;

	o->elf.source.fd = -1;
	names_file_close(fd, &o->file);
}

static void forget(struct names_cache_object *o)
{
	if (cache.building == o)
		cache.building = NULL;
	symbols_free(&o->symbols);
	if (has_file(o))
		close_file(o);
	memset(o, 0, sizeof(*o));
}

/* The least recently used object that is not being built and of which has(o), or NULL. */
static struct names_cache_object *oldest(bool (*has)(const struct names_cache_object *o))
{
	struct names_cache_object *found = NULL;

	for (uint32_t i = 0; i < cache.rows; i++) {
		struct names_cache_object *o = &cache.object[i];

		if (o->module != NULL && o != cache.building && has(o) &&
		    (found == NULL || o->used < found->used))
			found = o;
	}
	return found;
}

size_t names_cache_bytes(void)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < cache.rows; i++)
		if (has_index(&cache.object[i]))
			bytes += cache.object[i].symbols.map_bytes;
	return bytes;
}

static bool make_room(size_t bytes)
{
	struct names_cache_object *o;

	if (bytes > NAMES_BUDGET_BYTES)
		return false;
	while (names_cache_bytes() > NAMES_BUDGET_BYTES - bytes && (o = oldest(has_index)) != NULL)
		forget(o);
	return names_cache_bytes() <= NAMES_BUDGET_BYTES - bytes;
}

static void make_room_for_file(void)
{
	struct names_cache_object *o;
	uint32_t files = 0;

	for (uint32_t i = 0; i < cache.rows; i++)
		files += has_file(&cache.object[i]);
	if (files >= NAMES_CACHE_FILES_MAX && (o = oldest(has_file)) != NULL)
		close_file(o);
}

/* --- building --- */

static void end_build(struct names_cache_object *o, enum names_cache_state state)
{
	o->state = state;
	cache.building = NULL;
}

static void begin_build(struct names_cache_object *o)
{
	int err;

	make_room_for_file();
	err = names_file_open(o->module, &o->elf, &o->file);
	if (err < 0) {
		o->state = NAMES_CACHE_UNREADABLE;
		if (err == -EMFILE || err == -ENFILE)
			forget(o);      /* says nothing about the file */
		return;
	}
	o->state = NAMES_CACHE_BUILDING;
	cache.building = o;
	elf_tables_find(&o->elf, &o->tables);
	symbols_begin(&o->symbols, &o->tables.full);
}

/* True if what elf reads is still what it was; opens the file again if it was closed. */
static bool is_readable(struct names_cache_object *o)
{
	if (is_in_memory(o) || names_file_is(o->elf.source.fd, &o->file))
		return true;
	close_file(o);
	make_room_for_file();
	o->elf.source.fd = names_file_reopen(o->module, &o->file);
	return o->elf.source.fd >= 0;
}

/* A step of the build. */
static void build(struct names_cache_object *o)
{
	if (!is_readable(o)) {
		forget(o);              /* replaced half way: from the start */
		return;
	}
	switch (symbols_step(&o->symbols, &o->elf)) {
	case SYMBOLS_MORE:
		return;
	case SYMBOLS_READY:
		end_build(o, NAMES_CACHE_READY);
		return;
	case SYMBOLS_COUNTED:
		if (make_room(symbols_bytes(&o->symbols)) && symbols_map(&o->symbols))
			return;
		break;
	case SYMBOLS_NONE:
		break;
	}
	/* No function in this table, or too many: the other one, or else the FDEs alone. */
	if (o->dynamic) {
		symbols_free(&o->symbols);
		end_build(o, NAMES_CACHE_READY);
	} else {
		o->dynamic = true;
		symbols_begin(&o->symbols, &o->tables.dynamic);
	}
}

/* --- the way in --- */

static struct names_cache_object *find(const struct module *module)
{
	for (uint32_t i = 0; i < cache.rows; i++)
		if (cache.object[i].module == module)
			return &cache.object[i];
	return NULL;
}

static struct names_cache_object *find_or_add(const struct module *module)
{
	struct names_cache_object *o = find(module);

	if (o != NULL)
		return o;
	o = find(NULL);
	if (o == NULL && cache.rows < NAMES_CACHE_OBJECTS_MAX)
		o = &cache.object[cache.rows++];
	if (o == NULL) {
		o = oldest(has_row);
		forget(o);
	}
	o->module = module;
	return o;
}

/* Nothing here is endless: an object that was READY and is not readable is built anew once for each
 * time that its file changes. */
const struct names_cache_object *names_cache_get(const struct module *module)
{
	for (;;) {
		struct names_cache_object *o = find_or_add(module);

		o->used = ++cache.clock;
		if (o->state == NAMES_CACHE_UNREADABLE)
			return NULL;
		if (o->state == NAMES_CACHE_READY) {
			if (is_readable(o))
				return o;
			forget(o);
			continue;
		}
		if (cache.building == NULL) {
			begin_build(o);
			if (o->module == NULL)
				return NULL;
			continue;
		}
		build(cache.building);
		if (o->state != NAMES_CACHE_READY)
			job_breathe();
	}
}

void names_cache_reset(void)
{
	/* Only what was in use: a fork child pays for each page that is written here. */
	while (cache.rows > 0)
		forget(&cache.object[--cache.rows]);
}
