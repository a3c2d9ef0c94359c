#include "httpd/yield.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "encode/buf.h"
#include "httpd/identity.h"
#include "sampler/os.h"
#include "sampler/sys.h"

static int open_socket(void)
{
	long fd;

	if (!os_has_own_files())
		return -EPERM;
	fd = sys_call3(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? (int)fd : os_high_fd((int)fd);
}

/* Returns the length of the address. */
static size_t name_of(unsigned port, struct sockaddr_un *un)
{
	struct buf b;

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	/* Abstract: a 0, then the name (unix(7)). */
	b = buf_bounded(un->sun_path + 1, sizeof(un->sun_path) - 1);
	buf_string(&b, "pprofshim-port-");
	buf_unsigned(&b, port);
	buf_end(&b);
	return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(un->sun_path + 1);
}

int yield_open(unsigned port)
{
	struct sockaddr_un un;
	size_t len = name_of(port, &un);
	int fd = open_socket(), on = 1;
	long err;

	if (fd < 0)
		return fd;
	err = sys_call6(SYS_setsockopt, fd, SOL_SOCKET, SO_PASSCRED, SYS_ARG(&on), sizeof(on), 0);
	if (err == 0)
		err = sys_call3(SYS_bind, fd, &un, len);
	if (err < 0) {
		os_close(fd);
		return (int)err;
	}
	return fd;
}

/* 1: word of one who may ask; 0: of another; -errno. */
static long receive(int fd)
{
	union {
		struct cmsghdr head;
		char           room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	long err = sys_call3(SYS_recvmsg, fd, &message, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	struct ucred from;

	if (err < 0)
		return err;
	if (c == NULL || c->cmsg_type != SCM_CREDENTIALS)
		return 0;
	memcpy(&from, CMSG_DATA(c), sizeof(from));
	return identity_may_ask(from.uid);
}

bool yield_is_asked(int fd)
{
	bool asked = false;
	long got;

	while ((got = receive(fd)) >= 0)
		asked |= got == 1;
	return asked;
}

bool yield_ask(unsigned port)
{
	struct sockaddr_un un;
	size_t len = name_of(port, &un);
	int fd = open_socket();
	long n;

	if (fd < 0)
		return false;
	n = sys_call6(SYS_sendto, fd, SYS_ARG("?"), 1, MSG_NOSIGNAL, SYS_ARG(&un), (long)len);
	os_close(fd);
	return n == 1;
}
