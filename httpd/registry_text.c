#include "httpd/registry_text.h"

#include <string.h>

#include "encode/json.h"

#define WHERE "\"__meta_pprofshim_where\": \""

/* --- the parts ------------------------------------------------------------------------------- */

static void put_label(struct buf *b, const char *name)
{
	buf_string(b, ",\n      \"__meta_pprofshim_");
	buf_string(b, name);
	buf_string(b, "\": ");
}

static void put_number(struct buf *b, const char *name, uint64_t n)
{
	put_label(b, name);
	buf_char(b, '"');
	buf_unsigned(b, n);
	buf_char(b, '"');
}

static struct address reachable(const struct address *a)
{
	static const uint8_t any[16] = { 0 };
	struct address to = *a;

	if (a->family == AF_INET && a->to.in.sin_addr.s_addr == 0)
		memcpy(&to.to.in.sin_addr, "\x7f\0\0\1", 4);
	if (a->family == AF_INET6 && memcmp(&a->to.in6.sin6_addr, any, 16) == 0)
		to.to.in6.sin6_addr.s6_addr[15] = 1;
	return to;
}

static void put_targets(struct buf *b, const struct registry_entry *e)
{
	for (size_t i = 0; i < e->count; i++) {
		char text[ADDRESS_TEXT_MAX];
		struct address to = reachable(e->open[i]);

		if (to.family == AF_UNIX)
			continue;
		address_format(&to, text, sizeof(text));
		json_string(b, text);
		return;
	}
}

static void put_addresses(struct buf *b, const struct registry_entry *e)
{
	char text[ADDRESS_MAX * ADDRESS_TEXT_MAX + ADDRESS_TEXT_MAX];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < e->count && sizeof(text) - n >= ADDRESS_TEXT_MAX; i++) {
		if (i > 0)
			text[n++] = ',';
		n += address_format(e->open[i], text + n, ADDRESS_TEXT_MAX);
	}
	json_string(b, text);
}

static void put_where(struct buf *b, const struct registry_where *where)
{
	buf_string(b, ",\n      " WHERE);
	buf_string(b, where->boot);
	buf_char(b, ' ');
	buf_unsigned(b, where->pids);
	buf_char(b, ' ');
	buf_unsigned(b, where->net);
	buf_char(b, ' ');
	buf_unsigned(b, where->uid);
	buf_char(b, '"');
}

void registry_text_write(struct buf *b, const struct registry_entry *e)
{
	const char *slash = strrchr(e->program, '/');

	buf_string(b, "[\n  {\n    \"targets\": [");
	put_targets(b, e);
	buf_string(b, "],\n    \"labels\": {\n      \"service_name\": ");
	json_string(b, slash != NULL ? slash + 1 : e->program);
	put_number(b, "pid", (uint64_t)e->pid);
	put_number(b, "started", (uint64_t)e->started_s);
	put_where(b, &e->where);
	put_label(b, "program");
	json_string(b, e->program);
	put_label(b, "addresses");
	put_addresses(b, e);
	buf_string(b, "\n    }\n  }\n]\n");
}

/* --- reading --------------------------------------------------------------------------------- */

static const char *find(const char *text, size_t len, const char *what)
{
	size_t n = strlen(what);

	for (; len >= n; text++, len--)
		if (memcmp(text, what, n) == 0)
			return text + n;
	return NULL;
}

/* False: no number, or not that end of it. */
static bool take_number(const char **at, const char *end, char last, uint64_t *out)
{
	const char *start = *at;

	*out = 0;
	for (; *at < end && *at - start < 19 && **at >= '0' && **at <= '9'; (*at)++)
		*out = *out * 10 + (uint64_t)(**at - '0');
	return *at > start && *at < end && *(*at)++ == last;
}

bool registry_text_where(const char *text, size_t len, struct registry_where *out)
{
	const char *end = text + len, *at = find(text, len, WHERE);
	const char *space = at != NULL ? memchr(at, ' ', (size_t)(end - at)) : NULL;

	if (space == NULL || space - at > REGISTRY_TEXT_BOOT)
		return false;
	memcpy(out->boot, at, (size_t)(space - at));
	out->boot[space - at] = '\0';
	at = space + 1;
	return take_number(&at, end, ' ', &out->pids) && take_number(&at, end, ' ', &out->net) &&
	       take_number(&at, end, '"', &out->uid);
}
