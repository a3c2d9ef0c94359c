#include "httpd/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "sampler/os.h"
#include "sampler/sys.h"

/* Who comes when the queue is full waits a second and tries again: so it is long (Go's: 4096). */
#define BACKLOG 512

/* Whoever may read a directory may lock it, too, for as long as he likes. */
#define TURNS_MAX 8

/* --- is anybody there? ----------------------------------------------------------------------- */

static int open_datagrams(void)
{
	long fd = sys_call3(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? (int)fd : os_high_fd((int)fd);
}

/* As connect says; closes fd. */
static int knock(int fd, const struct address *a)
{
	int err = fd < 0 ? fd : os_connect(fd, &a->to.any, a->len);

	os_close(fd);
	return err;
}

/* Where the name is a file: 0 if somebody has it, of any type and whether it listens or not;
 * -ECONNREFUSED if nobody.  A datagram socket is no client of a stream, which does not notice. */
static int probe(const struct address *a)
{
	int err = knock(open_datagrams(), a);

	return err == -EPROTOTYPE ? 0 : err;
}

int listen_beacon(unsigned uid, int pid)
{
	struct address a;
	int fd, err;

	/* Among the host's descriptors it would be one more to be seen. */
	fd = os_has_own_files() ? open_datagrams() : -EPERM;
	if (fd < 0)
		return fd;
	address_beacon(&a, uid, pid);
	err = os_bind(fd, &a.to.any, a.len);
	if (err < 0)
		os_close(fd);
	return err < 0 ? err : fd;
}

bool listen_sees_beacon(unsigned uid, int pid)
{
	struct address a;

	address_beacon(&a, uid, pid);
	return knock(open_datagrams(), &a) == 0;
}

bool listen_finds(unsigned uid, int pid)
{
	struct address a;

	if (listen_sees_beacon(uid, pid))
		return true;
	address_discovery(&a, uid, pid);
	return knock(os_socket(AF_UNIX), &a) != -ECONNREFUSED;
}

/* --- files ----------------------------------------------------------------------------------- */

/* A descriptor that holds the lock; -EAGAIN: somebody else does; < 0: this directory has none for
 * us. */
static int lock_directory(const struct address *a)
{
	char path[sizeof(a->to.un.sun_path)];
	int fd, err;

	strcpy(path, a->to.un.sun_path);
	strrchr(path, '/')[1] = '\0';
	fd = os_open_dir(path);
	if (fd < 0)
		return -ENOENT;
	err = (int)sys_call2(SYS_flock, fd, LOCK_EX | LOCK_NB);
	if (err < 0)
		os_close(fd);
	return err == -EAGAIN ? err : err < 0 ? -ENOENT : fd;
}

/* 0: nobody serves there. */
static int look(const struct address *a)
{
	struct stat st;
	int err = os_stat_no_link(a->to.un.sun_path, &st);

	if (err < 0)
		return err == -ENOENT ? 0 : err;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	err = probe(a);
	return err == 0 ? -EADDRINUSE : err == -ECONNREFUSED || err == -ENOENT ? 0 : err;
}

static int replace(int fd, const struct address *a)
{
	int err = look(a);

	if (err == 0)
		err = (int)sys_call3(SYS_unlinkat, AT_FDCWD, a->to.un.sun_path, 0);
	if (err == 0 || err == -ENOENT)
		err = os_bind(fd, &a->to.any, a->len);
	return err;
}

static int replace_stale(int fd, struct listener *l)
{
	int err = look(&l->address), lock;

	if (err < 0)
		return err;
	lock = lock_directory(&l->address);
	if (lock == -EAGAIN && ++l->waited < TURNS_MAX)
		return -EAGAIN;
	l->waited = 0;
	err = replace(fd, &l->address);
	os_close(lock);
	return err;
}

static void remember_file(struct listener *l)
{
	struct stat st;

	l->dev = l->ino = 0;
	if (address_is_file(&l->address) && os_stat_no_link(l->address.to.un.sun_path, &st) == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
}

void listen_unlink(const struct listener *l)
{
	struct stat st;

	if (l->ino != 0 && os_stat_no_link(l->address.to.un.sun_path, &st) == 0 &&
	    st.st_dev == l->dev && st.st_ino == l->ino)
		sys_call3(SYS_unlinkat, AT_FDCWD, l->address.to.un.sun_path, 0);
}

/* --- opening --------------------------------------------------------------------------------- */

static int bind_and_listen(int fd, struct listener *l, const struct listen_options *options)
{
	int on = 1, err;

	if (l->address.family == AF_INET6 && options->v6_only)
		sys_call6(SYS_setsockopt, fd, IPPROTO_IPV6, IPV6_V6ONLY, SYS_ARG(&on), sizeof(on),
			  0);
	err = os_bind(fd, &l->address.to.any, l->address.len);
	if (err == -EADDRINUSE && address_is_file(&l->address))
		err = replace_stale(fd, l);
	return err < 0 ? err : os_listen(fd, BACKLOG);
}

/* Both of two may bind a port, before the first of them listens: then it is the other's. */
static int open_once(struct listener *l, const struct listen_options *options)
{
	int fd = os_socket(l->address.family), err;

	if (fd < 0)
		return fd;
	err = bind_and_listen(fd, l, options);
	/* Port 0: the kernel chose one. */
	if (err == 0 && l->address.family != AF_UNIX)
		err = os_local_address(fd, &l->address.to, &l->address.len);
	if (err < 0) {
		os_close(fd);
		return err;
	}
	remember_file(l);
	return fd;
}

static int open_free(struct listener *l, const struct listen_options *options)
{
	unsigned port = address_port(&l->address);
	int fd = open_once(l, options);

	for (unsigned i = 1; fd == -EADDRINUSE && port != 0 && i < options->tries; i++) {
		if (port + i > 65535)
			break;
		address_set_port(&l->address, port + i);
		fd = open_once(l, options);
	}
	return fd;
}

static const char *error_text(int err)
{
	switch (-err) {
	case EADDRINUSE: return "address in use";
	case EACCES:
	case EPERM: return "permission denied";
	case EADDRNOTAVAIL: return "no such address here";
	case EAFNOSUPPORT: return "address family not supported";
	case EMFILE: return "no descriptor left";
	case ENOENT:
	case ENOTDIR: return "no such directory";
	case ELOOP: return "a symbolic link is in its place";
	case EEXIST: return "another file is in its place";
	case EROFS: return "a read-only file system";
	default: return "refused by the kernel";
	}
}

static void say(struct listener *l, const struct address *wanted, int fd,
		const struct listen_options *options)
{
	char text[ADDRESS_TEXT_MAX];

	address_format(fd < 0 ? wanted : &l->address, text, sizeof(text));
	if (fd < 0 && fd != l->refused)
		log_line(options->refused_at, "cannot listen on ", text, ": ", error_text(fd),
			 options->instead, NULL);
	else if (fd >= 0 && memcmp(&l->said, &l->address, sizeof(l->said)) != 0)
		log_line(options->said_at, "listening on ", text, NULL);
	l->refused = fd < 0 ? fd : 0;
	if (fd >= 0)
		l->said = l->address;
}

int listen_open(struct listener *l, const struct address *wanted,
		const struct listen_options *options)
{
	int fd;

	l->address = *wanted;
	l->dev = l->ino = 0;
	fd = open_free(l, options);
	l->fd = fd < 0 ? -1 : fd;
	if (fd != -EAGAIN)
		say(l, wanted, fd, options);
	return fd < 0 ? fd : 0;
}

void listen_close(struct listener *l)
{
	listen_unlink(l);
	os_close(l->fd);
	l->fd = -1;
	l->dev = l->ino = 0;
}
