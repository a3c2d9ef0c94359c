/* Rows are append-only: our thread reads them at leisure.  What handlers need of the same facts is
 * in ranges.c. */
#include "sampler/modules.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/maps.h"
#include "sampler/objects.h"
#include "sampler/os.h"
#include "sampler/tables.h"

/* Code without a file: a JIT's. */
struct nameless {
	uintptr_t start, limit;
};

/* What the lines of one object had in common so far. */
struct group {
	struct maps_line first;
	char             path[MODULE_PATH_MAX];
	uintptr_t        image;
};

static struct {
	struct module *row;             /* MODULES_EVER_MAX, mapped at the first scan */
	_Atomic uint32_t rows;
	uint32_t  found;                /* rows >= it: those that the scan in progress has added */
	bool      present[MODULES_EVER_MAX];    /* found by the scan in progress */
	struct nameless nameless[MODULES_NAMELESS_MAX];
	uint32_t  nameless_count, nameless_found;       /* of the last scan, of this one */
	bool      changed;              /* something was found, or missed, since publish */
	bool    (*is_permanent)(uintptr_t image);
	uint32_t  scanned_epoch;        /* of the last scan; 0: a dlclose was under way */
	uintptr_t ours_start, ours_limit;
	uintptr_t main_stack_hi;
	struct group group;             /* of the last line of the scan in progress */
} modules;

static _Atomic uint32_t epoch = 1;
static _Atomic int32_t  closing;        /* dlcloses under way */
static _Atomic bool     wanted; /* code was met that no range holds */

/* --- for handlers -------------------------------------------------------------------------- */

uint16_t modules_epoch(void)
{
	uint32_t now = atomic_load_explicit(&epoch, memory_order_acquire);

	return now < FRAME_EPOCH_LAST ? (uint16_t)now : FRAME_EPOCH_LAST;
}

void modules_closing(void)
{
	atomic_fetch_add(&closing, 1);
	atomic_fetch_add(&epoch, 1);
}

void modules_closed(void)
{
	atomic_fetch_add(&epoch, 1);
	atomic_fetch_sub(&closing, 1);
}

/* No dlclose is under way: what is mapped stays, as far as the present epoch goes. */
static bool is_quiet(void)
{
	return atomic_load(&closing) <= 0;
}

HOT uint64_t modules_version(void)
{
	return (uint64_t)atomic_load_explicit(&epoch, memory_order_acquire) << 32 |
	       ranges_version();
}

/* Is what the range speaks of mapped there still?  No other object has its build id. */
static bool is_there(const struct range *r)
{
	struct module *m = r->module;
	uint32_t now = atomic_load(&epoch);
	bool quiet = is_quiet();

	if (m == NULL || (quiet && atomic_load(&m->verified) == now + 1))
		return true;
	if (m->build_id_len == 0 || !objects_is_build(m->build_id_at, m->build_id, m->build_id_len))
		return false;
	if (quiet)
		atomic_store(&m->verified, now + 1);
	return true;
}

HOT frame_t modules_frame(uintptr_t pc)
{
	struct range r;
	uint64_t when = modules_epoch();

	if (ranges_find(pc, &r)) {
		if (r.permanent)
			return pc;
		if (r.module != NULL && is_there(&r))
			when = FRAME_ROW_FIRST + (uint64_t)(r.module - modules.row);
	}
	return (pc & 0xffffffffffffu) | when << 48;
}

HOT bool modules_find_range(uintptr_t pc, struct range *out)
{
	if (ranges_find(pc, out) && is_there(out))
		return true;
	atomic_store_explicit(&wanted, true, memory_order_relaxed);
	return false;
}

bool modules_are_wanted(void)
{
	return atomic_load_explicit(&wanted, memory_order_relaxed) ||
	       atomic_load_explicit(&epoch, memory_order_acquire) != modules.scanned_epoch;
}

bool modules_is_code(uintptr_t pc)
{
	struct range r;

	return ranges_find(pc, &r);
}

HOT bool modules_is_ours(uintptr_t pc)
{
	return pc >= modules.ours_start && pc < modules.ours_limit;
}

uintptr_t modules_main_stack_hi(void)
{
	return modules.main_stack_hi;
}

void modules_after_fork(void)
{
	/* Threads of the parent were in one, maybe. */
	atomic_store(&closing, 0);
}

/* --- for the scan --------------------------------------------------------------------------- */

bool modules_make_room(void)
{
	if (modules.row == NULL)
		modules.row = os_map(MODULES_EVER_MAX * sizeof(struct module));
	return modules.row != NULL;
}

