/* What is mapped, less what doors have seen.  Counters only grow, so what has become more is
 * allocated, what has become less is freed.  What doors have seen and is not there is gone. */
#include "sampler/mapped.h"

#include <errno.h>
#include <string.h>

#include "sampler/maps_read.h"
#include "sampler/os.h"

/* For whoever has the table: a hundredth of a second in all. */
#define TRIES  100
#define WAIT_NS 100000

enum kind { BRK, STACK, OTHER, OURS, KINDS };

/* Counted so far. */
static struct { uint32_t row; int64_t value[2]; } counted[KINDS];

struct sums {
	int64_t   value[KINDS][2];      /* objects, bytes */
	uint64_t  ticket;               /* from before maps was opened */
	uintptr_t end;                  /* of the last line of anonymous memory */
	unsigned  tries;                /* of them all, to have the table */
};

/* KINDS: not anonymous. */
static enum kind kind_of(const struct maps_line *line)
{
	static const struct { const char *path; enum kind kind; } known[] = {
		{ "", OTHER },         { "[heap]", BRK },       { "[stack]", STACK },
		{ "/dev/zero", OTHER }, { "[anon:", OTHER },    { "[anon_shmem:", OTHER },
		{ "/anon_hugepage", OTHER },
	};

	/* Of the file itself the kernel says no "(deleted)". */
	for (unsigned i = 0; i < COUNT_OF(known); i++) {
		size_t n = strlen(known[i].path);
		bool begins = line->path_len >= n && memcmp(line->path, known[i].path, n) == 0;

		if (begins && (line->path_len == n || (n > 1 && known[i].path[n - 1] == ':')))
			return n > 0 && known[i].path[0] == '/' && !line->deleted ? KINDS
										   : known[i].kind;
	}
	return KINDS;
}

static int64_t count_seen(struct sums *sums, uintptr_t start, uintptr_t end)
{
	int64_t n;

	while ((n = mapped_seen(start, end)) < 0)
		if (sums->tries++ == TRIES || os_sleep(WAIT_NS) < 0)
			break;
	return n;
}

/* A range that is not there any more: a door's word was lost, or it went by no door. */
static int drop_stale(struct sums *sums, uintptr_t until)
{
	int64_t seen = until > sums->end ? count_seen(sums, sums->end, until) : 0;

	if (seen > 0)
		mapped_gone(sums->end, until - sums->end, sums->ticket);
	return seen < 0 ? (int)seen : 0;
}

static int add_line(const struct maps_line *line, void *arg)
{
	struct sums *sums = arg;
	enum kind kind = kind_of(line);
	int64_t seen;

	if (kind == KINDS)
		return 0;
	seen = drop_stale(sums, line->start);
	if (seen < 0)
		return (int)seen;
	sums->end = line->limit;
	seen = count_seen(sums, line->start, line->limit);
	if (seen < 0)
		return (int)seen;
	seen = (int64_t)(line->limit - line->start) - seen;
	sums->value[kind][0] += seen > 0;
	sums->value[kind][1] += seen > 0 ? seen : 0;
	return 0;
}

/* --- its rows -------------------------------------------------------------------------------- */

static uint32_t find_row(enum kind kind)
{
	static const frame_t frame[KINDS] = { FRAME_MAPPED_BRK, FRAME_MAPPED_STACK,
					      FRAME_MAPPED_OTHER, FRAME_MAPPED_OURS };
	struct site_key key = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t now = generations_now(&mapped_table);
		uint32_t id = stacks_child(&generations_at(&mapped_table, now)->stacks, 0,
					   frame[kind]);
		uint32_t row = 0;

		key.stack = generations_stack(now, id);
		if (id != 0)
			row = generations_row(&mapped_table, now, &key);
		if (row != 0)
			return row;
		if (!generations_next(&mapped_table, now))
			break;
	}
	return GENERATIONS_NO_ROOM;
}

/* What lives keeps its row. */
static void count(enum kind kind, const int64_t now[2])
{
	int64_t *was = counted[kind].value;
	uint64_t more[2], less[2];

	if (was[0] == 0 && was[1] == 0)
		counted[kind].row = now[0] != 0 || now[1] != 0 ? find_row(kind) : 0;
	for (unsigned i = 0; i < 2; i++) {
		more[i] = now[i] > was[i] ? (uint64_t)(now[i] - was[i]) : 0;
		less[i] = now[i] < was[i] ? (uint64_t)(was[i] - now[i]) : 0;
		was[i] = now[i];
	}
	if (counted[kind].row == 0)
		return;
	sites_add(&mapped_table.sites, counted[kind].row, MAPPED_ALLOC_OBJECTS, more[0], more[1]);
	sites_add(&mapped_table.sites, counted[kind].row, MAPPED_FREE_OBJECTS, less[0], less[1]);
}

/* Ours are among the others; for one object, as nobody counts them. */
static void take_ours(struct sums *sums)
{
	int64_t *other = &sums->value[OTHER][1], ours = (int64_t)os_mapped_bytes();

	sums->value[OURS][0] = 1;
	sums->value[OURS][1] = ours;
	*other = *other > ours ? *other - ours : 0;
}

void mapped_compare(void)
{
	struct sums sums;

	memset(&sums, 0, sizeof(sums));
	sums.ticket = mapped_ticket();
	if (sums.ticket == 0 || maps_read(add_line, &sums) < 0)
		return;         /* as it was */
	if (drop_stale(&sums, UINTPTR_MAX) < 0)
		return;
	take_ours(&sums);
	for (unsigned i = 0; i < KINDS; i++)
		count((enum kind)i, sums.value[i]);
}

void mapped_compare_after_fork(void)
{
	memset(counted, 0, sizeof(counted));
}
