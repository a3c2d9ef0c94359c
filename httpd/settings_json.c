/* No recursion: nesting is refused, so the grammar is flat. */
#include "httpd/settings_json.h"

#include <string.h>

#include "httpd/query.h"

/* Always false: so a parser can return it. */
static bool refuse(struct settings_json *j, const char *why)
{
	j->error = why;
	return false;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The byte at hand; 0 at the end, which no rule of the grammar wants. */
static char peek(const struct settings_json *j) { return j->at < j->len ? j->body[j->at] : 0; }

static void skip_blanks(struct settings_json *j)
{
	while (is_blank(peek(j)))
		j->at++;
}

static bool take(struct settings_json *j, char wanted)
{
	skip_blanks(j);
	if (j->at == j->len || j->body[j->at] != wanted)
		return false;
	j->at++;
	return true;
}

static void put_utf8(struct settings_json *j, unsigned code)
{
	static const struct { unsigned from, lead, shift; } forms[] = {
		{ 0x10000, 0xf0, 18 },
		{ 0x800, 0xe0, 12 },
		{ 0x80, 0xc0, 6 },
		{ 0, 0, 0 },
	};
	size_t i = 0;
	unsigned shift;

	while (code < forms[i].from)
		i++;
	shift = forms[i].shift;
	*j->scratch++ = (char)(forms[i].lead | code >> shift);
	while (shift > 0) {
		shift -= 6;
		*j->scratch++ = (char)(0x80 | (code >> shift & 0x3f));
	}
}

/* Four hexadecimal digits; > 0xffff if they are not there. */
static unsigned take_hex4(struct settings_json *j)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++, j->at++) {
		int digit = query_hex(peek(j));

		if (digit < 0)
			return 0x10000;
		value = value * 16 + (unsigned)digit;
	}
	return value;
}

/* Behind \u: one code, or the two halves of one above U+FFFF. */
static bool take_unicode(struct settings_json *j)
{
	unsigned code = take_hex4(j), low;

	if (code > 0xffff || (code >= 0xdc00 && code < 0xe000))
		return refuse(j, "a bad \\u escape");
	if (code >= 0xd800 && code < 0xdc00) {
		if (j->len - j->at < 2 || memcmp(j->body + j->at, "\\u", 2) != 0)
			return refuse(j, "half of a \\u pair");
		j->at += 2;
		low = take_hex4(j);
		if (low < 0xdc00 || low > 0xdfff)
			return refuse(j, "half of a \\u pair");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(j, code);
	return true;
}

/* Behind a backslash. */
static bool take_escape(struct settings_json *j)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (j->at == j->len)
		return refuse(j, "a string without an end");
	if (j->body[j->at] == 'u') {
		j->at++;
		return take_unicode(j);
	}
	found = memchr(from, j->body[j->at], sizeof(from) - 1);
	if (found == NULL)
		return refuse(j, "an unknown \\ escape");
	*j->scratch++ = to[found - from];
	j->at++;
	return true;
}

/* Behind the opening quote. */
static bool take_string(struct settings_json *j, struct request_text *out)
{
	out->at = j->scratch;
	for (;;) {
		char c = peek(j);

		if (j->at == j->len)
			return refuse(j, "a string without an end");
		if ((unsigned char)c < ' ')
			return refuse(j, "a control character in a string");
		j->at++;
		if (c == '"')
			break;
		if (c != '\\')
			*j->scratch++ = c;
		else if (!take_escape(j))
			return false;
	}
	out->len = (size_t)(j->scratch - out->at);
	return true;
}

static bool take_digits(struct settings_json *j)
{
	size_t start = j->at;

	while (is_digit(peek(j)))
		j->at++;
	return j->at > start;
}

static bool take_number(struct settings_json *j, struct request_text *out)
{
	size_t start = j->at;

	j->at += peek(j) == '-';
	if (peek(j) == '0')
		j->at++;
	else if (!take_digits(j))
		return refuse(j, "not a number");
	if (peek(j) == '.') {
		j->at++;
		if (!take_digits(j))
			return refuse(j, "not a number");
	}
	if (peek(j) == 'e' || peek(j) == 'E') {
		j->at++;
		j->at += peek(j) == '-' || peek(j) == '+';
		if (!take_digits(j))
			return refuse(j, "not a number");
	}
	*out = (struct request_text){ j->body + start, j->at - start };
	return true;
}

static bool take_value(struct settings_json *j, struct request_text *out)
{
	static const char *const words[] = { "true", "false" };

	if (take(j, '"'))
		return take_string(j, out);
	if (peek(j) == '-' || is_digit(peek(j)))
		return take_number(j, out);
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		size_t n = strlen(words[i]);

		if (j->len - j->at < n || memcmp(j->body + j->at, words[i], n) != 0)
			continue;
		*out = (struct request_text){ j->body + j->at, n };
		j->at += n;
		return true;
	}
	return refuse(j, "expected a number, a string, true or false");
}

int settings_json_next(struct settings_json *j, struct request_text *key,
		       struct request_text *value)
{
	bool first = j->at == 0;

	if (first && !take(j, '{'))
		return refuse(j, "expected {") - 1;
	if (first ? take(j, '}') : !take(j, ',')) {
		if (!first && !take(j, '}'))
			return refuse(j, "expected , or }") - 1;
		skip_blanks(j);
		return j->at == j->len ? 0 : refuse(j, "text behind the end") - 1;
	}
	if (!take(j, '"'))
		return refuse(j, "expected a key in quotes") - 1;
	j->key_at = j->at - 1;
	if (!take_string(j, key))
		return -1;
	if (!take(j, ':'))
		return refuse(j, "expected :") - 1;
	return take_value(j, value) ? 1 : -1;
}