bool modules_begin(uint32_t *now)
{
	bool quiet = is_quiet();

	memset(&modules.group, 0, sizeof(modules.group));
	atomic_store(&wanted, false);
	*now = atomic_load(&epoch);
	memset(modules.present, 0, sizeof(modules.present));
	modules.nameless_found = 0;
	modules.found = modules.rows;
	return quiet;
}

bool modules_is_still(uint32_t before)
{
	return atomic_load(&epoch) == before;
}

/* A file that was written anew may have the number and the size of what it was before. */
static bool is_same_build(const struct module *m)
{
	return m->permanent || m->build_id_len == 0 ||
	       objects_is_build(m->build_id_at, m->build_id, m->build_id_len);
}

static struct module *find_row(const struct maps_line *line)
{
	for (uint32_t i = 0; i < modules.found; i++) {
		struct module *m = &modules.row[i];

		if (m->alive && m->start == line->start && m->limit == line->limit &&
		    m->offset == line->offset && m->inode == line->inode && m->dev == line->dev &&
		    is_same_build(m))
			return m;
	}
	return NULL;
}

static struct module *add_row(const struct maps_line *line, const struct group *g, bool permanent)
{
	struct module *m = &modules.row[modules.found];
	struct object object;

	if (modules.found == MODULES_EVER_MAX) {
		count_add(COUNT_MODULE_NO_ROW);
		return NULL;
	}
	memset(m, 0, sizeof(*m));
	m->start = line->start;
	m->limit = line->limit;
	m->offset = line->offset;
	m->dev = line->dev;
	m->inode = line->inode;
	m->image = g->image;
	m->alive = true;
	m->permanent =
		permanent && (modules.is_permanent == NULL || modules.is_permanent(g->image));
	m->deleted = line->deleted;
	memcpy(m->path, g->path, sizeof(m->path));
	if (objects_read(m->image, &object)) {
		m->build_id_len = object.build_id_len;
		m->build_id_at = object.build_id_at;
		memcpy(m->build_id, object.build_id, sizeof(m->build_id));
		m->tables = tables_of(&object, m->image, m->permanent, &m->place);
	}
	modules.changed = true;
	modules.found++;
	return m;
}

static bool same_object(const struct group *g, const struct maps_line *line)
{
	return g->first.path_len != 0 && g->first.inode == line->inode &&
	       g->first.dev == line->dev && line->path_len < sizeof(g->path) &&
	       memcmp(g->path, line->path, line->path_len) == 0 && g->path[line->path_len] == '\0';
}

static bool is_same(const struct module *m, const struct maps_line *line, const struct group *g)
{
	return m->start == line->start && m->limit == line->limit && m->offset == line->offset &&
	       m->inode == line->inode && m->dev == line->dev && m->image == g->image &&
	       memcmp(m->path, g->path, sizeof(m->path)) == 0;
}

/* An object that went and has come again, to the same place: a program that loads and unloads its
 * plugins all day must not use up the rows. */
static struct module *find_gone(const struct maps_line *line, const struct group *g)
{
	for (uint32_t i = 0; i < modules.rows; i++) {
		struct module *m = &modules.row[i];

		if (m->alive || m->build_id_len == 0 || !is_same(m, line, g) || !is_same_build(m))
			continue;
		m->alive = true;
		modules.changed = true;
		return m;
	}
	return NULL;
}

static void begin_group(struct group *g, const struct maps_line *line)
{
	size_t n = line->path_len < sizeof(g->path) ? line->path_len : sizeof(g->path) - 1;

	memset(g->path, 0, sizeof(g->path));
	memcpy(g->path, line->path, n);
	g->first = *line;
	g->image = line->offset == 0 ? line->start : 0;
}

/* What the program was told at its start is above its first frame.  Under valgrind that is not what
 * the kernel calls [stack]. */
static void note_main_stack(const struct maps_line *line)
{
	uintptr_t told = getauxval(AT_EXECFN);

	if (told >= line->start && told < line->limit)
		modules.main_stack_hi = line->limit;
}

static void note_nameless(const struct maps_line *line)
{
	uint32_t i = modules.nameless_found;

	if (i == MODULES_NAMELESS_MAX)
		return;
	if (i >= modules.nameless_count || modules.nameless[i].start != line->start ||
	    modules.nameless[i].limit != line->limit)
		modules.changed = true;
	modules.nameless[i].start = line->start;
	modules.nameless[i].limit = line->limit;
	modules.nameless_found++;
}

