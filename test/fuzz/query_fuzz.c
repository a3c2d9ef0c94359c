/* Any bytes as a query, asked for keys that the corpus has, with the rules written down again in
 * the simplest way. */
#include <stdint.h>

#include "fuzz/wall.h"
#include "httpd/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

/* The pairs in order, without gaps but for &, and all of them. */
static void check_pairs(const char *query, size_t size)
{
	struct query_pair pair;
	size_t at = 0, before = 0;

	while (query_next(query, size, &at, &pair)) {
		demand(at > before && at <= size);
		demand(pair.key >= query + before && pair.key + pair.key_len <= pair.value);
		demand(pair.value + pair.value_len == query + at);
		demand(at == size || query[at] == '&');
		for (const char *p = pair.key; p < query + at; p++)
			demand(*p != '&');
		before = at;
	}
	demand(at == size);
}

/* -1, 0 or 1 as query_int, from the decoded text. */
static int read_int(const char *text, size_t n, int64_t *out)
{
	bool negative = n > 0 && text[0] == '-';
	size_t at = n > 0 && (text[0] == '-' || text[0] == '+');
	__int128 value = 0;

	if (n == 0 || at == n)
		return n == 0 ? 0 : -1;
	for (; at < n; at++) {
		if (text[at] < '0' || text[at] > '9')
			return -1;
		if (value < (__int128)1 << 64)
			value = value * 10 + text[at] - '0';
	}
	if (negative)
		value = -value;
	if (value > INT64_MAX || value < INT64_MIN)
		return -1;
	*out = (int64_t)value;
	return 1;
}

static void check_key(const char *query, size_t size, const char *key)
{
	char *whole = wall_room(size + 1), *cut = wall_room(3);
	ssize_t n = query_find(query, size, key, whole, size + 1);
	int64_t ours = 77, theirs = 77;
	int got = query_int(query, size, key, &ours);

	demand(n >= -1 && n <= (ssize_t)size);
	demand(query_find(query, size, key, cut, 3) == n);
	if (n < 0) {
		demand(got == QUERY_ABSENT);
		return;
	}
	demand(whole[n] == 0 && cut[n < 2 ? n : 2] == 0 && memcmp(whole, cut, n < 2 ? n : 2) == 0);
	demand(read_int(whole, (size_t)n, &theirs) == got && ours == theirs);
	demand(query_int_or(query, size, key, 77) == ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "debug", "seconds", "n", "" };
	const char *query;
	char *out;
	ssize_t n;

	if (size >= WALL_ROOM)
		return 0;
	query = wall_copy(data, size);
	check_pairs(query, size);
	n = query_decode(query, size, false, NULL, 0);
	demand(n <= (ssize_t)size);
	out = wall_room(n > 0 ? (size_t)n : 0);
	demand(query_decode(query, size, true, out, n > 0 ? (size_t)n : 0) == n);
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		check_key(wall_copy(data, size), size, keys[i]);
	return 0;
}
