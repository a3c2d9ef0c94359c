/* Decoding never makes text longer (\uXXXX is six bytes of body and at most three of UTF-8), so
 * scratch as long as the body cannot run out. */
#include "httpd/settings.h"

#include <errno.h>
#include <string.h>

#include "httpd/query.h"
#include "httpd/settings_json.h"

/* Always -EINVAL: so a parser can return it. */
static int refuse(struct settings *out, size_t at, const char *why)
{
	out->error = why;
	out->error_at = at;
	return -EINVAL;
}

static int add(struct settings *out, size_t at, struct request_text key, struct request_text value)
{
	for (size_t i = 0; i < out->count; i++)
		if (out->pair[i].key.len == key.len &&
		    memcmp(out->pair[i].key.at, key.at, key.len) == 0)
			return refuse(out, at, "a key that was given before");
	if (out->count == SETTINGS_MAX)
		return refuse(out, at, "more than 32 settings");
	out->pair[out->count++] = (struct settings_pair){ key, value };
	return 0;
}

static int parse_json(const char *body, size_t len, char *scratch, struct settings *out)
{
	struct settings_json json = { .body = body, .len = len, .scratch = scratch };
	struct request_text key, value;
	int got, err = 0;

	while (err == 0 && (got = settings_json_next(&json, &key, &value)) > 0)
		err = add(out, json.key_at, key, value);
	if (err == 0 && got < 0)
		return refuse(out, json.at, json.error);
	return err;
}

static bool decode(const char *at, size_t len, char **scratch, struct request_text *out)
{
	ssize_t n = query_decode(at, len, true, *scratch, len);

	*out = (struct request_text){ *scratch, n > 0 ? (size_t)n : 0 };
	*scratch += out->len;
	return n >= 0;
}

static int parse_form(const char *body, size_t at, size_t len, char *scratch,
		      struct settings *out)
{
	struct query_pair pair;
	int err = 0;

	while (err == 0 && query_next(body, len, &at, &pair)) {
		size_t key_at = (size_t)(pair.key - body), value_at = (size_t)(pair.value - body);
		const char *semi = memchr(pair.key, ';', at - key_at);
		struct request_text key, value;

		if (semi != NULL)
			return refuse(out, (size_t)(semi - body), "a ; between settings: use &");
		if (pair.key + pair.key_len == pair.value)
			return refuse(out, at, "no = behind a key");
		if (!decode(pair.key, pair.key_len, &scratch, &key))
			return refuse(out, key_at, "a bad % escape");
		if (!decode(pair.value, pair.value_len, &scratch, &value))
			return refuse(out, value_at, "a bad % escape");
		err = add(out, key_at, key, value);
	}
	return err;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

int settings_parse(const char *body, size_t len, struct request_text content_type,
		   char *scratch, struct settings *out)
{
	static const char *const types[] = {
		"application/x-www-form-urlencoded", "text/plain", "",
	};
	struct request_text type = { content_type.at, 0 };
	size_t at = 0, i = 0;
	int err;

	out->count = 0;
	out->error = NULL;
	out->error_at = 0;
	while (type.len < content_type.len && !memchr("; \t", type.at[type.len], 3))
		type.len++;
	while (at < len && is_blank(body[at]))
		at++;
	while (len > at && is_blank(body[len - 1]))
		len--;
	if (at == len)
		return 0;
	if (body[at] == '{' || request_text_is(type, "application/json")) {
		err = parse_json(body, len, scratch, out);
	} else {
		while (i < COUNT_OF(types) && !request_text_is(type, types[i]))
			i++;
		if (i == COUNT_OF(types))
			return refuse(out, 0, "neither JSON nor a form: see Content-Type");
		err = parse_form(body, at, len, scratch, out);
	}
	return err != 0 ? err : (int)out->count;
}
