/* httpd/identity.h -- whose rights a thread has, as far as it can give them up: user, group and
 * supplementary groups.
 *
 * Context   any thread of the host, not inside a handler: some system calls, and memory of our own
 *           for a moment when there are many groups. */
#ifndef HTTPD_IDENTITY_H
#define HTTPD_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

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

#endif
