/* The doors of bind and listen: a port that the host wants and that we hold is the host's, also if
 * we are the desk of the shell that started it, or of the parent that it was forked from. */
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
#include "sampler/threads.h"

/* How long another process may take; its desk may be at a step of a job, or want a CPU. */
#define LEAVE_NS 200000000ull

/* A call that failed because its port is taken, to be made again. */
struct again {
	int                    fd;
	const struct sockaddr *address; /* NULL: it is listen */
	socklen_t              len;
	int                    backlog;
};

static int call(const struct again *a)
{
	return a->address != NULL ? real.bind(a->fd, a->address, a->len)
				  : real.listen(a->fd, a->backlog);
}

/* 0: not a port.  The kernel has read or written the address before us. */
static unsigned port_of(const struct sockaddr *address, socklen_t len)
{
	struct sockaddr_in in;

	/* Of sockaddr_in6 the first fields are the same. */
	if (len < sizeof(in))
		return 0;
	memcpy(&in, address, sizeof(in));
	return in.sin_family == AF_INET || in.sin_family == AF_INET6 ? ntohs(in.sin_port) : 0;
}

static unsigned port_of_socket(int fd)
{
	struct sockaddr_storage room;
	socklen_t len = sizeof(room);

	if (sys_call3(SYS_getsockname, fd, &room, &len) < 0)
		return 0;
	return port_of((const struct sockaddr *)&room, len);
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);
	long err = sys_call6(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, SYS_ARG(&type), SYS_ARG(&len),
			     0);

	return err == 0 && type == SOCK_STREAM;
}

static int call_as_we_leave(const struct again *a, unsigned port)
{
	int result, host_errno;

	desk_hold_off();
	result = call(a);
	host_errno = errno;
	if (result == 0)
		desk_give_port(port);
	desk_let_back();
	errno = host_errno;
	return result;
}

static int call_as_another_leaves(const struct again *a)
{
	uint64_t end = os_monotonic_ns() + LEAVE_NS;
	int result;

	do {
		(void)!os_sleep(200000);
		result = call(a);
	} while (result < 0 && errno == EADDRINUSE && os_monotonic_ns() < end);
	return result;
}

static int call_again(const struct again *a, unsigned port)
{
	if (port == 0 || !is_stream(a->fd))
		return -1;
	if (desk_holds_port(port))
		return call_as_we_leave(a, port);
	if (desk_asks_for_port(port)) {
		errno = EADDRINUSE;
		return call_as_another_leaves(a);
	}
	errno = EADDRINUSE;
	return -1;
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t len)
{
	struct again a = { fd, address, len, 0 };

	if (real.bind(fd, address, len) == 0)
		return 0;
	if (errno != EADDRINUSE || threads_sealed())
		return -1;
	return call_again(&a, port_of(address, len));
}

/* Two sockets with SO_REUSEADDR may have the same port until one of them listens. */
EXPORT int listen(int fd, int backlog)
{
	struct again a = { fd, NULL, 0, backlog };

	if (real.listen(fd, backlog) == 0)
		return 0;
	if (errno != EADDRINUSE || threads_sealed())
		return -1;
	return call_again(&a, port_of_socket(fd));
}
