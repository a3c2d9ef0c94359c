/* sampler/lock_ids.h -- addresses of locks as small numbers, for keys of sites; and which locks of
 * a stack have a row of their own.
 *
 * The first LOCK_IDS_OWN locks of a stack have one.  The others count on one that says 0: a program
 * with a lock in each of its objects would fill the table.
 *
 * Context   any thread, inside handlers; lock-free.  lock_ids_row: between threads_begin and
 *           threads_end.
 * Memory    64 KiB; an id stays what it is, also in a fork child.
 * When full 0, as for a lock that has no row of its own. */
#ifndef SAMPLER_LOCK_IDS_H
#define SAMPLER_LOCK_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/generations.h"

#define LOCK_IDS     4096
#define LOCK_IDS_OWN 6

/* A key whose size will be the id of a lock.  For generations_kind's row: lock_ids_row knows that
 * each of its keys is the first part of one. */
struct lock_key {
	struct site_key key;
	const void     *lock;           /* NULL: none */
};

uint32_t lock_ids_row(struct generations *g, uint64_t now, const struct site_key *key);

/* NULL: there is no such id. */
const void *lock_ids_address(uint32_t id);

#endif
