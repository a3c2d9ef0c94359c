/* A byte that chooses the Content-Type, then any bytes as a body.  What was understood is written
 * as a form and must be understood as the same. */
#include <errno.h>
#include <stdint.h>

#include "fuzz/wall.h"
#include "httpd/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

static bool is_within(struct request_text t, const char *at, size_t size)
{
	return t.at >= at && t.at + t.len <= at + size;
}

static bool is_same(struct request_text a, struct request_text b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static size_t put(char *out, size_t n, struct request_text t, char end)
{
	for (size_t i = 0; i < t.len; i++) {
		out[n++] = '%';
		out[n++] = "0123456789abcdef"[(unsigned char)t.at[i] >> 4];
		out[n++] = "0123456789ABCDEF"[t.at[i] & 15];
	}
	out[n++] = end;
	return n;
}

static void check_again(const struct settings *s, size_t size)
{
	static char form[3 * WALL_ROOM];
	char *scratch;
	struct settings again;
	size_t n = 0;

	if (size > sizeof(form) / 8)
		return;
	for (size_t i = 0; i < s->count; i++) {
		n = put(form, n, s->pair[i].key, '=');
		n = put(form, n, s->pair[i].value, '&');
	}
	scratch = wall_room(n);
	demand(settings_parse(form, n, (struct request_text){ NULL, 0 }, scratch, &again) ==
	       (int)s->count);
	for (size_t i = 0; i < s->count; i++) {
		demand(is_same(again.pair[i].key, s->pair[i].key));
		demand(is_same(again.pair[i].value, s->pair[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct request_text types[] = {
		{ NULL, 0 },
		{ "application/json", 16 },
		{ "application/x-www-form-urlencoded; charset=utf-8", 48 },
		{ "text/html", 9 },
	};
	struct settings s;
	const char *body;
	char *scratch;
	int n;

	if (size == 0 || size > WALL_ROOM)
		return 0;
	body = wall_copy(data + 1, size - 1);
	scratch = wall_room(size - 1);
	n = settings_parse(body, size - 1, types[data[0] % COUNT_OF(types)], scratch, &s);
	demand(n == -EINVAL || (n >= 0 && n <= SETTINGS_MAX && (size_t)n == s.count));
	demand((n < 0) == (s.error != NULL) && s.error_at < size);
	for (int i = 0; i < n; i++) {
		demand(is_within(s.pair[i].key, body, size - 1) ||
		       is_within(s.pair[i].key, scratch, size - 1));
		demand(is_within(s.pair[i].value, body, size - 1) ||
		       is_within(s.pair[i].value, scratch, size - 1));
		for (int j = 0; j < i; j++)
			demand(!is_same(s.pair[i].key, s.pair[j].key));
	}
	if (n > 0)
		check_again(&s, size);
	return 0;
}
