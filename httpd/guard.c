/* Names are compared whole, never by prefix: localhost.evil.example is evil. */
#include "httpd/guard.h"

#include <string.h>

/* A request, where it came in, and what was agreed. */
struct visit {
	const struct request      *r;
	const struct address      *local;
	const struct guard_policy *policy;
	bool                       is_listed;
};

/* --- names ----------------------------------------------------------------------------------- */

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

static bool is_literal(struct request_text host)
{
	struct request_text name = without_port(host);
	struct address_list list;
	char text[64];

	if (name.at == NULL || name.len == 0 || name.len > sizeof(text) - 2 ||
	    (name.at[0] != '[' && (name.at[0] < '0' || name.at[0] > '9')))
		return false;
	memcpy(text, name.at, name.len);
	memcpy(text + name.len, ":0", 2);
	return address_parse(text, name.len + 2, 1, &list) == 1;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_same(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

/* The next part of a list from *at on, without blanks around; len 0 at the end. */
static struct request_text next_part(const char **at)
{
	struct request_text part;

	*at += strspn(*at, ", \t");
	part = (struct request_text){ *at, strcspn(*at, ",") };
	*at += part.len;
	while (part.len > 0 && (part.at[part.len - 1] == ' ' || part.at[part.len - 1] == '\t'))
		part.len--;
	return part;
}

/* With stars, "*.b.example" is every name that ends so, "*" every name. */
static bool is_in(const char *list, bool stars, struct request_text text)
{
	const char *at = list != NULL ? list : "";
	struct request_text part;

	while ((part = next_part(&at)).len > 0) {
		const char *end = text.at + text.len;

		if (stars && part.at[0] == '*' && part.len - 1 <= text.len &&
		    is_same(part.at + 1, end - (part.len - 1), part.len - 1))
			return true;
		if (part.len == text.len && is_same(part.at, text.at, part.len))
			return true;
	}
	return false;
}

/* As a browser writes them; no "null", which is every sandboxed page's. */
static bool is_origin(struct request_text part)
{
	const char *colon = memchr(part.at, ':', part.len);
	size_t n = colon != NULL ? (size_t)(colon - part.at) + 3 : 0;

	if (colon == NULL || part.len <= n || memcmp(colon, "://", 3) != 0)
		return false;
	return memchr(part.at, '*', part.len) == NULL &&
	       memchr(part.at + n, '/', part.len - n) == NULL;
}

static bool may_be_asked_as(struct request_text host, const struct visit *v)
{
	struct request_text name = without_port(host);

	return is_our_name(host, v->local) || (!v->local->loopback && is_literal(host)) ||
	       (name.at != NULL && name.len > 0 && is_in(v->policy->hosts, true, name));
}

/* --- rules ----------------------------------------------------------------------------------- */

static bool lacks_host(const struct visit *v)
{
	return v->r->host.at == NULL && !v->r->http10;
}

static bool asks_for_another_host(const struct visit *v)
{
	struct request_text host = request_host(v->r);

	if (v->policy->token != NULL || v->local->family == AF_UNIX || host.at == NULL)
		return false;
	return !may_be_asked_as(host, v);
}

static bool is_method(const struct request *r, const char *name)
{
	return r->method.len == strlen(name) && memcmp(r->method.at, name, r->method.len) == 0;
}

static bool only_reads(const struct request *r)
{
	return is_method(r, "GET") || is_method(r, "HEAD");
}

static bool comes_from_another_site(const struct visit *v)
{
	struct request_text site = v->r->fetch_site;

	if (site.at == NULL || v->is_listed)
		return false;
	return only_reads(v->r) ? request_text_is(site, "cross-site")
				: !request_text_is(site, "none");
}

static bool comes_from_another_origin(const struct visit *v)
{
	struct request_text host = request_host(v->r), origin = v->r->origin;

	if (origin.at == NULL || v->is_listed)
		return false;
	if (!only_reads(v->r) || host.at == NULL || origin.len != 7 + host.len ||
	    memcmp(origin.at, "http://", 7) != 0)
		return true;
	return memcmp(origin.at + 7, host.at, host.len) != 0 || !is_our_name(host, v->local);
}

static bool only_may_read(const struct visit *v)
{
	return v->is_listed && !only_reads(v->r) && !is_method(v->r, "OPTIONS");
}

static bool lacks_token(const struct visit *v)
{
	if (v->policy->token == NULL || v->local->family == AF_UNIX)
		return false;
	if (v->is_listed && is_method(v->r, "OPTIONS"))
		return false;
	return !token_is_in(v->policy->token, v->r->authorization);
}

static const struct rule {
	bool      (*broken)(const struct visit *v);
	int         status;
	const char *reason;
} rules[] = {
	{ lacks_host, 400, "missing required Host header" },
	{ asks_for_another_host, 403,
	  "forbidden Host: use localhost, 127.0.0.1 or [::1], or name it in PPROFSHIM_HOSTS" },
	{ comes_from_another_site, 403, "forbidden: a page of another site asks" },
	{ comes_from_another_origin, 403, "forbidden: a page of another origin asks" },
	{ only_may_read, 403, "forbidden: a page may only read" },
	{ lacks_token, 401,
	  "unauthorized: send the token of PPROFSHIM_TOKEN_FILE, as Bearer or as the password" },
};

struct guard_verdict guard_check(const struct request *r, const struct address *local,
				 const struct guard_policy *policy)
{
	struct visit v = { r, local, policy, false };

	v.is_listed = r->origin.len > 0 && is_origin(r->origin) &&
		      is_in(policy->origins, false, r->origin);
	for (size_t i = 0; i < COUNT_OF(rules); i++)
		if (rules[i].broken(&v))
			return (struct guard_verdict){ rules[i].status, rules[i].reason,
						       v.is_listed };
	return (struct guard_verdict){ 0, NULL, v.is_listed };
}

/* --- at the start ---------------------------------------------------------------------------- */

const char *guard_refuses(const struct address *address, const struct guard_policy *policy)
{
	if (address->family == AF_UNIX)
		return NULL;
	if (policy->token != NULL && policy->token->bytes[0] == '\0')
		return "not opened, because nobody could have the token";
	if (!address->loopback && policy->token == NULL && !policy->insecure)
		return "not opened, because other machines could reach it; allowed with "
		       "PPROFSHIM_TOKEN_FILE, or PPROFSHIM_INSECURE=1";
	return NULL;
}

const char *guard_bad_origin(const char *origins)
{
	struct request_text part;

	while ((part = next_part(&origins)).len > 0)
		if (!is_origin(part))
			return part.at;
	return NULL;
}
