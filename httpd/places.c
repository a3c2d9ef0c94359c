#include "httpd/places.h"

#include <string.h>

#include "httpd/job.h"
#include "httpd/thread_dump.h"
#include "sampler/levels.h"
#include "sampler/sample.h"

#define CHUNK 256
#define FIRST_SLOTS 4096

struct places {
	struct arena           *arena;
	const struct desk_view *desk;
	struct pprof           *pprof;
	struct place           *chunk;          /* CHUNK of them; used ones never move */
	uint32_t                in_chunk;
	struct place          **slot;           /* open addressing; half empty at least */
	uint32_t                slots, used;
	uint64_t               *mapping;        /* id in the profile by number of module; 0 none */
	uint32_t                mappings;
};

/* --- mappings -------------------------------------------------------------------------------- */

static void build_id_text(char *out, const struct module *m)
{
	for (unsigned i = 0; i < m->build_id_len; i++) {
		*out++ = "0123456789abcdef"[m->build_id[i] >> 4];
		*out++ = "0123456789abcdef"[m->build_id[i] & 15];
	}
	*out = '\0';
}

static void mention_module(struct places *p, uint32_t i)
{
	const struct module *m = p->desk->ground->module(i);
	char build_id[2 * BUILD_ID_MAX + 1];
	struct pprof_mapping mapping = { m->start, m->limit, m->offset, m->path, build_id, false };

	build_id_text(build_id, m);
	if (p->mapping[i] == 0)
		p->mapping[i] = pprof_add_mapping(p->pprof, &mapping);
}

/* The program first, then what is mapped now; what is gone comes when a frame of it does. */
static void mention_modules(struct places *p)
{
	for (uint32_t i = 0; i < p->mappings; i++)
		if (p->desk->ground->module(i)->main)
			mention_module(p, i);
	for (uint32_t i = 0; i < p->mappings; i++)
		if (p->desk->ground->module(i)->alive)
			mention_module(p, i);
}

static uint64_t mapping_of(struct places *p, const struct module *m)
{
	uint32_t i;

	if (m == NULL)
		return 0;
	i = (uint32_t)(m - p->desk->ground->module(0));
	if (i >= p->mappings)
		return 0;
	mention_module(p, i);
	return p->mapping[i];
}

struct places *places_new(struct arena *arena, const struct desk_view *desk, struct pprof *pprof)
{
	struct places *p = arena_alloc(arena, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->arena = arena;
	p->desk = desk;
	p->pprof = pprof;
	p->in_chunk = CHUNK;
	p->slots = FIRST_SLOTS;
	p->slot = arena_alloc(arena, p->slots * sizeof(*p->slot));
	p->mappings = desk->ground->modules();
	p->mapping = arena_alloc(arena, p->mappings * sizeof(*p->mapping));
	if (p->slot == NULL || p->mapping == NULL)
		return NULL;
	if (pprof != NULL)
		mention_modules(p);
	return p;
}

/* --- places ---------------------------------------------------------------------------------- */

const struct names_answer *places_no_code(frame_t frame)
{
	static const struct names_answer no_code[] = {
		{ "[truncated]", "[truncated]", FRAME_TRUNCATED, false },
		{ "[evicted]", "[evicted]", FRAME_EVICTED, false },
		{ "[brk in libc]", "[brk in libc]", FRAME_MAPPED_BRK, false },
		{ "[main stack]", "[main stack]", FRAME_MAPPED_STACK, false },
		{ "[mmap in libc]", "[mmap in libc]", FRAME_MAPPED_OTHER, false },
		{ "[pprofshim]", "[pprofshim]", FRAME_MAPPED_OURS, false },
		{ "[holder unknown]", "[holder unknown]", FRAME_LOCK_HOLDER_UNKNOWN, false },
		{ "[running, no stack]", "[running, no stack]", FRAME_WALL_NO_STACK, false },
		{ "[not readable]", "[not readable]", FRAME_WALL_HIDDEN, false },
		{ "[not looked at]", "[not looked at]", FRAME_WALL_UNSEEN, false },
		{ "[stack unavailable]", "[stack unavailable]", FRAME_NO_STACK, false },
		{ "[main thread]", "[main thread]", FRAME_BIRTH_MAIN, false },
		{ "[not seen]", "[not seen]", FRAME_BIRTH_UNSEEN, false },
	};

	for (unsigned i = 0; i < COUNT_OF(no_code); i++)
		if (frame == no_code[i].start)
			return &no_code[i];
	return NULL;
}

static void name_place(struct places *p, struct place *place, const struct module *m)
{
	const struct names_answer *no_code = places_no_code(place->frame);

	if (no_code != NULL) {
		place->function = *no_code;
		return;
	}
	place->module = m;
	/* What is in no object nobody can name later. */
	if (p->desk->names || m == NULL)
		names_find(p->arena, place->module, frame_pc(place->frame), &place->function);
}

static struct place **find_slot(struct place **slot, uint32_t slots, frame_t frame, bool by_module)
{
	uint32_t at = (uint32_t)levels_hash(frame) & (slots - 1);

