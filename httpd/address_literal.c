#include "httpd/address_literal.h"

#include <string.h>

#include "httpd/query.h"

bool address_literal_parse_v4(const char *text, size_t len, uint8_t out[4])
{
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		size_t start = at;
		unsigned value = 0;

		for (; at < len && at - start < 4 && text[at] >= '0' && text[at] <= '9'; at++)
			value = value * 10 + (unsigned)(text[at] - '0');
		if (at == start || value > 255 || (at - start > 1 && text[start] == '0'))
			return false;
		out[i] = (uint8_t)value;
		if (i < 3 && (at == len || text[at++] != '.'))
			return false;
	}
	return at == len;
}

/* A group of one to four hexadecimal digits; returns how many, or 0. */
static size_t parse_group(const char *text, size_t len, uint8_t out[2])
{
	unsigned value = 0;
	size_t n = 0;

	for (; n < len && n < 5 && query_hex(text[n]) >= 0; n++)
		value = value * 16 + (unsigned)query_hex(text[n]);
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
	return n <= 4 ? n : 0;
}

bool address_literal_parse_v6(const char *text, size_t len, uint8_t out[16])
{
	bool gap_first = len >= 2 && memcmp(text, "::", 2) == 0;
	size_t at = gap_first ? 2 : 0, n = 0, gap = gap_first ? 0 : 17, digits;

	while (at < len) {
		if (n <= 12 && address_literal_parse_v4(text + at, len - at, out + n)) {
			n += 4;
			break;
		}
		digits = n <= 14 ? parse_group(text + at, len - at, out + n) : 0;
		if (digits == 0)
			return false;
		n += 2;
		at += digits;
		if (at == len)
			break;
		if (text[at++] != ':' || at == len)
			return false;
		if (text[at] == ':') {
			if (gap <= 16)
				return false;
			gap = n;
			at++;
		}
	}
	if (gap > 16 || n == 16)
		return gap > 16 && n == 16;
	/* What stood behind the :: goes to the right end. */
	memmove(out + 16 - (n - gap), out + gap, n - gap);
	memset(out + gap, 0, 16 - n);
	return true;
}

void address_literal_put_v4(struct buf *p, const uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++) {
		buf_unsigned(p, bytes[i]);
		if (i < 3)
			buf_char(p, '.');
	}
}

static unsigned group(const uint8_t bytes[16], unsigned i)
{
	return (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
}

/* The first of the longest runs of two or more zero groups; 8 if there is none. */
static unsigned longest_zeros(const uint8_t bytes[16], unsigned *run)
{
	unsigned best = 8, n = 0;

	*run = 1;
	for (unsigned i = 0; i < 8; i++) {
		n = group(bytes, i) == 0 ? n + 1 : 0;
		if (n > *run) {
			*run = n;
			best = i + 1 - n;
		}
	}
	return best;
}

void address_literal_put_v6(struct buf *p, const uint8_t bytes[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	unsigned run, zeros = longest_zeros(bytes, &run);

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		buf_string(p, "::ffff:");
		address_literal_put_v4(p, bytes + 12);
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == zeros) {
			buf_string(p, "::");
			i += run - 1;
			continue;
		}
		if (i > 0 && i != zeros + run)
			buf_char(p, ':');
		buf_hex(p, group(bytes, i), 1);
	}
}
