#include "sampler/status.h"

#include <stddef.h>
#include <string.h>

#include "sampler/looks_files.h"
#include "sampler/os.h"

/* The signals come within the first KiB and a half, unless the thread has hundreds of groups. */
#define STATUS_BYTES 4096

/* The number behind "\nKEY:\t" in the text, which has to end before the text does. */
static bool find_number(const char *text, size_t len, const char *key, unsigned base,
			uint64_t *value, size_t *end)
{
	size_t key_len = strlen(key);
	size_t at = 0;

	/* By its first character first: a line ends at fifty of a thousand places. */
	while (at + key_len < len && (text[at] != key[0] || memcmp(text + at, key, key_len) != 0))
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

	while (at + sizeof(state) - 1 < len &&
	       (text[at] != state[0] || memcmp(text + at, state, sizeof(state) - 1) != 0))
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
	int fd = tid != 0 ? looks_files_open(tid, "status")
			  : os_open_read("/proc/thread-self/status");
	long n;

	if (fd < 0)
		return false;
	n = os_read(fd, text, sizeof(text));
	os_close(fd);
	return n > 0 && status_parse(text, (unsigned long)n, s);
}
