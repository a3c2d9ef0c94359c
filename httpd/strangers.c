#include "httpd/strangers.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "encode/buf.h"
#include "httpd/head.h"
#include "httpd/identity.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define ANSWER "forbidden: a unix socket is for programs of the same user, and root\n"

/* The first came first. */
struct waiting {
	int      fd;
	uint64_t due_ns;
};

static struct {
	struct waiting waiting[STRANGERS_MAX];
	unsigned       count;
} strangers;

void strangers_after_fork(void)
{
	strangers.count = 0;
}

/* Who cannot be told from a stranger is one. */
static bool is_stranger(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return sys_call6(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, SYS_ARG(&peer), SYS_ARG(&len),
			 0) < 0 ||
	       !identity_may_ask(peer.uid);
}

static void answer(int fd)
{
	const struct head head = { .status = 403, .close = true, .pprof_error = true,
				   .content_type = "text/plain; charset=utf-8",
				   .length = sizeof(ANSWER) - 1,
				   .date_s = (int64_t)(os_realtime_ns() / 1000000000u) };
	char text[1024];
	size_t n = head_write(&head, text, sizeof(text) - sizeof(ANSWER));

	memcpy(text + n, ANSWER, sizeof(ANSWER) - 1);
	/* Its queue is empty, and takes this; if not, so be it. */
	(void)!os_send(fd, text, n + sizeof(ANSWER) - 1);
	sys_call2(SYS_shutdown, fd, SHUT_WR);
}

static void close_first(void)
{
	os_close(strangers.waiting[0].fd);
	strangers.count--;
	memmove(strangers.waiting, strangers.waiting + 1,
		strangers.count * sizeof(strangers.waiting[0]));
}

bool strangers_take(int fd, const struct address *local, uint64_t now_ns)
{
	if (local->family != AF_UNIX || !is_stranger(fd))
		return false;
	answer(fd);
	if (strangers.count == STRANGERS_MAX)
		close_first();
	strangers.waiting[strangers.count++] = (struct waiting){ fd, now_ns + STRANGERS_WAIT_NS };
	return true;
}

uint64_t strangers_due_ns(void)
{
	return strangers.count > 0 ? strangers.waiting[0].due_ns : UINT64_MAX;
}

void strangers_close(uint64_t now_ns)
{
	while (strangers.count > 0 && strangers.waiting[0].due_ns <= now_ns)
		close_first();
}
