/* Ports are written and read as two bytes: htons is a function of libc where nothing is inlined. */
#include "httpd/address.h"

#include <errno.h>
#include <string.h>

#include "httpd/address_literal.h"
#include "encode/buf.h"
#include "sampler/units.h"

struct text {
	const char *at;
	size_t      len;
};

static bool is(struct text t, const char *word)
{
	return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

static bool starts(struct text t, const char *word)
{
	return t.len >= strlen(word) && memcmp(t.at, word, strlen(word)) == 0;
}

/* --- one item: NULL, or what is wrong; *where, its start, is then moved to the place ---------- */

static void set_v4(struct address *a, const uint8_t bytes[4])
{
	a->family = AF_INET;
	a->to.in.sin_family = AF_INET;
	memcpy(&a->to.in.sin_addr, bytes, 4);
	a->len = sizeof(a->to.in);
	a->loopback = bytes[0] == 127;
}

static void set_v6(struct address *a, const uint8_t bytes[16])
{
	static const uint8_t one[16] = { [15] = 1 };
	static const uint8_t mapped_127[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };

	a->family = AF_INET6;
	a->to.in6.sin6_family = AF_INET6;
	memcpy(&a->to.in6.sin6_addr, bytes, 16);
	a->len = sizeof(a->to.in6);
	a->loopback = memcmp(bytes, one, 16) == 0 || memcmp(bytes, mapped_127, 13) == 0;
}

static const char *parse_inet(struct text item, struct address *a, const char **where)
{
	const char *close = item.at[0] == '[' ? memchr(item.at, ']', item.len) : NULL;
	const char *colon = memchr(item.at, ':', item.len);
	struct text host = item, port = item;
	uint8_t bytes[16] = { 127, 0, 0, 1 };
	uint64_t n;

	if (close != NULL)
		colon = close + 1 < item.at + item.len && close[1] == ':' ? close + 1 : NULL;
	if (colon == NULL)
		return "no port: write host:port or :port";
	host.len = (size_t)(colon - item.at);
	port = (struct text){ colon + 1, item.len - host.len - 1 };
	if (close != NULL) {
		if (!address_literal_parse_v6(host.at + 1, host.len - 2, bytes))
			return "not an IPv6 address";
		set_v6(a, bytes);
	} else {
		if (memchr(port.at, ':', port.len) != NULL)
			return "an IPv6 address needs [brackets]";
		if (host.len > 0 && !is(host, "localhost") &&
		    !address_literal_parse_v4(host.at, host.len, bytes))
			return "not an IPv4 address or localhost";
		set_v4(a, bytes);
	}
	if (units_parse_uint(port.at, port.len, &n) != 0 || n > 65535) {
		*where = port.at;
		return "not a port: 0 to 65535";
	}
	address_set_port(a, (unsigned)n);
	return NULL;
}

static void set_unix(struct address *a, size_t bytes)
{
	a->family = AF_UNIX;
	a->to.un.sun_family = AF_UNIX;
	a->len = offsetof(struct sockaddr_un, sun_path) + bytes;
	a->loopback = true;
}

/* Writes path with its % replaced; NULL, or what is wrong. */
static const char *expand(struct buf *out, struct text path, int pid, const char **where)
{
	for (size_t i = 0; i < path.len; i++) {
		char c = path.at[i];

		*where = path.at + i;
		if (c == 0)
			return "a zero byte in a path";
		if (c != '%') {
			buf_char(out, c);
			continue;
		}
		c = ++i < path.len ? path.at[i] : 0;
		if (c != 'p' && c != '%')
			return "unknown %: write %p or %%";
		if (c == 'p')
			buf_unsigned(out, (unsigned)pid);
		else
			buf_char(out, '%');
	}
	*where = path.at;
	return NULL;
}

/* A path ends with a 0; an abstract name begins with one, in the place of the @, and its length is
 * that of the address. */
static const char *parse_unix(struct text path, int pid, struct address *a, const char **where)
{
	struct buf out = buf_bounded(a->to.un.sun_path, sizeof(a->to.un.sun_path) - 1);
	bool abstract = starts(path, "@");
	const char *wrong;

	if (!abstract && !starts(path, "/"))
		return "not an absolute path: write unix:/path or unix:@name";
	if (abstract && path.len == 1)
		return "no name behind the @";
	wrong = expand(&out, path, pid, where);
	if (wrong != NULL)
		return wrong;
	if (!buf_fits(&out))
		return "a path of more than 107 bytes";
	set_unix(a, abstract ? out.len : out.len + 1);
	if (abstract)
		a->to.un.sun_path[0] = '\0';
	return NULL;
}

static void set_name(struct address *a, const char *start, unsigned uid, int pid)
{
	struct buf out = buf_bounded(a->to.un.sun_path, sizeof(a->to.un.sun_path));

	memset(a, 0, sizeof(*a));
	buf_char(&out, '\0');
	buf_string(&out, start);
	buf_unsigned(&out, uid);
	buf_char(&out, '.');
	buf_unsigned(&out, (unsigned)pid);
	set_unix(a, out.len);
}

void address_discovery(struct address *a, unsigned uid, int pid)
{
	set_name(a, "pprofshim.", uid, pid);
}

void address_beacon(struct address *a, unsigned uid, int pid)
{
	set_name(a, "pprofshim-desk.", uid, pid);
}

bool address_is_file(const struct address *a)
{
	return a->family == AF_UNIX && a->to.un.sun_path[0] != '\0';
}

/* --- the list ------------------------------------------------------------------------------ */

static struct text trim(struct text t)
{
	for (; t.len > 0 && (t.at[0] == ' ' || t.at[0] == '\t'); t.len--)
		t.at++;
	while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
		t.len--;
	return t;
}

static const char *parse_item(struct text item, int pid, struct address_list *out,
			      const char **where)
{
	struct address *a = &out->address[out->count];

	*where = item.at;
	if (item.len == 0)
		return "nothing here; off means no server";
	if (is(item, "off"))
		return "off stands alone";
	if (out->count == ADDRESS_MAX)
		return "more than 8 addresses";
	memset(a, 0, sizeof(*a));
	out->count++;
	if (starts(item, "@"))
		return parse_unix(item, pid, a, where);
	if (starts(item, "unix:")) {
		*where = item.at + 5;
		return parse_unix((struct text){ item.at + 5, item.len - 5 }, pid, a, where);
	}
	return parse_inet(item, a, where);
}

int address_parse(const char *text, size_t len, int pid, struct address_list *out)
{
	size_t at = 0;

	out->count = 0;
	out->error = NULL;
	out->error_at = 0;
	if (is(trim((struct text){ text, len }), "off"))
		return 0;
	do {
		const char *comma = memchr(text + at, ',', len - at), *where;
		size_t end = comma != NULL ? (size_t)(comma - text) : len;
		struct text item = trim((struct text){ text + at, end - at });

		out->error = parse_item(item, pid, out, &where);
		if (out->error != NULL) {
			out->error_at = (size_t)(where - text);
			out->count = 0;
			return -EINVAL;
		}
		at = end + 1;
	} while (at <= len);
	return (int)out->count;
}

static void put_unix(struct buf *p, const struct address *a)
{
	buf_string(p, "unix:");
	if (address_is_file(a)) {
		buf_string(p, a->to.un.sun_path);
		return;
	}
	buf_char(p, '@');
	buf_bytes(p, a->to.un.sun_path + 1, a->len - offsetof(struct sockaddr_un, sun_path) - 1);
}

size_t address_format(const struct address *a, char *out, size_t cap)
{
	struct buf p = buf_bounded(out, cap);

	if (a->family == AF_UNIX) {
		put_unix(&p, a);
		buf_end(&p);
		return p.len;
	}
	if (a->family == AF_INET6) {
		buf_char(&p, '[');
		address_literal_put_v6(&p, a->to.in6.sin6_addr.s6_addr);
		buf_char(&p, ']');
	} else {
		address_literal_put_v4(&p, (const uint8_t *)&a->to.in.sin_addr);
	}
	buf_char(&p, ':');
	buf_unsigned(&p, address_port(a));
	buf_end(&p);
	return p.len;
}

unsigned address_port(const struct address *a)
{
	uint8_t bytes[2] = { 0, 0 };

	if (a->family == AF_INET)
		memcpy(bytes, &a->to.in.sin_port, 2);
	else if (a->family == AF_INET6)
		memcpy(bytes, &a->to.in6.sin6_port, 2);
	return (unsigned)bytes[0] << 8 | bytes[1];
}

void address_set_port(struct address *a, unsigned port)
{
	uint8_t bytes[2] = { (uint8_t)(port >> 8), (uint8_t)port };

	if (a->family == AF_INET)
		memcpy(&a->to.in.sin_port, bytes, 2);
	else if (a->family == AF_INET6)
		memcpy(&a->to.in6.sin6_port, bytes, 2);
}
