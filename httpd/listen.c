#include "httpd/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "sampler/log.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define BACKLOG 64

/* The file of a unix socket whose server is gone refuses connections: it may be replaced. */
static int replace_stale(int fd, const struct address *a)
{
	int probe = os_socket(AF_UNIX), err;

	if (probe < 0)
		return probe;
	err = os_connect(probe, &a->to.any, a->len);
	os_close(probe);
	if (err != -ECONNREFUSED)
		return -EADDRINUSE;
	sys_call3(SYS_unlinkat, AT_FDCWD, a->to.un.sun_path, 0);
	return os_bind(fd, &a->to.any, a->len);
}

static int bind_free(int fd, struct address *a, unsigned tries)
{
	int err = os_bind(fd, &a->to.any, a->len);

	if (a->family == AF_UNIX)
		return err == -EADDRINUSE ? replace_stale(fd, a) : err;
	while (err == -EADDRINUSE && --tries > 0 && address_port(a) < 65535) {
		address_set_port(a, address_port(a) + 1);
		err = os_bind(fd, &a->to.any, a->len);
	}
	return err;
}

static const char *error_text(int err)
{
	switch (-err) {
	case EADDRINUSE: return "address in use";
	case EACCES: return "permission denied";
	case EADDRNOTAVAIL: return "no such address here";
	case EAFNOSUPPORT: return "address family not supported";
	case EMFILE: return "no descriptor left";
	case ENOENT: return "no such directory";
	default: return "refused by the kernel";
	}
}

static int open_socket(struct listener *l, unsigned tries)
{
	int fd = os_socket(l->address.family), err;

	if (fd < 0)
		return fd;
	err = bind_free(fd, &l->address, tries);
	if (err == 0)
		err = os_listen(fd, BACKLOG);
	/* Port 0: the kernel chose one. */
	if (err == 0 && l->address.family != AF_UNIX)
		err = os_local_address(fd, &l->address.to, &l->address.len);
	if (err < 0) {
		os_close(fd);
		return err;
	}
	return fd;
}

int listen_open(struct listener *l, const struct address *wanted, unsigned tries)
{
	char text[ADDRESS_TEXT_MAX];
	int fd;

	l->address = *wanted;
	fd = open_socket(l, tries);
	l->fd = fd < 0 ? -1 : fd;
	address_format(&l->address, text, sizeof(text));
	if (fd < 0 && fd != l->refused)
		log_line(LOG_ERROR, "cannot listen on ", text, ": ", error_text(fd), NULL);
	else if (fd >= 0 && memcmp(&l->said, &l->address, sizeof(l->said)) != 0)
		log_line(LOG_INFO, "listening on ", text, NULL);
	l->refused = fd < 0 ? fd : 0;
	if (fd >= 0)
		l->said = l->address;
	return fd < 0 ? fd : 0;
}
