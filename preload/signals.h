/* preload/signals.h -- SIGPROF, shared with the host.
 *
 * The kernel's handler is ours.  What the host installs is kept beside it and called for every
 * SIGPROF that is not a tick of ours; while it has a handler, the kernel's flags and mask are
 * the host's, so that its signals interrupt (or not) what they would have interrupted. */
#ifndef PRELOAD_SIGNALS_H
#define PRELOAD_SIGNALS_H

#include "sampler/compiler.h"

/* Install our handler; the present disposition becomes the host's.  0 or -errno.
 * Context: the constructor. */
MUST_CHECK int signals_init(void);

#endif
