/* httpd/registry_file.h -- the file that this process has in the registry.
 *
 * Attacks   the directory may be everybody's (/tmp): nothing is followed, and what is there under
 *           our names is never written to, but replaced, if the kernel lets us.
 * Errors    -errno; -ESRCH: the process ends.
 *
 * Context   our thread, unless said otherwise. */
#ifndef HTTPD_REGISTRY_FILE_H
#define HTTPD_REGISTRY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "httpd/registry_text.h"
#include "sampler/compiler.h"

#define REGISTRY_DIRECTORY_MAX 512

/* A descriptor, or -errno. */
MUST_CHECK int registry_file_open(const char *directory);

/* Makes the file, or replaces it at once by one with this text. */
MUST_CHECK int registry_file_write(int dir, const struct registry_where *here, const char *text,
				   size_t len);
/* False: it was never written, or removed, or another is in its place. */
bool registry_file_is_there(int dir);
/* It will be written under a name that is chosen again. */
void registry_file_rename(void);
/* If it is there. */
void registry_file_remove(int dir);

/* Any thread, when the process ends: by its path, for our thread's descriptors are its own. */
void registry_file_end(const char *directory);

/* A fork child: it has none. */
void registry_file_after_fork(void);

#endif
