/* encode/sink.h -- where bytes go.  A sink takes all it is given and remembers its first failure
 * by itself; the writer asks once, at the end. */
#ifndef ENCODE_SINK_H
#define ENCODE_SINK_H

#include <stddef.h>

struct sink {
	void (*write)(struct sink *s, const void *bytes, size_t n);
};

static inline void sink_write(struct sink *s, const void *bytes, size_t n)
{
	s->write(s, bytes, n);
}

#endif