	while (slot[at] != NULL && (slot[at]->frame != frame || slot[at]->by_module != by_module))
		at = (at + 1) & (slots - 1);
	return &slot[at];
}

static bool grow(struct places *p)
{
	uint32_t slots = 2 * p->slots;
	struct place **slot = arena_alloc(p->arena, slots * sizeof(*slot));

	if (slot == NULL)
		return false;
	for (uint32_t i = 0; i < p->slots; i++)
		if (p->slot[i] != NULL)
			*find_slot(slot, slots, p->slot[i]->frame, p->slot[i]->by_module) =
				p->slot[i];
	p->slot = slot;
	p->slots = slots;
	return true;
}

static struct place *find_or_add(struct places *p, frame_t frame, bool by_module)
{
	struct place **slot = find_slot(p->slot, p->slots, frame, by_module);

	if (*slot != NULL)
		return *slot;
	if (2 * p->used >= p->slots) {
		if (!grow(p))
			return NULL;
		slot = find_slot(p->slot, p->slots, frame, by_module);
	}
	if (p->in_chunk == CHUNK) {
		p->chunk = arena_alloc(p->arena, CHUNK * sizeof(*p->chunk));
		p->in_chunk = 0;
	}
	if (p->chunk == NULL)
		return NULL;
	*slot = &p->chunk[p->in_chunk++];
	(*slot)->frame = frame;
	(*slot)->by_module = by_module;
	p->used++;
	return *slot;
}

#define NO_MODULE 0xffffu

/* What has an epoch has a second place, by the number of its module instead, for all epochs. */
struct place *places_find(struct places *p, frame_t frame)
{
	struct place *place = find_or_add(p, frame, false), *same = place;
	const struct module *m;

	if (place == NULL || place->same != NULL)
		return place != NULL ? place->same : NULL;
	m = p->desk->ground->find_module(frame);
	if (frame_epoch(frame) != 0) {
		frame_t number = m != NULL ? (frame_t)(m - p->desk->ground->module(0)) : NO_MODULE;

		same = find_or_add(p, frame_pc(frame) | number << 48, true);
	}
	if (same == NULL)
		return NULL;
	if (same->same == NULL) {
		same->same = same;
		name_place(p, same, m);
		job_breathe();
	}
	place->same = same;
	return same;
}

uint64_t places_location(struct places *p, frame_t frame)
{
	struct place *place = places_find(p, frame);
	uint64_t mapping, function;

	if (place == NULL || place->location != 0)
		return place != NULL ? place->location : 0;
	mapping = mapping_of(p, place->module);
	if (place->function.name == NULL) {
		place->location = pprof_add_location(p->pprof, mapping, frame_pc(frame), NULL, 0);
		return place->location;
	}
	function = pprof_add_function(p->pprof, place->function.name, place->function.system_name,
				      "", 0);
	if (mapping != 0)
		pprof_set_has_functions(p->pprof, mapping, true);
	place->location = pprof_add_location(p->pprof, mapping, frame_pc(frame), &function, 1);
	return place->location;
}

/* --- allocator frames ------------------------------------------------------------------------ */

static bool is_allocator(const char *name)
{
	static const char *const names[] = {
		"malloc", "calloc", "realloc", "reallocarray", "memalign", "aligned_alloc",
		"posix_memalign", "valloc", "pvalloc", "operator new", "operator new[]",
		"__libc_malloc", "__libc_calloc", "__libc_realloc", "__libc_memalign",
	};

	for (unsigned i = 0; name != NULL && i < COUNT_OF(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

unsigned places_allocator_frames(struct places *p, const frame_t *frame, unsigned depth)
{
	unsigned n = 0;

	while (n < depth) {
		const struct place *place = places_find(p, frame[n]);

		if (place == NULL || !is_allocator(place->function.name))
			break;
		n++;
	}
	return n < depth ? n : 0;
}
