#include "sampler/maps_read.h"

#include <errno.h>
#include <string.h>

#include "sampler/os.h"

static int read_lines(int fd, int (*f)(const struct maps_line *line, void *arg), void *arg)
{
	static char buf[20000];
	size_t have = 0;
	long n;

	while ((n = os_read(fd, buf + have, sizeof(buf) - have)) > 0) {
		size_t at = 0;
		struct maps_line line;
		long len;

		have += (size_t)n;
		for (; (len = maps_parse_line(buf + at, have - at, &line)) != 0;
		     at += (size_t)len) {
			int err = len < 0 ? -EINVAL : f(&line, arg);

			if (err < 0)
				return err;
		}
		if (at == 0 && have == sizeof(buf))
			return -E2BIG;
		memmove(buf, buf + at, have - at);
		have -= at;
	}
	return (int)n;
}

int maps_read(int (*f)(const struct maps_line *line, void *arg), void *arg)
{
	int fd = os_open_read("/proc/thread-self/maps"), err;

	if (fd < 0)
		return fd;
	err = read_lines(fd, f, arg);
	os_close(fd);
	return err;
}
