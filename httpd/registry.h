/* httpd/registry.h -- PPROFSHIM_REGISTRY: a directory in which each process of ours has a file that
 * says where it listens, for scrapers that watch it (Prometheus' file_sd) and for tools.
 *
 * Files     PID.json; where that is a process' of another PID namespace, PID.NAMESPACE.json.  Made
 *           as .json.new and renamed, so that nobody ever reads a half.  Readable by all (0644),
 *           whatever the umask: scrapers are other users, and nothing in it is secret; who shall
 *           not read it is kept out by the directory's mode.  Never through a symbolic link, not
 *           even one to the directory.
 * At the end of the process the file goes, if that can be seen.  One that was killed leaves its
 *           own: who begins after it looks through the directory, and removes the files of
 *           processes that are gone or do not serve any more.
 * Errors    are said once, and tried again; EPERM and what a security module refuses at LOG_INFO.
 *
 * Context   our thread, unless said otherwise. */
#ifndef HTTPD_REGISTRY_H
#define HTTPD_REGISTRY_H

#include <stddef.h>

#include "httpd/address.h"
#include "sampler/log.h"

/* The directory, absolute; "": none.  Context: the constructor. */
void registry_init(const char *directory);

/* We listen at these now.  What goes wrong is said at that level. */
void registry_tell(const struct address *const *open, size_t count, enum log_level level);
/* We listen nowhere. */
void registry_forget(void);
/* Now and then: what could not be written, or was removed, is written; dead files are removed, some
 * each time. */
void registry_look(void);

/* Any thread of this process, when it ends. */
void registry_end(void);

/* A fork child: it has no file yet. */
void registry_after_fork(void);

#endif
