#include "encode/utf8.h"

#include <string.h>

/* The second byte decides what is an overlong form, a surrogate or beyond U+10FFFF. */
size_t utf8_character(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n < length)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	if (s[0] == 0xed)
		high = 0x9f;
	if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return length;
}

bool utf8_valid(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t length = utf8_character(s + i, n - i);

		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

size_t utf8_copy(char *out, const char *s, size_t n)
{
	size_t i = 0, len = 0;

	while (i < n) {
		size_t length = utf8_character(s + i, n - i);

		if (length == 0) {
			memcpy(out + len, UTF8_INSTEAD, 3);
			len += 3;
			i++;
			continue;
		}
		memcpy(out + len, s + i, length);
		len += length;
		i += length;
	}
	return len;
}

size_t utf8_count(const char *s, size_t n)
{
	size_t i = 0, characters = 0;

	while (i < n) {
		size_t length = utf8_character(s + i, n - i);

		i += length > 0 ? length : 1;
		characters++;
	}
	return characters;
}
