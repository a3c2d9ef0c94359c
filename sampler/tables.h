/* sampler/tables.h -- the unwind tables of each object that was met: where they are, and the rows
 * that our thread has compiled from them.
 *
 * A walk that meets an object without rows asks for them, and interprets its tables meanwhile:
 * 4,000 instructions for an address.  To compile an object takes 3,400 for each of its functions
 * (180 million for gcc's compiler).  So our thread has a budget: of the CPU time that the process
 * has used it may spend 1 % on compiling, and begins with an object when what that will cost fits.
 * A program that lives for a moment hardly pays, one that works for long has its rows.  The ask is
 * kept until then.
 *
 * The tables of what can never be unloaded are read where they are; those of a later object from a
 * copy, so that no reader ever depends on a mapping that may go.  As no rule of its code is kept
 * (unwind_rules.h), it is interpreted in every walk: its rows may come sooner, for 4 %.
 *
 * Context   tables_rows, tables_ask: any, inside handlers.  The rest: our thread (the constructor
 *           before it).
 * Memory    copies and rows within TABLES_BYTES, kept for ever: readers need no lock.  The same
 *           object (build id) loaded a second time finds them again.
 * When full an object is walked by frame pointers, if it may be unloaded, or without rows; adds to
 *           count.module_no_tables. */
#ifndef SAMPLER_TABLES_H
#define SAMPLER_TABLES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/objects.h"
#include "sampler/rows.h"

#define TABLES_BYTES (64u << 20)

struct tables {
	const struct rows *_Atomic rows;        /* NULL: not compiled (yet) */
	_Atomic bool wanted;            /* rows would have been good for something */
	/* For our thread. */
	struct rows compiled;
	size_t      compiled_bytes;     /* 0: none */
	bool        tried;              /* compiled, or never will be */
	struct cfi_object source;       /* for one image: */
	uintptr_t   image;
	uint8_t     build_id[BUILD_ID_MAX];     /* of a copy */
};

/* The tables of the object at image, and how to read them there.  NULL: it has none, or they cannot
 * be had. */
struct tables *tables_of(const struct object *object, uintptr_t image, bool permanent,
			 struct cfi_object *place);

/* How many there are; and to drop the ones after the first n again, which nobody was given. */
unsigned tables_count(void);
/* Bytes of copies and rows, of those that are kept. */
size_t tables_bytes(void);
void tables_forget(unsigned n);

/* Rows would be good for something.  Context: any, inside handlers. */
void tables_ask(struct tables *t);

/* The rows, or NULL: then they are asked for. */
static inline const struct rows *tables_rows(struct tables *t)
{
	const struct rows *rows = atomic_load_explicit(&t->rows, memory_order_acquire);

	if (rows == NULL && !atomic_load_explicit(&t->wanted, memory_order_relaxed))
		tables_ask(t);
	return rows;
}

/* Compile for about a millisecond.  True: there is more to do.  False: nothing, or nothing that the
 * budget has room for: our thread asks again when it is awake anyway. */
bool tables_compile(void);

/* A fork child: rows are compiled anew where they are asked for.  Its only thread. */
void tables_after_fork(void);

#endif
