/* preload/scope.h -- what the loaded objects define, in the order in which the loader searches.
 *
 * Read from their tables.  A dlsym that fails allocates its message from the host's heap, ends a
 * program whose allocator is not ready (LeakSanitizer's), and leaves the message for the host's
 * next dlerror; so nobody asks dlsym for what may not be there.
 *
 * Context   the constructor, or the first call of a door before it: the loader's list stands still.
 *           After that the list is not read.
 * Missing   an object without hash tables is passed over. */
#ifndef PRELOAD_SCOPE_H
#define PRELOAD_SCOPE_H

#include <stdbool.h>

/* The first definition in any object but ours, NULL if there is none.  Data, and functions whose
 * address is needed rather than a call: of an indirect function this is the resolver. */
void *scope_find(const char *name);

/* True if an object that is searched after us defines it: dlsym(RTLD_NEXT, name) finds it. */
bool scope_has_next(const char *name);

/* True if the program itself defines it. */
bool scope_program_has(const char *name);

/* True if an object that is searched before us defines it: our door is called only by its leave.
 * libc is one of them if we were opened after the start, by dlopen. */
bool scope_is_shadowed(const char *name);

/* The loader and dlsym find these doors of ours no more; who has them already keeps them.  A
 * function that nobody else has would be taken for a feature of the system, and get in front of a
 * later library's own.  False: the kernel refuses, all is as it was. */
bool scope_hide(const char *const *names, unsigned count);

#endif
