#include "sampler/status.h"

#include <stddef.h>
#include <string.h>

#include "sampler/os.h"

/* The signals come within the first KiB and a half, unless the thread has hundreds of groups. */
#define STATUS_BYTES 4096

/* Puts "/proc/thread-self/../TID/status" together: /proc/self is gone when main has left. */
static void make_path(int tid, char path[static 64])
{
	static const char front[] = "/proc/thread-self/../", back[] = "/status";
	char digits[12];
	size_t n = sizeof(digits), at = sizeof(front) - 1;

	memcpy(path, front, at);
	do
		digits[--n] = (char)('0' + tid % 10);
	while ((tid /= 10) != 0);
	memcpy(path + at, digits + n, sizeof(digits) - n);
	memcpy(path + at + sizeof(digits) - n, back, sizeof(back));
}

/* The number behind "\nKEY:\t" in the text, which has to end before the text does. */
static bool find_number(const char *text, size_t len, const char *key, unsigned base,
			uint64_t *value, size_t *end)
{
	size_t key_len = strlen(key);
	size_t at = 0;

	while (at + key_len < len && memcmp(text + at, key, key_len) != 0)
		at++;
	*value = 0;
	for (at += key_len; at < len; at++) {
		char c = text[at];
		unsigned digit = c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');

		if (digit >= base) {
			*end = at;
			return true;
		}
		*value = *value * base + digit;
	}
	return false;
}

bool status_parse(const char *text, unsigned long len, struct status *s)
{
	static const char state[] = "\nState:\t";
	size_t at = 0, end;

	while (at + sizeof(state) - 1 < len && memcmp(text + at, state, sizeof(state) - 1) != 0)
		at++;
	if (at + sizeof(state) - 1 >= len)
		return false;
	s->state = text[at + sizeof(state) - 1];
	/* The limit stands behind a stroke: USED/LIMIT. */
	return find_number(text, len, "\nSigQ:\t", 10, &s->queued, &end) &&
	       find_number(text + end, len - end, "/", 10, &s->queue_max, &end) &&
	       find_number(text, len, "\nSigPnd:\t", 16, &s->pending, &end) &&
	       find_number(text, len, "\nSigBlk:\t", 16, &s->blocked, &end);
}

bool status_read(int tid, struct status *s)
{
	static char text[STATUS_BYTES];
	char path[64];
	long n;
	int fd;

	if (tid != 0)
		make_path(tid, path);
	fd = os_open_read(tid != 0 ? path : "/proc/thread-self/status");
	if (fd < 0)
		return false;
	n = os_read(fd, text, sizeof(text));
	os_close(fd);
	return n > 0 && status_parse(text, (unsigned long)n, s);
}
