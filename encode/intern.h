/* encode/intern.h -- a set of byte strings, each with a number: the string table of a profile, and
 * whatever else must be said once.
 *
 * Context   one thread, any; memory from the arena only.
 * Cost      one look-up; a key is copied when it is new. */
#ifndef ENCODE_INTERN_H
#define ENCODE_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encode/arena.h"

struct intern_row;

/* Zeroed but for the arena it is empty.  used < rows once there are any. */
struct intern {
	struct arena      *arena;
	struct intern_row *row;         /* open addressing, linear probing */
	size_t             rows;        /* a power of two, or 0 */
	size_t             used;
};

/* True, and *id, if the key is there. */
bool intern_find(const struct intern *t, const void *key, size_t n, uint64_t *id);

/* Adds a key that is not there yet.  False if the arena is full. */
bool intern_add(struct intern *t, const void *key, size_t n, uint64_t id);

#endif
