/* sampler/modules.h -- the objects mapped into this process, now and before.
 *
 * A sampled address means what was mapped there when it was sampled.  Objects present at start
 * are permanent: their addresses mean one thing for ever.  An address in a later object that a scan
 * has seen is recorded with that module's row, once its build id has been found to be there still.
 * Any other one is recorded with the epoch of now, which each dlclose advances, and belongs to what
 * a scan in that same epoch saw there; to nobody, if there was none.
 *
 * Context   modules_frame, modules_find_range, modules_closing: any, inside handlers,
 *           lock-free. modules_at, modules_count: our thread.  What is for modules_scan.c: its one
 *           caller at a time (the constructor, our thread).
 * When full a module more than MODULES_EVER_MAX is not recorded and adds to count.module_no_row;
 *           its addresses are served as of no known module. */
#ifndef SAMPLER_MODULES_H
#define SAMPLER_MODULES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/cfi.h"
#include "sampler/limits.h"
#include "sampler/ranges.h"

/* A recorded address: pc in the low 48 bits.  The high 16: 0 of a permanent object; up to
 * FRAME_EPOCH_LAST an epoch (which stands for all later ones, and for no module); from there on the
 * number of a module's row. */
typedef uint64_t frame_t;

static inline uintptr_t frame_pc(frame_t f) { return (uintptr_t)(f & 0xffffffffffffu); }
static inline uint16_t frame_epoch(frame_t f) { return (uint16_t)(f >> 48); }

#define FRAME_EPOCH_LAST 0x7fff
#define FRAME_ROW_FIRST  0x8000

static_assert(MODULES_EVER_MAX <= 0x10000 - FRAME_ROW_FIRST, "a frame holds any row");

/* One executable mapping of one object.  Written by modules_scan only; never moves. */
struct module {
	uintptr_t start, limit;         /* the executable mapping */
	uint64_t  offset;               /* of start in the file */
	uintptr_t image;                /* lowest address of the object, of its ELF header */
	uint64_t  dev, inode;           /* of the file, as in maps */
	uint16_t  born, last;           /* epochs of the first and the last scan that saw it; 0: of
					 * none while a dlclose was under way */
	bool      alive;
	_Atomic uint32_t verified;      /* epoch + 1 in which it was found to be there */
	uintptr_t build_id_at;          /* where that is mapped */
	bool      permanent;            /* there at start */
	bool      main;                 /* the program itself */
	bool      deleted;              /* its file was unlinked or replaced */
	uint8_t   build_id_len;
	uint8_t   build_id[BUILD_ID_MAX];
	struct tables    *tables;       /* tables.h; NULL: none */
	struct cfi_object place;        /* where they can be read */
	char      path[MODULE_PATH_MAX];        /* "[vdso]" has no file */
};

/* Which images can never be unloaded; NULL (the default): all that a permanent scan finds. */
void modules_permanent(bool (*is)(uintptr_t image));

/* The module that holds this address (the program's entry point) is the program itself. */
void modules_set_main(uintptr_t entry);

/* The dlclose door, before and after the real call: what is recorded from now on is of the next
 * epoch.  Context: any. */
void modules_closing(void);
void modules_closed(void);
/* A fork child: no dlclose is under way. */
void modules_after_fork(void);
uint16_t modules_epoch(void);

/* Changes whenever modules_frame could give another answer than before.  Context: any. */
uint64_t modules_version(void);

/* pc as a frame of now.  Context: any, inside handlers. */
frame_t modules_frame(uintptr_t pc);

/* What is mapped at pc, with its unwind tables: of a later object they are our copy, which exists
 * from the next scan on.  False: nothing that a scan has seen.
 * Context: any, inside handlers. */
bool modules_find_range(uintptr_t pc, struct range *out);

/* True if a scan would probably find something new: a sample met code that no scan has seen, or
 * there was a dlclose.  Context: any. */
bool modules_are_wanted(void);

/* True if pc is in an executable mapping that the last scan saw, of an object or a JIT's. */
bool modules_is_code(uintptr_t pc);

/* End of the mapping that holds the main thread's stack, from the permanent scan; 0 unknown. */
uintptr_t modules_main_stack_hi(void);

/* True for the text of this library itself: frames to leave out. */
bool modules_is_ours(uintptr_t pc);

uint32_t modules_count(void);
const struct module *modules_at(uint32_t i);
/* The module that frame belonged to, or NULL. */
const struct module *modules_find(frame_t frame);

/* --- for modules_scan.c ---------------------------------------------------------------------- */

struct maps_line;

/* Maps the rows, unless that was done.  False: there is no memory. */
bool modules_make_room(void);
/* The lines of a scan follow, from the first one on: what another has found and not ended with is
 * forgotten.  *epoch is that of now.  True: no dlclose is under way. */
bool modules_begin(uint32_t *epoch);
/* One of them, for maps_reader_step.  permanent: a bool, as of modules_scan.  Returns 0. */
int modules_line(const struct maps_line *line, void *permanent);
/* True if nothing went since modules_begin said this. */
bool modules_is_still(uint32_t epoch);
/* That was all, and is known from now on.  good: nothing went since modules_begin said epoch; else
 * only what was known before still is, or is gone. */
void modules_end(bool good, uint32_t epoch);

#endif
