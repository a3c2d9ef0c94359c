#include "sampler/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler/count.h"
#include "sampler/limits.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/sys.h"

static struct {
	enum log_level max;
	dev_t          dev;             /* what descriptor 2 was */
	ino_t          ino;
	_Atomic int    lines;
} logger;

void log_init(enum log_level max)
{
	struct stat st;

	logger.max = os_fstat(STDERR_FILENO, &st) == 0 ? max : LOG_QUIET;
	logger.dev = st.st_dev;
	logger.ino = st.st_ino;
}

/* What comes from the environment must not end the line, steer a terminal, or take all the room. */
static size_t append(char *line, size_t at, const char *part, size_t n)
{
	bool cut = n > LOG_PART_MAX;
	size_t keep = cut ? LOG_PART_MAX - 3 : n;

	for (size_t i = 0; i < keep && at < LOG_LINE_MAX - 1; i++) {
		unsigned char c = (unsigned char)part[i];

		line[at++] = c < ' ' || c == 127 ? '?' : (char)c;
	}
	return cut ? append(line, at, "...", 3) : at;
}

static size_t append_pid(char *line, size_t at)
{
	char digits[12];
	size_t n = sizeof(digits);
	unsigned pid = (unsigned)os_getpid();

	do
		digits[--n] = (char)('0' + pid % 10);
	while ((pid /= 10) != 0);
	return append(line, at, digits + n, sizeof(digits) - n);
}

/* The host's descriptor 2.  Our thread has a table of its own, without it (birth.c), and borrows it
 * for the line. */
static int open_stderr(void)
{
	long process, fd;

	if (self.phase != SELF_DESK)
		return STDERR_FILENO;
	process = sys_call2(SYS_pidfd_open, os_getpid(), 0);
	if (process < 0)
		return (int)process;
	fd = sys_call3(SYS_pidfd_getfd, process, STDERR_FILENO, 0);
	sys_call1(SYS_close, process);
	return (int)fd;
}

static void close_stderr(int fd)
{
	if (self.phase == SELF_DESK && fd >= 0)
		sys_call1(SYS_close, fd);
}

/* A full pipe would stop us, and a closed one would end the host by SIGPIPE: our thread blocks
 * that signal, the constructor cannot; so ask first. */
static bool is_our_stderr(int fd)
{
	struct stat st;
	struct { int fd; short events, revents; } poll = { fd, 4 /* POLLOUT */, 0 };
	struct timespec now = { 0, 0 };

	return fd >= 0 && os_fstat(fd, &st) == 0 && st.st_dev == logger.dev &&
	       st.st_ino == logger.ino &&
	       sys_call6(SYS_ppoll, SYS_ARG(&poll), 1, SYS_ARG(&now), 0, 0, 0) == 1 &&
	       poll.revents == 4;
}

void log_line(enum log_level level, const char *part, ...)
{
	char line[LOG_LINE_MAX];
	size_t n = append(line, 0, "pprofshim[", 10);
	va_list parts;
	int fd;

	if (level > logger.max || atomic_fetch_add(&logger.lines, 1) >= LOG_LINES_MAX)
		return;
	n = append_pid(line, n);
	n = append(line, n, "]: ", 3);
	va_start(parts, part);
	for (; part != NULL; part = va_arg(parts, const char *))
		n = append(line, n, part, strlen(part));
	va_end(parts);
	line[n++] = '\n';
	fd = open_stderr();
	if (!is_our_stderr(fd) || sys_call3(SYS_write, fd, line, n) != (long)n)
		count_add(COUNT_LOG_LOST);
	close_stderr(fd);
}
