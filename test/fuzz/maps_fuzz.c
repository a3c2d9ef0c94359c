/* Any bytes as lines of /proc/PID/maps, read one after the other as a scan does, with the rules
 * written down again in the simplest way. */
#include <stdint.h>
#include <stdio.h>

#include "fuzz/wall.h"
#include "sampler/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

/* Takes a number, in 128 bits so that one over 64 shows.  False: there is none. */
static bool number(const char **at, const char *end, unsigned base, uint64_t *out)
{
	static const char digits[] = "0123456789abcdef";
	unsigned __int128 n = 0;
	const char *start = *at;

	for (; *at < end && memchr(digits, **at, base) != NULL; ++*at) {
		n = n * base + (unsigned)((const char *)memchr(digits, **at, base) - digits);
		if (n > UINT64_MAX)
			return false;
	}
	*out = (uint64_t)n;
	return *at > start;
}

static bool byte(const char **at, const char *end, char c)
{
	return *at < end && *(*at)++ == c;
}

static bool flag(const char **at, const char *end, char c, bool *out)
{
	if (*at == end || (**at != c && **at != '-'))
		return false;
	*out = *(*at)++ == c;
	return true;
}

/* True if [at, end), without the newline, is a line. */
static bool is_line(const char *at, const char *end, struct maps_line *out)
{
	uint64_t start, limit, major, minor;

	if (!number(&at, end, 16, &start) || !byte(&at, end, '-') ||
	    !number(&at, end, 16, &limit) ||
	    !byte(&at, end, ' ') || !flag(&at, end, 'r', &out->readable) ||
	    !flag(&at, end, 'w', &out->writable) || !flag(&at, end, 'x', &out->executable) ||
	    at == end)
		return false;
	at++;
	if (!byte(&at, end, ' ') || !number(&at, end, 16, &out->offset) || !byte(&at, end, ' ') ||
	    !number(&at, end, 16, &major) || !byte(&at, end, ':') ||
	    !number(&at, end, 16, &minor) || !byte(&at, end, ' ') ||
	    !number(&at, end, 10, &out->inode) || start >= limit)
		return false;
	while (at < end && *at == ' ')
		at++;
	out->start = start;
	out->limit = limit;
	out->dev = major << 32 | (minor & 0xffffffffu);
	out->path = at;
	out->path_len = (size_t)(end - at);
	out->deleted = out->path_len > 10 && memcmp(end - 10, " (deleted)", 10) == 0;
	out->path_len -= out->deleted ? 10 : 0;
	return true;
}

static void compare(const struct maps_line *a, const struct maps_line *b)
{
	demand(a->start == b->start && a->limit == b->limit && a->offset == b->offset);
	demand(a->dev == b->dev && a->inode == b->inode && a->deleted == b->deleted);
	demand(a->readable == b->readable && a->writable == b->writable);
	demand(a->executable == b->executable && a->path_len == b->path_len);
	demand(a->path == b->path);
}

/* A line that was understood can be written again, and says the same. */
static void write_again(const struct maps_line *line)
{
	char *text = wall_room(line->path_len + 256);
	struct maps_line again;
	int len = snprintf(text, 256, "%lx-%lx %c%c%cp %lx %lx:%lx %lu ", line->start, line->limit,
			   line->readable ? 'r' : '-', line->writable ? 'w' : '-',
			   line->executable ? 'x' : '-', line->offset, line->dev >> 32,
			   line->dev & 0xffffffffu, line->inode);
	size_t n = (size_t)len;

	memcpy(text + n, line->path, line->path_len);
	n += line->path_len;
	if (line->deleted) {
		memcpy(text + n, " (deleted)", 10);
		n += 10;
	}
	text[n++] = '\n';
	demand(maps_parse_line(text, n, &again) == (long)n);
	demand(again.path_len == line->path_len &&
	       memcmp(again.path, line->path, line->path_len) == 0);
	again.path = line->path;
	compare(&again, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	if (size >= WALL_ROOM)
		return 0;
	while (at < size) {
		const char *text = wall_copy(data + at, size - at);
		const char *newline = memchr(text, '\n', size - at);
		struct maps_line got, want;
		long n = maps_parse_line(text, size - at, &got);

		demand((n == 0) == (newline == NULL));
		if (newline == NULL)
			break;
		demand((n > 0) == is_line(text, newline, &want));
		if (n > 0) {
			demand(n == newline + 1 - text);
			compare(&got, &want);
			write_again(&got);
		}
		at += (size_t)(newline + 1 - text);
	}
	return 0;
}
