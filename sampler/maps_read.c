#include "sampler/maps_read.h"

#include <errno.h>
#include <string.h>

#include "sampler/os.h"

int maps_reader_open(struct maps_reader *m)
{
	m->fd = os_open_read("/proc/thread-self/maps");
	m->have = 0;
	return m->fd < 0 ? m->fd : 0;
}

/* All whole lines that are there; what is left moves to the front. */
static int tell_lines(struct maps_reader *m, int (*f)(const struct maps_line *line, void *arg),
		      void *arg)
{
	size_t at = 0;
	struct maps_line line;
	int err = 0;
	long len;

	while (err >= 0 && (len = maps_parse_line(m->buf + at, m->have - at, &line)) != 0) {
		err = len < 0 ? -EINVAL : f(&line, arg);
		if (err >= 0)
			at += (size_t)len;
	}
	memmove(m->buf, m->buf + at, m->have - at);
	m->have -= at;
	return err < 0 ? err : m->have == sizeof(m->buf) ? -E2BIG : 0;
}

int maps_reader_step(struct maps_reader *m, int (*f)(const struct maps_line *line, void *arg),
		     void *arg)
{
	int err = tell_lines(m, f, arg);
	long n;

	if (err < 0)
		return err;
	n = os_read(m->fd, m->buf + m->have, sizeof(m->buf) - m->have);
	if (n <= 0)
		return (int)n;
	m->have += (size_t)n;
	err = tell_lines(m, f, arg);
	return err < 0 ? err : 1;
}

void maps_reader_close(struct maps_reader *m)
{
	os_close(m->fd);
}