int modules_line(const struct maps_line *line, void *arg)
{
	struct group *g = &modules.group;
	bool permanent = *(const bool *)arg;
	struct module *m;
	uintptr_t own = (uintptr_t)&modules_line;

	if (permanent)
		note_main_stack(line);
	/* The vsyscall page is not in the lower half. */
	if ((line->start >> 47) != 0)
		return 0;
	if (line->path_len == 0) {
		if (line->executable)
			note_nameless(line);
		return 0;
	}
	/* The beginning of a file is another image of it, unless two segments share its page. */
	if (!same_object(g, line) ||
	    (line->offset == 0 && !objects_has_segment(g->image, line->start)))
		begin_group(g, line);
	if (!line->executable)
		return 0;
	m = find_row(line);
	if (m == NULL)
		m = find_gone(line, g);
	if (m == NULL)
		m = add_row(line, g, permanent);
	if (m == NULL)
		return 0;
	m->deleted = line->deleted;
	modules.present[m - modules.row] = true;
	if (permanent && own >= m->start && own < m->limit) {
		modules.ours_start = m->start;
		modules.ours_limit = m->limit;
	}
	return 0;
}

/* True if something went. */
static bool bury_absent(void)
{
	bool went = false;

	for (uint32_t i = 0; i < modules.rows; i++) {
		struct module *m = &modules.row[i];

		if (m->alive && !modules.present[i]) {
			m->alive = false;
			modules.changed = went = true;
		}
	}
	return went;
}

/* What was seen while nothing could go. */
static void note_seen(uint32_t now)
{
	for (uint32_t i = 0; i < modules.rows; i++) {
		struct module *m = &modules.row[i];

		if (!modules.present[i] || m->permanent || now >= FRAME_EPOCH_LAST)
			continue;
		if (m->born == 0)
			m->born = (uint16_t)now;
		m->last = (uint16_t)now;
	}
}

/* And is there still, now. */
static void verify_seen(uint32_t now)
{
	for (uint32_t i = 0; i < modules.rows; i++)
		if (modules.present[i])
			atomic_store(&modules.row[i].verified, now + 1);
}

static void publish(void)
{
	ranges_begin();
	for (uint32_t i = 0; i < modules.rows; i++) {
		const struct module *m = &modules.row[i];
		struct range range = { m->start, m->limit, m->image, m->tables, m->place,
				       m->permanent, m->permanent ? NULL : &modules.row[i] };

		if (m->alive)
			ranges_insert(&range);
	}
	for (uint32_t i = 0; i < modules.nameless_count; i++) {
		struct range code = { .start = modules.nameless[i].start,
				      .limit = modules.nameless[i].limit };

		ranges_insert(&code);
	}
	ranges_publish();
}

void modules_end(bool good, uint32_t now)
{
	if (!good) {
		modules.found = modules.rows;
		now = 0;
	}
	atomic_store_explicit(&modules.rows, modules.found, memory_order_release);
	if (now != 0)
		note_seen(now);
	/* It may have gone inside libc: something else is in its place from now on. */
	if (bury_absent() && atomic_fetch_add(&epoch, 1) == now)
		now++;
	if (now != 0)
		verify_seen(now);
	modules.scanned_epoch = now;
	if (modules.nameless_found != modules.nameless_count)
		modules.changed = true;
	modules.nameless_count = modules.nameless_found;
	if (modules.changed)
		publish();
	modules.changed = false;
}

/* --- for our thread ------------------------------------------------------------------------ */

void modules_permanent(bool (*is)(uintptr_t image))
{
	modules.is_permanent = is;
}

void modules_set_main(uintptr_t entry)
{
	for (uint32_t i = 0; i < modules.rows; i++)
		modules.row[i].main = entry >= modules.row[i].start && entry < modules.row[i].limit;
}

uint32_t modules_count(void)
{
	return atomic_load_explicit(&modules.rows, memory_order_acquire);
}

const struct module *modules_at(uint32_t i)
{
	return &modules.row[i];
}

static bool lived(const struct module *m, uint16_t when)
{
	return when == 0 ? m->permanent : !m->permanent && (when == m->born || when == m->last);
}

const struct module *modules_find(frame_t frame)
{
	uintptr_t pc = frame_pc(frame);
	uint16_t when = frame_epoch(frame);

	if (when >= FRAME_ROW_FIRST)
		return &modules.row[when - FRAME_ROW_FIRST];
	for (uint32_t i = 0; i < modules.rows; i++) {
		const struct module *m = &modules.row[i];

		if (pc >= m->start && pc < m->limit && lived(m, when))
			return m;
	}
	return NULL;
}
