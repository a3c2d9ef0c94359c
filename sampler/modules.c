/* Rows are append-only: our thread reads them at leisure.  What handlers need of the same facts is
 * in ranges.c. */
#include "sampler/modules.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "sampler/count.h"
#include "sampler/maps.h"
#include "sampler/objects.h"
#include "sampler/os.h"
#include "sampler/tables.h"

/* Code without a file: a JIT's. */
struct nameless {
	uintptr_t start, limit;
};

static struct {
	struct module *row;             /* MODULES_EVER_MAX, mapped at the first scan */
	_Atomic uint32_t rows;
	bool      present[MODULES_EVER_MAX];    /* found by the scan in progress */
	struct nameless nameless[MODULES_NAMELESS_MAX];
	uint32_t  nameless_count, nameless_found;       /* of the last scan, of this one */
	bool      changed;              /* something was found, or missed, since publish */
	bool    (*is_permanent)(uintptr_t image);
	uint16_t  scanned_epoch;        /* epoch at the end of the last scan */
	uintptr_t ours_start, ours_limit;
	uintptr_t main_stack_hi;
} modules;

static _Atomic uint32_t epoch = 1;
static _Atomic bool     wanted; /* code was met that no range holds */

/* --- for handlers -------------------------------------------------------------------------- */

uint16_t modules_epoch(void)
{
	uint32_t now = atomic_load_explicit(&epoch, memory_order_acquire);

	/* Epochs end before MODULE_ALIVE: after 65,533 dlcloses a wrong name is possible. */
	return now < MODULE_ALIVE ? (uint16_t)now : MODULE_ALIVE - 1;
}

void modules_epoch_next(void)
{
	atomic_fetch_add_explicit(&epoch, 1, memory_order_acq_rel);
}

uint64_t modules_version(void)
{
	return (uint64_t)modules_epoch() << 32 | ranges_version();
}

frame_t modules_frame(uintptr_t pc)
{
	struct range r;

	if (ranges_find(pc, &r) && r.permanent)
		return pc;
	return (pc & 0xffffffffffffu) | (frame_t)modules_epoch() << 48;
}

bool modules_find_range(uintptr_t pc, struct range *out)
{
	if (ranges_find(pc, out))
		return true;
	atomic_store_explicit(&wanted, true, memory_order_relaxed);
	return false;
}

bool modules_are_wanted(void)
{
	return atomic_load_explicit(&wanted, memory_order_relaxed) ||
	       modules_epoch() != modules.scanned_epoch;
}

bool modules_is_code(uintptr_t pc)
{
	struct range r;

	return ranges_find(pc, &r);
}

bool modules_is_ours(uintptr_t pc)
{
	return pc >= modules.ours_start && pc < modules.ours_limit;
}

uintptr_t modules_main_stack_hi(void)
{
	return modules.main_stack_hi;
}

/* --- the scan ------------------------------------------------------------------------------ */

/* What the lines of one object had in common so far. */
struct group {
	struct maps_line first;
	char             path[MODULE_PATH_MAX];
	uintptr_t        image;
};

static struct module *find_row(const struct maps_line *line)
{
	for (uint32_t i = 0; i < modules.rows; i++) {
		struct module *m = &modules.row[i];

		if (m->died == MODULE_ALIVE && m->start == line->start && m->limit == line->limit &&
		    m->offset == line->offset && m->inode == line->inode && m->dev == line->dev)
			return m;
	}
	return NULL;
}

static struct module *add_row(const struct maps_line *line, const struct group *g, bool permanent)
{
	struct module *m = &modules.row[modules.rows];
	struct object object;

	if (modules.rows == MODULES_EVER_MAX) {
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
	m->born = modules.scanned_epoch;
	m->died = MODULE_ALIVE;
	m->permanent =
		permanent && (modules.is_permanent == NULL || modules.is_permanent(g->image));
	m->deleted = line->deleted;
	memcpy(m->path, g->path, sizeof(m->path));
	if (objects_read(m->image, &object)) {
		m->build_id_len = object.build_id_len;
		memcpy(m->build_id, object.build_id, sizeof(m->build_id));
		m->tables = tables_of(&object, m->image, m->permanent, &m->place);
	}
	modules.changed = true;
	atomic_store_explicit(&modules.rows, modules.rows + 1, memory_order_release);
	return m;
}

static bool same_object(const struct group *g, const struct maps_line *line)
{
	return g->first.path_len != 0 && g->first.inode == line->inode &&
	       g->first.dev == line->dev && line->path_len < sizeof(g->path) &&
	       memcmp(g->path, line->path, line->path_len) == 0 && g->path[line->path_len] == '\0';
}

/* An object that went and has come again, to the same place, with nothing in between: a program
 * that loads and unloads its plugins all day must not use up the rows. */
static struct module *find_gone(const struct maps_line *line, const struct group *g)
{
	struct module *found = NULL;
	struct object object;

