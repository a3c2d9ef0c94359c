#include "httpd/exchange.h"

#include <string.h>

#include "encode/buf.h"
#include "httpd/head.h"

static void answer(struct exchange *x, int status, const char *content_type)
{
	body_clear(&x->reply.body);
	x->reply.status = status;
	x->reply.content_type = content_type;
	x->reply.filename = NULL;
	x->reply.from_pprof = false;
}

void exchange_mux_error(struct exchange *x, int status, const char *text)
{
	answer(x, status, "text/plain; charset=utf-8");
	if (text == NULL)
		return;
	body_text(&x->reply.body, text);
	body_text(&x->reply.body, "\n");
}

void exchange_error(struct exchange *x, int status, const char *text)
{
	exchange_mux_error(x, status, text);
	x->reply.from_pprof = true;
}

void exchange_text(struct exchange *x)
{
	answer(x, 200, "text/plain; charset=utf-8");
}

void exchange_file(struct exchange *x, const char *filename)
{
	answer(x, 200, "application/octet-stream");
	x->reply.filename = filename;
}

void exchange_redirect(struct exchange *x, const char *path)
{
	struct request_text where = { path, strlen(path) };
	struct buf url = buf_bounded(NULL, 0), b;
	char bytes[256], *text;

	answer(x, 307, "text/html; charset=utf-8");
	x->reply.location = path;
	head_location(&url, where, x->request.query);
	text = arena_alloc(&x->arena, url.len + 1);
	if (text == NULL)
		return;
	url = buf_bounded(text, url.len);
	head_location(&url, where, x->request.query);
	b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);
	buf_string(&b, "<a href=\"");
	buf_html(&b, text);
	buf_string(&b, "\">Temporary Redirect</a>.\n\n");
	buf_flush(&b);
}

bool exchange_is_head(const struct exchange *x)
{
	return x->request.method.len == 4 && memcmp(x->request.method.at, "HEAD", 4) == 0;
}
