/* sampler/maps.h -- one line of /proc/PID/maps (proc(5)).  Pure: fuzzed, any thread. */
#ifndef SAMPLER_MAPS_H
#define SAMPLER_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maps_line {
	uintptr_t   start, limit;
	uint64_t    offset;
	uint64_t    dev, inode;         /* dev: major << 32 | minor */
	bool        readable, writable, executable;
	bool        deleted;            /* the path ended in " (deleted)": path does not */
	const char *path;               /* into the input; path_len 0: anonymous */
	size_t      path_len;
};

/* Looks at buf[0..len) only.  Returns the length of the line with its newline, 0 if no newline is
 * there yet, or -1 if the bytes up to the newline are not a line of maps. */
long maps_parse_line(const char *buf, size_t len, struct maps_line *out);

#endif
