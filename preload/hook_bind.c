/* The bind door: a port that the host wants and that we hold is the host's, also if we are the desk
 * of the shell that started it. */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "httpd/desk.h"
#include "preload/export.h"
#include "preload/real.h"
#include "sampler/os.h"
#include "sampler/sys.h"

/* How long another process may take; its desk may be at a step of a job, or want a CPU. */
#define LEAVE_NS 200000000ull

/* 0: not a port.  The kernel has read the address before us. */
static unsigned port_of(const struct sockaddr *address, socklen_t len)
{
	struct sockaddr_in in;

	/* Of sockaddr_in6 the first fields are the same. */
	if (len < sizeof(in))
		return 0;
	memcpy(&in, address, sizeof(in));
	return in.sin_family == AF_INET || in.sin_family == AF_INET6 ? ntohs(in.sin_port) : 0;
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);
	long err = sys_call6(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, SYS_ARG(&type), SYS_ARG(&len),
			     0);

	return err == 0 && type == SOCK_STREAM;
}

static int bind_as_we_leave(int fd, const struct sockaddr *address, socklen_t len, unsigned port)
{
	int result, host_errno;

	desk_hold_off();
	result = real.bind(fd, address, len);
	host_errno = errno;
	if (result == 0)
		desk_give_port(port);
	desk_let_back();
	errno = host_errno;
	return result;
}

static int bind_as_another_leaves(int fd, const struct sockaddr *address, socklen_t len)
{
	uint64_t end = os_monotonic_ns() + LEAVE_NS;
	int result;

	do {
		(void)!os_sleep(200000);
		result = real.bind(fd, address, len);
	} while (result < 0 && errno == EADDRINUSE && os_monotonic_ns() < end);
	return result;
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t len)
{
	int result = real.bind(fd, address, len);
	unsigned port;

	if (result == 0 || errno != EADDRINUSE)
		return result;
	port = port_of(address, len);
	if (port == 0 || !is_stream(fd))
		return result;
	if (desk_holds_port(port))
		return bind_as_we_leave(fd, address, len, port);
	if (desk_asks_for_port(port))
		return bind_as_another_leaves(fd, address, len);
	return result;
}
