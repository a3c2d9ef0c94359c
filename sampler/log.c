#include "sampler/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/limits.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/sys.h"

/* Which file a descriptor is.  A file that comes after a removed one often gets its inode's number
 * (ext4), but another time of birth; 0 where the kernel does not say. */
struct identity {
	dev_t    dev;
	ino_t    ino;
	uint64_t born_s;
	uint32_t born_ns;
};

static struct {
	enum log_level  max;
	struct identity file;           /* what descriptor 2 was */
	_Atomic int     lines;
} logger;

static NOINLINE void read_birth(int fd, struct identity *id)
{
	struct statx x;

	id->born_s = id->born_ns = 0;
	if (sys_call6(SYS_statx, fd, SYS_ARG(""), AT_EMPTY_PATH, STATX_BTIME, SYS_ARG(&x), 0) < 0 ||
	    (x.stx_mask & STATX_BTIME) == 0)
		return;
	id->born_s = (uint64_t)x.stx_btime.tv_sec;
	id->born_ns = x.stx_btime.tv_nsec;
}

static NOINLINE bool read_number(int fd, struct identity *id)
{
	struct stat st;

	if (os_fstat(fd, &st) < 0)
		return false;
	id->dev = st.st_dev;
	id->ino = st.st_ino;
	return true;
}

static bool identify(int fd, struct identity *id)
{
	read_birth(fd, id);
	return read_number(fd, id);
}

void log_init(enum log_level max)
{
	logger.max = identify(STDERR_FILENO, &logger.file) ? max : LOG_QUIET;
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

static bool has_to_borrow(void)
{
	return self.phase == SELF_DESK && os_has_own_files();
}

/* The host's descriptor 2.  Our thread has a table of its own, without it (birth.c), and borrows it
 * for the line. */
static int open_stderr(void)
{
	long process, fd;

	if (!has_to_borrow())
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
	if (has_to_borrow() && fd >= 0)
		sys_call1(SYS_close, fd);
}

/* A full pipe would stop us, and a closed one would end the host by SIGPIPE: our thread blocks
 * that signal, the constructor cannot; so ask first. */
static NOINLINE bool is_our_stderr(int fd)
{
	struct identity now_is;
	struct { int fd; short events, revents; } poll = { fd, 4 /* POLLOUT */, 0 };
	struct timespec now = { 0, 0 };

	return fd >= 0 && identify(fd, &now_is) && now_is.dev == logger.file.dev &&
	       now_is.ino == logger.file.ino && now_is.born_s == logger.file.born_s &&
	       now_is.born_ns == logger.file.born_ns &&
	       sys_call6(SYS_ppoll, SYS_ARG(&poll), 1, SYS_ARG(&now), 0, 0, 0) == 1 &&
	       poll.revents == 4;
}

/* Beside the look at the file, not below it: a tick may have little stack (check-stack). */
static NOINLINE bool write_line(int fd, const char *part, va_list parts)
{
	char line[LOG_LINE_MAX];
	size_t n = append(line, 0, "pprofshim[", 10);

	n = append_pid(line, n);
	n = append(line, n, "]: ", 3);
	for (; part != NULL; part = va_arg(parts, const char *))
		n = append(line, n, part, strlen(part));
	line[n++] = '\n';
	return sys_call3(SYS_write, fd, line, n) == (long)n;
}

void log_line(enum log_level level, const char *part, ...)
{
	va_list parts;
	int fd;

	if (level > logger.max || atomic_fetch_add(&logger.lines, 1) >= LOG_LINES_MAX)
		return;
	fd = open_stderr();
	va_start(parts, part);
	if (!is_our_stderr(fd) || !write_line(fd, part, parts))
		count_add(COUNT_LOG_LOST);
	va_end(parts);
	close_stderr(fd);
}
