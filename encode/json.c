#include "encode/json.h"

#include <string.h>

#include "encode/utf8.h"

static void put_ascii(struct buf *b, char c)
{
	static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";       /* what, and its escape */

	for (const char *n = named; *n != '\0'; n += 2)
		if (*n == c) {
			buf_char(b, '\\');
			buf_char(b, n[1]);
			return;
		}
	if ((unsigned char)c < ' ' || c == 0x7f) {
		buf_string(b, "\\u");
		buf_hex(b, (unsigned char)c, 4);
	} else {
		buf_char(b, c);
	}
}

static bool ends_a_line(const char *s, size_t length)
{
	return length == 3 && memcmp(s, "\xe2\x80", 2) == 0 && (s[2] & '\xfe') == '\xa8';
}

void json_string(struct buf *b, const char *s)
{
	size_t left = strlen(s), n;

	buf_char(b, '"');
	for (; left > 0; s += n, left -= n) {
		size_t length = utf8_character(s, left);

		n = length > 0 ? length : 1;
		if (length == 0)
			buf_string(b, UTF8_INSTEAD);
		else if (length == 1)
			put_ascii(b, *s);
		else if (ends_a_line(s, length))
			buf_string(b, s[2] == '\xa8' ? "\\u2028" : "\\u2029");
		else
			buf_bytes(b, s, length);
	}
	buf_char(b, '"');
}