	for (uint32_t i = 0; i < modules.rows; i++) {
		struct module *m = &modules.row[i];

		if (m->limit <= line->start || m->start >= line->limit)
			continue;
		found = m->died != MODULE_ALIVE && m->start == line->start &&
				m->limit == line->limit && m->offset == line->offset &&
				m->inode == line->inode && m->dev == line->dev &&
				m->image == g->image &&
				memcmp(m->path, g->path, sizeof(m->path)) == 0 ? m : NULL;
	}
	if (found == NULL || found->build_id_len == 0 || !objects_read(found->image, &object) ||
	    object.build_id_len != found->build_id_len ||
	    memcmp(object.build_id, found->build_id, sizeof(object.build_id)) != 0)
		return NULL;
	found->died = MODULE_ALIVE;
	modules.changed = true;
	return found;
}

static void begin_group(struct group *g, const struct maps_line *line)
{
	size_t n = line->path_len < sizeof(g->path) ? line->path_len : sizeof(g->path) - 1;

	memset(g->path, 0, sizeof(g->path));
	memcpy(g->path, line->path, n);
	g->first = *line;
	g->image = line->offset == 0 ? line->start : 0;
}

static void note_special(const struct maps_line *line, bool permanent)
{
	if (permanent && line->path_len == 7 && memcmp(line->path, "[stack]", 7) == 0)
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

static void scan_line(struct group *g, const struct maps_line *line, bool permanent)
{
	struct module *m;
	uintptr_t own = (uintptr_t)&modules_scan;

	note_special(line, permanent);
	/* The vsyscall page is not in the lower half. */
	if ((line->start >> 47) != 0)
		return;
	if (line->path_len == 0) {
		if (line->executable)
			note_nameless(line);
		return;
	}
	/* The beginning of a file is another image of it, unless two segments share its page. */
	if (!same_object(g, line) ||
	    (line->offset == 0 && !objects_has_segment(g->image, line->start)))
		begin_group(g, line);
	if (!line->executable)
		return;
	m = find_row(line);
	if (m == NULL)
		m = find_gone(line, g);
	if (m == NULL)
		m = add_row(line, g, permanent);
	if (m == NULL)
		return;
	m->deleted = line->deleted;
	modules.present[m - modules.row] = true;
	if (permanent && own >= m->start && own < m->limit) {
		modules.ours_start = m->start;
		modules.ours_limit = m->limit;
	}
}

/* A path has 4 KiB at most, and each byte of it takes four where it is escaped: lines longer than
 * the buffer, which end the scan with -E2BIG, there are none. */
static int scan_lines(int fd, bool permanent)
{
	static char buf[20000];
	static struct group g;
	size_t have = 0;
	long n;

	memset(&g, 0, sizeof(g));
	while ((n = os_read(fd, buf + have, sizeof(buf) - have)) > 0) {
		size_t at = 0;
		struct maps_line line;
		long len;

		have += (size_t)n;
		for (; (len = maps_parse_line(buf + at, have - at, &line)) != 0;
		     at += (size_t)len) {
			if (len < 0)
				return -EINVAL;
			scan_line(&g, &line, permanent);
		}
		if (at == 0 && have == sizeof(buf))
			return -E2BIG;
		memmove(buf, buf + at, have - at);
		have -= at;
	}
	return (int)n;
}

/* now: the epoch when the scan began.  Returns the one that it leaves us in. */
static uint16_t bury_absent(uint16_t now)
{
	bool went = false;

	for (uint32_t i = 0; i < modules.rows; i++) {
		struct module *m = &modules.row[i];

		/* It went with a dlclose, which began the present epoch, or inside libc. */
		if (m->died == MODULE_ALIVE && !modules.present[i]) {
			m->died = now > modules.scanned_epoch ? now - 1 : now;
			modules.changed = went = true;
		}
	}
	/* Inside libc: what is in its place from now on is something else. */
	if (went && now == modules.scanned_epoch && modules_epoch() == now) {
		modules_epoch_next();
		now++;
	}
	return now;
}

static void publish(void)
{
	ranges_begin();
	for (uint32_t i = 0; i < modules.rows; i++) {
		const struct module *m = &modules.row[i];
		struct range range = { m->start, m->limit, m->image, m->tables, m->place,
				       m->permanent };

		if (m->died == MODULE_ALIVE)
			ranges_insert(&range);
	}
	for (uint32_t i = 0; i < modules.nameless_count; i++) {
		struct range code = { .start = modules.nameless[i].start,
				      .limit = modules.nameless[i].limit };

		ranges_insert(&code);
	}
	ranges_publish();
}

int modules_scan(bool permanent)
{
	uint16_t epoch_before = modules_epoch();
	int fd, err;

	if (modules.row == NULL)
		modules.row = os_map(MODULES_EVER_MAX * sizeof(struct module));
	if (modules.row == NULL)
		return -ENOMEM;
	fd = os_open_read("/proc/thread-self/maps");
	if (fd < 0)
		return fd;
	atomic_store(&wanted, false);
	memset(modules.present, 0, sizeof(modules.present));
	modules.nameless_found = 0;
	err = scan_lines(fd, permanent);
	os_close(fd);
	if (err < 0)
		return err;
	epoch_before = bury_absent(epoch_before);
	if (modules.nameless_found != modules.nameless_count)
		modules.changed = true;
	modules.nameless_count = modules.nameless_found;
	modules.scanned_epoch = epoch_before;
	if (modules.changed)
		publish();
	modules.changed = false;
	return 0;
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
	return when == 0 ? m->permanent : !m->permanent && when >= m->born && when <= m->died;
}

const struct module *modules_find(frame_t frame)
{
	uintptr_t pc = frame_pc(frame);

	for (uint32_t i = 0; i < modules.rows; i++) {
		const struct module *m = &modules.row[i];

		if (pc >= m->start && pc < m->limit && lived(m, frame_epoch(frame)))
			return m;
	}
	return NULL;
}
