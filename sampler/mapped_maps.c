/* What is mapped, less what doors have seen.  Counters only grow, so what has become more is
 * allocated, what has become less is freed.  What doors have seen and is not there is gone. */
#include "sampler/mapped.h"

#include <errno.h>
#include <string.h>

#include "sampler/count.h"
#include "sampler/maps_read.h"
#include "sampler/os.h"

/* For whoever has the table: a tenth of a second in all. */
#define TRIES   1000
#define WAIT_NS 100000
/* Above all addresses: and so much may be said to be gone at once (mapped_queue.h). */
#define ADDRESSES_END (UINT64_C(1) << 51)
/* Who asked is gone, if nobody has gone on with it for so long: it begins anew. */
#define STALE_NS 1000000000ull

enum kind { BRK, STACK, OTHER, OURS, KINDS };

/* Counted so far. */
static struct { uint32_t row; int64_t value[2]; } counted[KINDS];

struct sums {
	int64_t   value[KINDS][2];      /* objects, bytes */
	uint64_t  ticket;               /* from before maps was opened */
	uintptr_t end;                  /* of the last line of anonymous memory */
};

/* One comparison at a time: whoever waits for one goes on with it. */
static struct {
	struct maps_reader reader;
	struct sums sums;
	uint64_t begun, ended;          /* how many were */
	uint64_t last_ns;
	unsigned tries;                 /* to have the table */
	int      tid;                   /* of our thread, whose descriptor it is; 0: none is open */
} compare;

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

/* A range that is not there any more: a door's word was lost, or it went by no door. */
static int drop_stale(struct sums *sums, uintptr_t until)
{
	int64_t seen = until > sums->end ? mapped_seen(sums->end, until) : 0;

	if (seen > 0)
		mapped_gone(sums->end, until - sums->end, sums->ticket);
	return seen < 0 ? (int)seen : 0;
}

/* What it says may have changed since the last line: no byte counts twice. */
static int add_line(const struct maps_line *line, void *arg)
{
	struct sums *sums = arg;
	enum kind kind = kind_of(line);
	uintptr_t start = line->start > sums->end ? line->start : sums->end;
	int64_t seen;

	if (kind == KINDS || line->limit <= start)
		return 0;
	seen = drop_stale(sums, start);
	if (seen < 0)
		return (int)seen;
	seen = mapped_seen(start, line->limit);
	if (seen < 0)
		return (int)seen;
	sums->end = line->limit;
	seen = (int64_t)(line->limit - start) - seen;
	sums->value[kind][0] += seen > 0;
	sums->value[kind][1] += seen > 0 ? seen : 0;
	return 0;
}

/* --- its rows -------------------------------------------------------------------------------- */

/* 0: there is no room. */
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
	count_add(COUNT_MMAP_NO_SITE);
	return 0;
}

/* What lives keeps its row. */
static void count(enum kind kind, const int64_t now[2])
{
	int64_t *was = counted[kind].value;
	uint64_t more[2], less[2];

	if (was[0] == 0 && was[1] == 0)
		counted[kind].row = now[0] != 0 || now[1] != 0 ? find_row(kind) : 0;
	if (counted[kind].row == 0)
		return;
	for (unsigned i = 0; i < 2; i++) {
		more[i] = now[i] > was[i] ? (uint64_t)(now[i] - was[i]) : 0;
		less[i] = now[i] < was[i] ? (uint64_t)(was[i] - now[i]) : 0;
		was[i] = now[i];
	}
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

/* --- a piece at a time ----------------------------------------------------------------------- */

static void end_it(void)
{
	if (compare.tid != 0)
		maps_reader_close(&compare.reader);
	compare.tid = 0;
	compare.ended = compare.begun;
}

static bool begin_it(uint64_t now_ns)
{
	int tid = os_gettid();

	if (compare.tid == tid && now_ns - compare.last_ns < STALE_NS)
		return true;
	/* Those of another thread went with it. */
	if (compare.tid == tid)
		maps_reader_close(&compare.reader);
	compare.tid = 0;
	compare.begun++;
	compare.tries = 0;
	memset(&compare.sums, 0, sizeof(compare.sums));
	compare.sums.ticket = mapped_ticket();
	if (compare.sums.ticket == 0 || maps_reader_open(&compare.reader) < 0)
		return false;
	compare.tid = tid;
	return true;
}

static int go_on(void)
{
	int err = maps_reader_step(&compare.reader, add_line, &compare.sums);

	if (err == 0)
		err = drop_stale(&compare.sums, ADDRESSES_END);
	if (err == -EBUSY && compare.tries++ < TRIES)
		return -EBUSY;
	if (err == 0) {
		take_ours(&compare.sums);
		for (unsigned i = 0; i < KINDS; i++)
			count((enum kind)i, compare.sums.value[i]);
	}
	if (err <= 0)
		end_it();       /* with an error it is as it was */
	return err;
}

uint64_t mapped_compare(uint64_t *ticket)
{
	uint64_t now_ns = os_monotonic_ns();

	if (*ticket == 0)
		*ticket = compare.begun + 1;
	if (compare.ended >= *ticket)
		return 0;
	if (!begin_it(now_ns)) {
		end_it();
		return 0;
	}
	compare.last_ns = now_ns;
	if (go_on() == -EBUSY)
		return WAIT_NS;
	return compare.ended >= *ticket ? 0 : 1;
}

void mapped_compare_after_fork(void)
{
	memset(counted, 0, sizeof(counted));
	compare.ended = compare.begun;
	compare.tid = 0;
}
