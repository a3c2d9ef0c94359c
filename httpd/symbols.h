/* httpd/symbols.h -- the functions of one object, sorted by address.
 *
 * Built in steps, and all of its state is in struct symbols: whoever comes next, job or not, can
 * take the next step.  16 bytes a function; the names stay in the object.
 *
 * Context   our thread.  A step takes some 100 us.
 * Which     functions (STT_FUNC, STT_GNU_IFUNC), and symbols without a type in code, as assembler
 *           has them.  Of several at one address: a function, then an exported one, then one with
 *           a size, then the one with the fewest leading underscores (libc's poll is weak, __poll
 *           global), then global before weak, then the shortest, then by the alphabet.
 * Memory    one mapping of its own, of symbols_bytes; symbols_free gives it back.
 * Tests     test/unit/symbols_test.c, test/fuzz/elf_fuzz.c */
#ifndef HTTPD_SYMBOLS_H
#define HTTPD_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpd/elf.h"
#include "httpd/elf_tables.h"

#define SYMBOLS_SCAN_MAX   (1u << 24)   /* a longer table is cut there */
#define SYMBOLS_NESTED_MAX 16           /* functions inside of a function, in front of an address */

/* What makes one of two symbols at the same address the worse one; in the low bits of key, so that
 * the better one sorts first. */
enum symbols_flaw {
	SYMBOLS_WEAK     = 1,
	SYMBOLS_UNSIZED  = 2,   /* its size was guessed: up to the next symbol */
	SYMBOLS_LOCAL    = 4,
	SYMBOLS_UNTYPED  = 8,
	SYMBOLS_KEY_BITS = 8,
};

struct symbols_entry {
	uint64_t key;           /* address << SYMBOLS_KEY_BITS | flaws */
	uint32_t size;          /* bytes */
	uint32_t name;          /* in the strings of its table */
};

enum symbols_state {
	SYMBOLS_MORE,           /* take another step */
	SYMBOLS_COUNTED,        /* call symbols_map, or give up */
	SYMBOLS_READY,
	SYMBOLS_NONE,           /* no function, or not readable */
};

/* All zero: SYMBOLS_NONE.  Ready: entry[0..count) is sorted, no two of one address. */
struct symbols {
	struct symbols_entry *entry;
	size_t   map_bytes;     /* of entry; written before it: a fork never sees one half */
	uint32_t capacity;      /* functions in the table */
	uint32_t count;
	struct elf_table table;
	uint32_t phase;
	uint64_t at;            /* where the phase is */
	uint32_t kept;          /* settled entries */
	uint64_t reach;         /* end of the furthest-reaching one */
};

void symbols_begin(struct symbols *s, const struct elf_table *table);
enum symbols_state symbols_step(struct symbols *s, const struct elf *e);
/* When counted: what symbols_map will map. */
size_t symbols_bytes(const struct symbols *s);
/* False, and SYMBOLS_NONE from then on, if there is no memory. */
bool symbols_map(struct symbols *s);
/* In any state; afterwards it is all zero. */
void symbols_free(struct symbols *s);

/* The innermost function that holds an address, or NULL.  Context: ready, or NULL comes back. */
const struct symbols_entry *symbols_find(const struct symbols *s, uint64_t address);

static inline uint64_t symbols_address(const struct symbols_entry *entry)
{
	return entry->key >> SYMBOLS_KEY_BITS;
}

/* Its name, without the version that some linkers append ("@@GLIBC_2.2.5").  As elf_string. */
size_t symbols_name(const struct symbols *s, const struct elf *e, const struct symbols_entry *entry,
		    char *buf, size_t capacity);

#endif
