/* httpd/identity.h -- whose rights a thread has, as far as it can give them up: user, group and
 * supplementary groups.
 *
 * Context   any thread of the host, not inside a handler: some system calls, and memory of our own
 *           for a moment when there are many groups. */
#ifndef HTTPD_IDENTITY_H
#define HTTPD_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"

struct identity {
	uint32_t uid[3], gid[3];        /* real, effective, saved */
	int      groups;                /* how many */
	uint64_t groups_hash;
};

/* Of the calling thread. */
void identity_get(struct identity *id);

/* True if the calling thread cannot be any more what *had says: a user or group id is none of its
 * three now, or its supplementary groups differ and it has lost the right to change them. */
bool identity_gave_up(const struct identity *had);

/* Context: our thread.  True if a process with this effective user id, as the kernel told us, may
 * ask us: it is our own, or root's.  While the host plays another user (seteuid) ours is what it
 * can be again; when it has given that up our thread has, too.
 *
 * In a user namespace ids are those of the namespace.  Who has none there is 65534 for all of us
 * (user_namespaces(7)), and may be anybody: where there can be such, that number is nobody's own.
 * So root outside is not root here. */
MUST_CHECK bool identity_may_ask(uint32_t uid);

/* What identity_may_ask says; uid_map is /proc/self/uid_map.  Pure. */
MUST_CHECK bool identity_is_trusted(uint32_t uid, uint32_t own, const char *uid_map);

#endif
