/* Any bytes as the path of a request, beside Go's path.Clean and percent-decoding written down
 * segment by segment. */
#include <stdint.h>

#include "fuzz/wall.h"
#include "httpd/request_path.h"
#include "sampler/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

static bool is(const char *at, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(at, word, n) == 0;
}

/* The path without its empty, . and .. segments; a slash at the end stays. */
static size_t clean(const char *path, size_t len, char *out)
{
	size_t start[REQUEST_HEAD_MAX], depth = 0, n = 0;

	for (size_t begin = 1; begin <= len;) {
		size_t end = begin;

		while (end < len && path[end] != '/')
			end++;
		if (is(path + begin, end - begin, "..")) {
			n = depth > 0 ? start[--depth] : 0;
		} else if (end > begin && !is(path + begin, end - begin, ".")) {
			start[depth++] = n;
			out[n++] = '/';
			memcpy(out + n, path + begin, end - begin);
			n += end - begin;
		}
		begin = end + 1;
	}
	if (n == 0 || path[len - 1] == '/')
		out[n++] = '/';
	return n;
}

static unsigned hex(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* Of a path with good escapes.  A slash from an escape separates nothing: in the first two segments
 * it stays as it is. */
static size_t decode(const char *path, size_t len, char *out)
{
	size_t n = 0, segment = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned c = (unsigned char)path[i];

		segment += c == '/';
		if (c == '%') {
			c = 16 * hex(path[i + 1]) + hex(path[i + 2]);
			i += 2;
			if (c == '/' && segment < 3) {
				memcpy(out + n, "%2F", 3);
				n += 3;
				continue;
			}
		}
		out[n++] = (char)c;
	}
	return n;
}

static bool may_be_sent(const uint8_t *data, size_t size)
{
	static const char head[] = "GET ", tail[] = " HTTP/1.0\r\n\r\n";
	char request[REQUEST_HEAD_MAX];
	struct request r;
	size_t n = size + sizeof(head) - 1 + sizeof(tail) - 1;

	if (n > sizeof(request) || size == 0 || data[0] != '/')
		return false;
	memcpy(request, head, sizeof(head) - 1);
	memcpy(request + sizeof(head) - 1, data, size);
	memcpy(request + sizeof(head) - 1 + size, tail, sizeof(tail) - 1);
	return request_parse(request, n, &r) == (int)n && r.path.len == size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *out, expected[REQUEST_HEAD_MAX];
	struct request r = { .path = { NULL, size } };
	size_t n, want;
	bool moved;

	if (!may_be_sent(data, size))
		return 0;
	r.path.at = wall_copy(data, size);
	out = wall_room(REQUEST_HEAD_MAX);
	n = request_path(&r, out, &moved);
	want = clean(r.path.at, size, expected);
	demand(moved == !(want == size && memcmp(expected, data, size) == 0));
	if (!moved)
		want = decode(r.path.at, size, expected);
	demand(n == want && memcmp(out, expected, n) == 0 && out[n] == '\0');
	return 0;
}
