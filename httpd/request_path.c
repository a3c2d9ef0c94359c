/* Cleaned first, decoded then, as Go's mux does since 1.22: an encoded dot or slash is a byte of a
 * name and never moves a request to another directory. */
#include "httpd/request_path.h"

#include <string.h>

#include "httpd/query.h"

/* path.Clean of Go for paths that start with /, and its mux's care for the slash at the end. */
static size_t clean(const char *path, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len;) {
		const char *segment = path + i + 1;
		const char *slash = memchr(segment, '/', len - i - 1);
		size_t seg_len = slash != NULL ? (size_t)(slash - segment) : len - i - 1;

		i += 1 + seg_len;
		if (seg_len == 2 && memcmp(segment, "..", 2) == 0) {
			while (n > 0 && out[--n] != '/')
				;
		} else if (seg_len > 0 && !(seg_len == 1 && segment[0] == '.')) {
			memcpy(out + n, segment - 1, seg_len + 1);
			n += seg_len + 1;
		}
	}
	if (n == 0 || path[len - 1] == '/')
		out[n++] = '/';
	return n;
}

static size_t decode(const struct request_text *path, char *out)
{
	size_t n = 0, at = 0, slashes = 0;

	while (at < path->len) {
		size_t was = at;
		int c = query_byte(path->at, path->len, &at, false);

		slashes += path->at[was] == '/';
		if (c == '/' && at > was + 1 && slashes < 3) {
			memcpy(out + n, "%2F", 3);
			n += 3;
		} else {
			out[n++] = (char)c;
		}
	}
	return n;
}

size_t request_path(const struct request *r, char out[static REQUEST_HEAD_MAX], bool *moved)
{
	size_t n = 0;

	*moved = false;
	if (r->path.at[0] == '/') {
		n = clean(r->path.at, r->path.len, out);
		*moved = n != r->path.len || memcmp(out, r->path.at, n) != 0;
	}
	if (!*moved)
		n = decode(&r->path, out);
	out[n] = 0;
	return n;
}
