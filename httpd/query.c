/* Values are decoded byte by byte where they are needed: a number has no longest form ("0...05" is
 * five), so a buffer for it would be a limit that Go does not have. */
#include "httpd/query.h"

#include <string.h>

int query_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int query_byte(const char *text, size_t len, size_t *at, bool plus_is_space)
{
	const char *c = text + *at;
	int high, low;

	if (*c != '%') {
		*at += 1;
		return plus_is_space && *c == '+' ? ' ' : (unsigned char)*c;
	}
	if (len - *at < 3)
		return -1;
	high = query_hex(c[1]);
	low = query_hex(c[2]);
	if (high < 0 || low < 0)
		return -1;
	*at += 3;
	return high * 16 + low;
}

ssize_t query_decode(const char *text, size_t len, bool plus_is_space, char *out, size_t cap)
{
	size_t at = 0, n = 0;

	while (at < len) {
		int c = query_byte(text, len, &at, plus_is_space);

		if (c < 0)
			return -1;
		if (n < cap)
			out[n] = (char)c;
		n++;
	}
	return (ssize_t)n;
}

bool query_next(const char *query, size_t len, size_t *at, struct query_pair *pair)
{
	const char *end, *equals;
	size_t n;

	while (*at < len && query[*at] == '&')
		*at += 1;
	if (*at >= len)
		return false;
	pair->key = query + *at;
	end = memchr(pair->key, '&', len - *at);
	n = end != NULL ? (size_t)(end - pair->key) : len - *at;
	equals = memchr(pair->key, '=', n);
	pair->key_len = equals != NULL ? (size_t)(equals - pair->key) : n;
	pair->value = pair->key + pair->key_len + (equals != NULL);
	pair->value_len = n - pair->key_len - (equals != NULL);
	*at += n;
	return true;
}

static bool is_key(const struct query_pair *pair, const char *key)
{
	size_t n = strlen(key), i = 0, at = 0;

	for (; at < pair->key_len; i++) {
		int c = query_byte(pair->key, pair->key_len, &at, true);

		if (i >= n || c != (unsigned char)key[i])
			return false;
	}
	return i == n;
}

static bool find(const char *query, size_t len, const char *key, struct query_pair *pair)
{
	for (size_t at = 0; query_next(query, len, &at, pair);) {
		size_t whole = (size_t)(pair->value - pair->key) + pair->value_len;

		if (memchr(pair->key, ';', whole) == NULL && is_key(pair, key) &&
		    query_decode(pair->value, pair->value_len, true, NULL, 0) >= 0)
			return true;
	}
	return false;
}

ssize_t query_find(const char *query, size_t len, const char *key, char *out, size_t cap)
{
	struct query_pair pair;
	ssize_t n;

	if (!find(query, len, key, &pair))
		return -1;
	n = query_decode(pair.value, pair.value_len, true, out, cap);
	out[(size_t)n < cap ? (size_t)n : cap - 1] = 0;
	return n;
}

/* Counts downwards, because the most negative number has no positive twin. */
static int parse_int(const struct query_pair *pair, int64_t *out)
{
	size_t at = 0;
	int64_t value = 0;
	int c = query_byte(pair->value, pair->value_len, &at, true);
	bool negative = c == '-';

	if (c == '-' || c == '+') {
		if (at == pair->value_len)
			return QUERY_BAD;
		c = query_byte(pair->value, pair->value_len, &at, true);
	}
	for (;;) {
		if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, c - '0', &value))
			return QUERY_BAD;
		if (at == pair->value_len)
			break;
		c = query_byte(pair->value, pair->value_len, &at, true);
	}
	if (!negative && value == INT64_MIN)
		return QUERY_BAD;
	*out = negative ? value : -value;
	return QUERY_INT;
}

int query_int(const char *query, size_t len, const char *key, int64_t *out)
{
	struct query_pair pair;

	if (!find(query, len, key, &pair) || pair.value_len == 0)
		return QUERY_ABSENT;
	return parse_int(&pair, out);
}

int64_t query_int_or(const char *query, size_t len, const char *key, int64_t otherwise)
{
	int64_t value;

	return query_int(query, len, key, &value) == QUERY_INT ? value : otherwise;
}
