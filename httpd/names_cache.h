/* httpd/names_cache.h -- the objects whose functions are known by now: an index and an open file
 * for each.
 *
 * Indexes are built one at a time, by whichever job comes by: a job that is given up half way
 * leaves nothing behind but work for the next one.
 *
 * Context   our thread.
 * Memory    all indexes together <= NAMES_BUDGET_BYTES; the least recently used goes first.
 * Files     at most NAMES_CACHE_FILES_MAX descriptors.  The host may have closed them and taken
 *           their numbers: each is checked before use, and not closed when it is not ours.
 * Tests     test/unit/names_cache_test.c, test/unit/names_jobs_test.c */
#ifndef HTTPD_NAMES_CACHE_H
#define HTTPD_NAMES_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpd/elf.h"
#include "httpd/elf_tables.h"
#include "httpd/names_file.h"
#include "httpd/symbols.h"
#include "sampler/modules.h"

#define NAMES_CACHE_OBJECTS_MAX 256
#define NAMES_CACHE_FILES_MAX   8

enum names_cache_state {
	NAMES_CACHE_NEW,
	NAMES_CACHE_BUILDING,
	NAMES_CACHE_READY,      /* elf is readable, symbols are what could be had: perhaps none */
	NAMES_CACHE_UNREADABLE, /* no file to be trusted; not tried again */
};

struct names_cache_object {
	const struct module   *module;  /* NULL: this row is free */
	uint64_t               used;    /* when: a number that grows */
	enum names_cache_state state;
	bool                   dynamic; /* symbols are of tables.dynamic, not of tables.full */
	struct names_file      file;
	struct elf             elf;     /* fd -1: in memory, or closed meanwhile */
	struct elf_tables      tables;
	struct symbols         symbols;
};

/* What is known of a module, building it first if need be (then it breathes).  Good until the next
 * breath.  NULL: its file cannot be read or trusted. */
const struct names_cache_object *names_cache_get(const struct module *module);

/* Bytes of all indexes. */
size_t names_cache_bytes(void);
void names_cache_reset(void);

#endif
