/* httpd/registry_sweep.h -- files that processes have left in the registry when they were killed.
 *
 * A file is dead if it is of another boot of this machine; if its process id is nobody's; or if
 * nobody has the abstract name that its process would have (address_discovery), so that what has
 * the id now is another process or program.  A process id means something only in its PID
 * namespace, a name in its network namespace: of files from others nothing is known, and they stay.
 * So does what we have not written ourselves.
 *
 * Context   our thread. */
#ifndef HTTPD_REGISTRY_SWEEP_H
#define HTTPD_REGISTRY_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd/registry_text.h"
#include "sampler/compiler.h"

/* Files to be looked at in one step. */
#define REGISTRY_SWEEP_STEP 32

/* A step through the directory that dir is open on, from *at on (0: from its start).  False: that
 * was all. */
MUST_CHECK bool registry_sweep(int dir, const struct registry_where *here, int64_t *at);

/* Reads what the file of this name says of its place.  0 or -errno; -EINVAL: not one of ours. */
MUST_CHECK int registry_sweep_read(int dir, const char *name, struct registry_where *out);

#endif
