/* Values that come from elsewhere (the name of a profile, a path) cannot end their line: see
 * put_quoted and head_location. */
#include "httpd/head.h"

#include <string.h>

#include "encode/buf.h"

static const struct { int status; const char *reason; } reasons[] = {
	{ 200, "OK" },
	{ 301, "Moved Permanently" },
	{ 307, "Temporary Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 413, "Request Entity Too Large" },
	{ 414, "Request URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

const char *head_reason(int status)
{
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

static void put_field(struct buf *p, const char *name, const char *value)
{
	buf_string(p, name);
	buf_string(p, ": ");
	buf_string(p, value);
	buf_string(p, "\r\n");
}

static void put_quoted(struct buf *p, struct request_text text)
{
	buf_char(p, '"');
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (c == '"' || c == '\\')
			buf_char(p, '\\');
		buf_char(p, (unsigned char)c < ' ' || c == 127 ? '_' : c);
	}
	buf_char(p, '"');
}

/* What Go's url.EscapedPath lets stand.  Not \, which browsers take for a slash: "/\evil.example"
 * would lead away from here. */
static bool stands_in_location(char c)
{
	static const char marks[] = "-_.~!$&'()*+,;=:@/[]%";
	char lower = (char)(c | 0x20);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	       memchr(marks, c, sizeof(marks) - 1) != NULL;
}

void head_location(struct buf *p, struct request_text path, struct request_text query)
{
	struct request_text parts[] = { path, query };

	for (size_t part = 0; part < COUNT_OF(parts) && parts[part].len > 0; part++) {
		if (part == 1)
			buf_char(p, '?');
		for (size_t i = 0; i < parts[part].len; i++) {
			char c = parts[part].at[i];

			if (stands_in_location(c) || (part == 1 && c == '?')) {
				buf_char(p, c);
				continue;
			}
			buf_char(p, '%');
			buf_char(p, "0123456789ABCDEF"[(unsigned char)c >> 4]);
			buf_char(p, "0123456789ABCDEF"[(unsigned char)c & 15]);
		}
	}
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).  Day to date is civil_from_days of Howard
 * Hinnant, "chrono-Compatible Low-Level Date Algorithms": years start in March, so that a leap day
 * is the last of one; 400 years are 146097 days; days 0 is 0000-03-01. */
static void put_date(struct buf *p, int64_t date_s)
{
	static const char days[] = "ThuFriSatSunMonTueWed";
	static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
	const uint64_t end_of_9999 = UINT64_C(253402300799);
	uint64_t t = date_s < 0 ? 0 : (uint64_t)date_s;
	uint64_t day, of_era, year, of_year, month;

	if (t > end_of_9999)
		t = end_of_9999;
	day = t / 86400 + 719468;
	of_era = day % 146097;
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;                /* 0 is March */
	buf_string(p, "Date: ");
	buf_bytes(p, days + t / 86400 % 7 * 3, 3);
	buf_string(p, ", ");
	buf_padded(p, of_year - (153 * month + 2) / 5 + 1, 2);
	buf_char(p, ' ');
	buf_bytes(p, months + month * 3, 3);
	buf_char(p, ' ');
	buf_padded(p, year + day / 146097 * 400 + (month >= 10), 4);
	buf_char(p, ' ');
	buf_padded(p, t % 86400 / 3600, 2);
	buf_char(p, ':');
	buf_padded(p, t % 3600 / 60, 2);
	buf_char(p, ':');
	buf_padded(p, t % 60, 2);
	buf_string(p, " GMT\r\n");
}

static void put_status(struct buf *p, const struct head *head)
{
	buf_string(p, head->http10 ? "HTTP/1.0 " : "HTTP/1.1 ");
	buf_padded(p, (unsigned)head->status, 3);
	buf_char(p, ' ');
	buf_string(p, head_reason(head->status));
	buf_string(p, "\r\n");
}

/* How the client finds the end of the body, and what comes then. */
static void put_framing(struct buf *p, const struct head *head)
{
	bool close = head->close || (head->http10 && head->length < 0);

	if (head->length >= 0) {
		buf_string(p, "Content-Length: ");
		buf_unsigned(p, (uint64_t)head->length);
		buf_string(p, "\r\n");
	}
	if (close != head->http10)
		put_field(p, "Connection", close ? "close" : "keep-alive");
	if (head->length < 0 && !head->http10)
		put_field(p, "Transfer-Encoding", "chunked");
}

/* What a browser wants to read before it hands the answer to a page of another origin, and before
 * it asks with a header of the page's own (fetch.spec.whatwg.org 3.3, and for a page from the
 * internet wicg.github.io/private-network-access). */
static void put_access(struct buf *p, const struct head *head)
{
	if (head->preflight) {
		put_field(p, "Access-Control-Allow-Headers", "authorization");
		put_field(p, "Access-Control-Allow-Methods", "GET, HEAD");
	}
	buf_string(p, "Access-Control-Allow-Origin: ");
	buf_bytes(p, head->allow_origin.at, head->allow_origin.len);
	buf_string(p, "\r\n");
	if (head->preflight) {
		put_field(p, "Access-Control-Allow-Private-Network", "true");
		put_field(p, "Access-Control-Max-Age", "600");
	}
}

size_t head_write(const struct head *head, char *out, size_t cap)
{
	struct buf p = buf_bounded(out, cap);

	put_status(&p, head);
	if (head->allow_origin.at != NULL)
		put_access(&p, head);
	if (head->allow != NULL)
		put_field(&p, "Allow", head->allow);
	put_field(&p, "Cache-Control", "no-store");
	if (head->filename.at != NULL) {
		buf_string(&p, "Content-Disposition: attachment; filename=");
		put_quoted(&p, head->filename);
		buf_string(&p, "\r\n");
	}
	if (head->content_type != NULL)
		put_field(&p, "Content-Type", head->content_type);
	if (head->location.at != NULL) {
		buf_string(&p, "Location: ");
		head_location(&p, head->location, head->query);
		buf_string(&p, "\r\n");
	}
	if (head->varies)
		put_field(&p, "Vary", "Origin");
	if (head->status == 401)
		put_field(&p, "WWW-Authenticate", "Basic realm=\"pprofshim\"");
	if (head->location.at == NULL)
		put_field(&p, "X-Content-Type-Options", "nosniff");
	if (head->pprof_error)
		put_field(&p, "X-Go-Pprof", "1");
	put_date(&p, head->date_s);
	put_framing(&p, head);
	buf_string(&p, "\r\n");
	return p.len;
}
