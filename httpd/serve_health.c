/* /healthz: our thread is alive and takes requests, or nobody would answer. */
#include "httpd/serve.h"

void serve_health(struct exchange *x)
{
	exchange_text(x);
	body_text(&x->reply.body, "ok\n");
}
