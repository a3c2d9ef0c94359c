/* test/oracle/report.h -- what the oracle leaves behind for run.py: one shared file for each
 * process, so nothing is lost however that ends.  run.py reads this layout. */
#ifndef TEST_ORACLE_REPORT_H
#define TEST_ORACLE_REPORT_H

#include <stdatomic.h>
#include <stdint.h>

enum {
	REPORT_MAGIC = 0x4f52434c,	/* "ORCL" */
	REPORT_FRAMES = 1024,
	REPORT_MODULES = 256,
	REPORT_RECORDS = 1024,
	REPORT_RECORDS_OF_A_KIND = 512,	/* of a source and a verdict */
	REPORT_MIDWAY = 64,		/* comparisons at once, in all threads */
};

/* Where a stack is taken. */
enum report_source {
	REPORT_TICK,	/* SIGPROF: all registers are known */
	REPORT_HEAP,	/* in a door of malloc: those a called function preserves */
	REPORT_SOURCES,
};

enum report_verdict {
	REPORT_SAME,
	REPORT_CUT,	/* the same, but only libunwind knows that it ends there */
	REPORT_LONGER,	/* theirs is a part of ours, from the leaf on */
	REPORT_MORE,	/* all of theirs are in ours, in this order */
	REPORT_SHORTER,	/* ours is a part of theirs, from the leaf on */
	REPORT_DIFFERENT,
	REPORT_MEMO,	/* ours, with and without what the thread remembers */
	REPORT_VERDICTS,
};

/* What is there for a frame's address, cache and memo aside. */
enum report_layer {
	REPORT_UNSEEN,		/* no scan has seen this code */
	REPORT_NO_TABLES,	/* frame pointers */
	REPORT_INTERPRETED,
	REPORT_COMPILED,
	REPORT_LAYERS,
};

enum report_skip {
	REPORT_NO_SCRATCH,
	REPORT_NESTED,  /* of libunwind's own work */
	REPORT_SKIPS,
};

struct report_module {
	uint64_t lo, hi;
	char name[112];
};

struct report_record {
	uint32_t source, verdict;
	uint32_t ours, theirs;		/* frames */
	uint32_t ours_end, theirs_end;	/* 1: complete */
	uint32_t apart;			/* the first that is not the same */
	uint32_t layer;			/* of the frame before */
	uint64_t reg[17];
	uint64_t our_pc[REPORT_FRAMES], their_pc[REPORT_FRAMES];
};

struct report {
	uint64_t magic;
	char exe[248];
	_Atomic uint64_t verdict[REPORT_SOURCES][REPORT_VERDICTS];
	_Atomic uint64_t complete[REPORT_SOURCES][2];		/* ours, theirs */
	_Atomic uint64_t all[REPORT_SOURCES];			/* complete, and all of theirs are in it */
	_Atomic uint64_t deep[REPORT_SOURCES];			/* cut by the limit of frames */
	_Atomic uint64_t frames[REPORT_SOURCES];
	_Atomic uint64_t layer[REPORT_SOURCES][REPORT_LAYERS];	/* frames */
	_Atomic uint64_t remembered[REPORT_SOURCES];		/* frames: from the memo */
	_Atomic uint64_t skipped[REPORT_SKIPS];
	_Atomic uint64_t midway[REPORT_MIDWAY];			/* pc whose stack libunwind is walking */
	_Atomic uint64_t modules, records;
	struct report_module module[REPORT_MODULES];
	struct report_record record[REPORT_RECORDS];
};

#endif
