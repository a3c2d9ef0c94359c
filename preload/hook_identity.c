/* The doors of identity: what the host can no longer be, our thread must not be either.  libc tells
 * its own threads only.  The capabilities are no concern: our thread has had none from birth. */
#include <errno.h>
#include <unistd.h>

#include "httpd/desk.h"
#include "preload/export.h"
#include "preload/real.h"

static int follow(int result)
{
	int host_errno = errno;

	if (result == 0)
		desk_follow();
	errno = host_errno;
	return result;
}

#define IDENTITY_DOOR(name, params, args)       \
	EXPORT int name params;                 \
	EXPORT int name params                  \
	{                                       \
		return follow(real.name args);  \
	}

IDENTITY_DOOR(setuid, (uid_t id), (id))
IDENTITY_DOOR(setgid, (gid_t id), (id))
IDENTITY_DOOR(seteuid, (uid_t id), (id))
IDENTITY_DOOR(setegid, (gid_t id), (id))
IDENTITY_DOOR(setreuid, (uid_t r, uid_t e), (r, e))
IDENTITY_DOOR(setregid, (gid_t r, gid_t e), (r, e))
IDENTITY_DOOR(setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
IDENTITY_DOOR(setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
IDENTITY_DOOR(setgroups, (size_t n, const gid_t *id), (n, id))
IDENTITY_DOOR(initgroups, (const char *user, gid_t id), (user, id))
/* Without CAP_SETGID the groups of before are out of reach. */
IDENTITY_DOOR(capset, (void *head, const void *data), (head, data))
