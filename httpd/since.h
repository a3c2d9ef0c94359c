/* httpd/since.h -- what each client of delta_heap, delta_block and delta_mutex was told last: so
 * that the next time it hears of what has happened since, and only of that, whoever else asks
 * meanwhile.
 *
 * A client is known by its name and the profile.  Rows whose memory goes to others meanwhile are
 * taken care of as in an open window (window.h).
 *
 * Context   our thread; since_begin inside a job, which waits while the same client's request
 *           before is being answered.
 * Memory    mappings of its own, SINCE_BYTES_MAX at most: they outlive requests.
 * When full the client that has not asked for longest is forgotten (count since_forgotten): its
 *           next answer is of all since the start.
 * Fork      a child knows nobody. */
#ifndef HTTPD_SINCE_H
#define HTTPD_SINCE_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd/window.h"

#define SINCE_NAME_MAX  63
#define SINCE_CLIENTS   24              /* eight for each profile, if all ask for all three */
#define SINCE_BYTES_MAX (16u << 20)     /* half a million rows of the heap: 32 bytes each */

/* Makes *w the window from the client's last call (else began_ns, when the process began) until
 * now: it is being read, and is nobody else's turn until it is closed.  Of the heap what is in use
 * is absolute.  0, -EBUSY: no place came free, or -ENOMEM: the arena's or ours; the client is then
 * as it was. */
MUST_CHECK int since_begin(struct window *w, struct arena *arena, const struct ground *ground,
			   enum ground_profile profile, const char *client, uint64_t began_ns);
/* It has been answered: the next window begins where this one ends. */
void since_commit(struct window *w);

/* For window.c: this row is another site's from now on, which begins at 0. */
void since_moved(enum ground_profile profile, uint32_t row);
void since_after_fork(void);

#endif
