/* A try begins anew where something went meanwhile, and where it was another thread's.  What it has
 * found is nobody's before its end, but for rows that are alive again. */
#include "sampler/modules_scan.h"

#include <errno.h>

#include "sampler/maps_read.h"
#include "sampler/modules.h"
#include "sampler/os.h"
#include "sampler/tables.h"

#define SCAN_TRIES 5

/* One scan at a time: whoever waits for one goes on with it. */
static struct {
	struct maps_reader reader;
	bool     permanent;
	uint64_t begun, ended;          /* how many were */
	uint32_t epoch;                 /* at the begin of this try */
	unsigned tables, tries;
	bool     quiet;
	int      tid;                   /* of our thread, whose descriptor it is; 0: none is open */
} work;

static int begin_try(bool permanent)
{
	int err;

	work.permanent = permanent;
	work.quiet = modules_begin(&work.epoch);
	err = maps_reader_open(&work.reader);
	work.tid = err < 0 ? 0 : os_gettid();
	return err;
}

static int begin_it(bool permanent)
{
	int err;

	if (!modules_make_room())
		return -ENOMEM;
	work.tries = 0;
	work.tables = tables_count();
	err = begin_try(permanent);
	work.begun += err == 0; /* last: a child forked meanwhile goes on with what has begun */
	return err;
}

static int begin_anew(bool permanent)
{
	tables_forget(work.tables);
	return begin_try(permanent);
}

static void close_maps(void)
{
	if (work.tid != 0)
		maps_reader_close(&work.reader);
	work.tid = 0;
}

/* What is new may be another object than the one we read of, if something went meanwhile: then it
 * is looked at again; after some times what is known already must do.  1: there is more. */
static int end_try(void)
{
	bool good;

	close_maps();
	good = work.permanent || (work.quiet && modules_is_still(work.epoch));
	if (!good && ++work.tries < SCAN_TRIES) {
		int err = begin_anew(work.permanent);

		return err < 0 ? err : 1;
	}
	if (!good)
		tables_forget(work.tables);
	modules_end(good, work.epoch);
	return 0;
}

/* 1: there is more; 0: that was all; -errno: it is as it was. */
static int step(bool permanent)
{
	int err = 1;

	if (work.ended == work.begun)
		err = begin_it(permanent);
	else if (work.tid != os_gettid())       /* another thread's, which is gone with its files */
		err = begin_anew(work.permanent);
	if (err >= 0)
		err = maps_reader_step(&work.reader, modules_line, &work.permanent);
	if (err == 0)
		err = end_try();
	if (err < 0)
		tables_forget(work.tables);
	if (err <= 0) {
		close_maps();
		work.ended = work.begun;
	}
	return err;
}

int modules_scan(bool permanent)
{
	int err;

	if (work.ended != work.begun) {         /* half of one that began before this */
		close_maps();
		tables_forget(work.tables);
		work.ended = work.begun;
	}
	do
		err = step(permanent);
	while (err > 0);
	return err;
}

bool modules_scan_go_on(uint64_t *ticket)
{
	if (*ticket == 0)
		*ticket = work.begun + 1;
	if (work.ended < *ticket && step(false) < 0 && work.begun < *ticket)
		work.begun = work.ended = *ticket;      /* there is none to be had */
	return work.ended < *ticket;
}

void modules_scan_after_fork(void)
{
	work.tid = 0;
}
