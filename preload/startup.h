/* preload/startup.h -- which of the mapped objects can never be unloaded: those the program was
 * started with.
 *
 * Constructors of other libraries run before ours and may have loaded plugins already; what they
 * loaded can leave again, and its unwind tables may not be read in place.  So an object counts only
 * if it is the program, the loader, the vDSO or a preload, or if one of these needs it.  One that
 * is missed is treated like a plugin, which is safe.
 *
 * Context   the constructor, on the host's thread: asks the loader for its list. */
#ifndef PRELOAD_STARTUP_H
#define PRELOAD_STARTUP_H

#include <stdbool.h>
#include <stdint.h>

/* preloads: the value of LD_PRELOAD, or NULL. */
void startup_init(const char *preloads);

/* True if the object whose ELF header is at image was there at start. */
bool startup_has(uintptr_t image);

#endif
