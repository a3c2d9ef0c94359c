#include "httpd/exchange.h"

#include <string.h>

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

bool exchange_is_head(const struct exchange *x)
{
	return x->request.method.len == 4 && memcmp(x->request.method.at, "HEAD", 4) == 0;
}
