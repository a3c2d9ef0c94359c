/* Names are compared whole, never by prefix: localhost.evil.example is evil. */
#include "httpd/guard.h"

#include <string.h>

/* The host of host:port, brackets included; NULL if there is anything but digits in the port. */
static struct request_text without_port(struct request_text host)
{
	size_t n = 0;

	if (host.len > 0 && host.at[0] == '[')
		while (n < host.len && host.at[n] != ']')
			n++;
	while (n < host.len && host.at[n] != ':')
		n++;
	for (size_t i = n + 1; i < host.len; i++)
		if (host.at[i] < '0' || host.at[i] > '9')
			return (struct request_text){ NULL, 0 };
	return (struct request_text){ host.at, n };
}

static bool is_our_name(struct request_text host, const struct address *local)
{
	struct request_text name = without_port(host);
	char text[ADDRESS_TEXT_MAX];

	if (name.at == NULL)
		return false;
	if (request_text_is(name, "localhost") || request_text_is(name, "127.0.0.1") ||
	    request_text_is(name, "[::1]"))
		return true;
	if (!local->loopback || local->family == AF_UNIX)
		return false;
	host = (struct request_text){ text, address_format(local, text, sizeof(text)) };
	text[without_port(host).len] = 0;
	return request_text_is(name, text);
}

static bool lacks_host(const struct request *r, const struct address *local)
{
	(void)local;
	return r->host.at == NULL && !r->http10;
}

static bool asks_for_another_host(const struct request *r, const struct address *local)
{
	struct request_text host = request_host(r);

	if (!local->loopback || local->family == AF_UNIX || host.at == NULL)
		return false;
	return !is_our_name(host, local);
}

static bool only_reads(const struct request *r)
{
	return (r->method.len == 3 && memcmp(r->method.at, "GET", 3) == 0) ||
	       (r->method.len == 4 && memcmp(r->method.at, "HEAD", 4) == 0);
}

static bool comes_from_another_site(const struct request *r, const struct address *local)
{
	struct request_text site = r->fetch_site;

	(void)local;
	if (site.at == NULL)
		return false;
	if (only_reads(r))
		return request_text_is(site, "cross-site");
	return !request_text_is(site, "none") && !request_text_is(site, "same-origin");
}

static bool comes_from_another_origin(const struct request *r, const struct address *local)
{
	struct request_text host = request_host(r), origin = r->origin;

	if (origin.at == NULL)
		return false;
	if (host.at == NULL || origin.len != 7 + host.len || memcmp(origin.at, "http://", 7) != 0)
		return true;
	return memcmp(origin.at + 7, host.at, host.len) != 0 || !is_our_name(host, local);
}

static const struct rule {
	bool      (*broken)(const struct request *r, const struct address *local);
	int         status;
	const char *reason;
} rules[] = {
	{ lacks_host, 400, "missing required Host header" },
	{ asks_for_another_host, 403, "forbidden Host: use localhost, 127.0.0.1 or [::1]" },
	{ comes_from_another_site, 403, "forbidden: a page of another site asks" },
	{ comes_from_another_origin, 403, "forbidden: a page of another origin asks" },
};

struct guard_verdict guard_check(const struct request *r, const struct address *local)
{
	for (size_t i = 0; i < COUNT_OF(rules); i++)
		if (rules[i].broken(r, local))
			return (struct guard_verdict){ rules[i].status, rules[i].reason };
	return (struct guard_verdict){ 0, NULL };
}
