#include "httpd/kin.h"

#include <sys/syscall.h>

#include "httpd/listen.h"
#include "sampler/sys.h"

static enum { NOT_KNOWN, CHILD, NONE } kin;

unsigned kin_user(void)
{
	return (unsigned)sys_call0(SYS_geteuid);
}

/* It may have more rights than what it has started. */
static bool has_parent_of_ours(void)
{
	int parent = (int)sys_call0(SYS_getppid);

	return parent > 0 &&
	       (listen_sees_beacon(kin_user(), parent) || listen_sees_beacon(0, parent));
}

bool kin_is_child(void)
{
	if (kin == NOT_KNOWN)
		kin = has_parent_of_ours() ? CHILD : NONE;
	return kin == CHILD;
}

void kin_after_fork(void)
{
	kin = CHILD;
}
