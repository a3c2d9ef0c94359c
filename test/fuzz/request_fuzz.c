/* Any bytes as a head, as what follows a head, and as a chunked body. */
#include <stdint.h>

#include "fuzz/wall.h"
#include "httpd/guard.h"
#include "httpd/head.h"
#include "httpd/request.h"
#include "httpd/request_body.h"
#include "httpd/request_path.h"

#define BODY_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

static int is_status(int answer)
{
	return answer == REQUEST_BAD || answer == REQUEST_TARGET_LONG || answer == REQUEST_EXPECT ||
	       answer == REQUEST_HEAD_LONG || answer == REQUEST_CODING || answer == REQUEST_VERSION;
}

/* Fewer bytes give the same answer, or ask for more; all of them do so up to one length. */
static void check_prefixes(const uint8_t *data, size_t size, int answer)
{
	size_t step = size / 64 + 1;
	int before = REQUEST_MORE;

	for (size_t len = 0; len <= size; len += step) {
		struct request r;
		int got = request_parse(wall_copy(data, len), len, &r);

		demand(got == REQUEST_MORE || got == answer);
		demand(before == REQUEST_MORE || got == before);
		demand(got <= (int)len);
		before = got;
	}
}

static void check_within(struct request_text t, const char *buf, int len)
{
	demand(t.at == NULL ? t.len == 0 : t.at >= buf && t.at + t.len <= buf + len);
}

/* Clean paths stay where they are; decoding never makes longer. */
static void check_path(const struct request *r)
{
	char *out = wall_room(REQUEST_HEAD_MAX), *again = wall_room(REQUEST_HEAD_MAX);
	bool moved;
	size_t n = request_path(r, out, &moved);

	demand(n > 0 && n <= r->path.len && out[n] == 0);
	if (moved) {
		struct request clean = { .path = { out, n } };

		demand(n < r->path.len && out[0] == '/' && (n == 1 || out[1] != '/'));
		request_path(&clean, again, &moved);
		demand(!moved);
	}
}

/* Whatever stands in the name and the path, the head has its lines and no more. */
static void check_answer(const struct request *r)
{
	struct head head = { .status = 307, .location = r->path, .query = r->query,
			     .filename = r->path, .http10 = r->http10, .close = r->close };
	size_t n = head_write(&head, NULL, 0), lines = 0;
	char *out = wall_room(n);

	demand(head_write(&head, out, n) == n);
	for (size_t i = 0; i < n; i++) {
		demand((out[i] == '\n') == (i > 0 && out[i - 1] == '\r'));
		demand((out[i] >= ' ' && out[i] != 127) || out[i] == '\r' || out[i] == '\n' ||
		       (unsigned char)out[i] > 127);
		lines += out[i] == '\n';
	}
	demand(lines == 7 + (r->http10 != r->close));
}

static void check_guard(const struct request *r)
{
	static const char *const locals[] = { "127.0.0.1:1", "[::1]:1", "0.0.0.0:1", "unix:/x" };

	for (size_t i = 0; i < COUNT_OF(locals); i++) {
		struct address_list list;
		struct guard_verdict v;

		demand(address_parse(locals[i], strlen(locals[i]), 1, &list) == 1);
		v = guard_check(r, &list.address[0], &(struct guard_policy){ .token = NULL });
		demand(v.status == 0 ? v.reason == NULL : v.status == 400 || v.status == 403);
	}
}

/* In one piece and in pieces of this size: the same end, the same data, the same rest. */
static void check_body(const struct request *r, const uint8_t *data, size_t size, size_t piece)
{
	struct request_body one, many;
	char *whole = wall_copy(data, size), *part;
	char joined[BODY_MAX], expected[BODY_MAX];
	size_t len = size, rest = size, at = 0, n = 0, left = 0;
	int end = request_body_begin(&one, r, BODY_MAX), got;

	demand(end == request_body_begin(&many, r, BODY_MAX));
	if (end != REQUEST_MORE) {
		demand(end == REQUEST_BODY_DONE || end == REQUEST_BODY_LONG);
		return;
	}
	end = request_body_parse(&one, whole, &len, &rest);
	demand(end == REQUEST_MORE || end == REQUEST_BODY_DONE || end == REQUEST_BAD ||
	       end == REQUEST_BODY_LONG);
	demand(len <= BODY_MAX && len + rest <= size && (end != REQUEST_MORE || rest == 0));
	demand(end != REQUEST_BODY_DONE || memcmp(whole + len, data + size - rest, rest) == 0);
	memcpy(expected, whole, len);
	for (got = REQUEST_MORE; at < size && got == REQUEST_MORE;) {
		size_t some = size - at < piece ? size - at : piece;

		part = wall_copy(data + at, some);
		at += some;
		got = request_body_parse(&many, part, &some, &left);
		demand(n + some <= len);
		memcpy(joined + n, part, some);
		n += some;
	}
	demand(got == end && n == len && memcmp(joined, expected, n) == 0);
	demand(end != REQUEST_BODY_DONE || left + size - at == rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct request chunked = { .chunked = true };
	struct request r;
	const char *buf;
	int answer;

	if (size > WALL_ROOM)
		return 0;
	buf = wall_copy(data, size);
	answer = request_parse(buf, size, &r);
	demand(answer >= REQUEST_MORE ? answer <= REQUEST_HEAD_MAX : is_status(answer));
	check_prefixes(data, size, answer);
	for (size_t piece = 1; piece < 40; piece += 1 + piece / 4)
		check_body(&chunked, data, size, piece);
	if (answer <= 0)
		return 0;
	buf = wall_copy(data, size);
	demand(request_parse(buf, size, &r) == answer);
	check_within(r.method, buf, answer);
	check_within(r.query, buf, answer);
	check_within(r.authority, buf, answer);
	check_within(r.host, buf, answer);
	check_within(r.origin, buf, answer);
	check_within(r.fetch_site, buf, answer);
	check_within(r.authorization, buf, answer);
	check_within(r.content_type, buf, answer);
	demand(!(r.chunked && r.has_length) && (r.has_length || r.length == 0));
	check_path(&r);
	check_answer(&r);
	check_guard(&r);
	check_body(&r, data + answer, size - (size_t)answer, 3);
	return 0;
}
