#include "httpd/answer.h"

#include <errno.h>
#include <string.h>

#include "httpd/head.h"
#include "sampler/os.h"

static struct request_text text_of(const char *s)
{
	return (struct request_text){ s, s != NULL ? strlen(s) : 0 };
}

/* A client that reads as fast as we write must not keep the others waiting: some 0.2 ms. */
#define ANSWER_TURN_BYTES (256u << 10)

/* Only a redirect to a very long path needs more room. */
static bool write_head(struct answer *a, struct arena *arena, const struct head *head)
{
	size_t n = head_write(head, a->room, sizeof(a->room));
	char *longer;

	a->head = a->room;
	a->head_len = n;
	if (n <= sizeof(a->room))
		return true;
	longer = arena_alloc(arena, n);
	a->head = longer;
	a->head_len = longer != NULL ? head_write(head, longer, n) : 0;
	return longer != NULL;
}

bool answer_begin(struct answer *a, struct exchange *x, bool closes)
{
	const struct reply *r = &x->reply;
	const char *origins = x->desk->guard.origins;
	struct head head = {
		.status = r->status,
		.http10 = x->request.http10,
		.close = closes,
		.pprof_error = r->from_pprof,
		.content_type = r->content_type,
		.filename = text_of(r->filename),
		.allow = r->allow,
		.location = text_of(r->location),
		.query = x->request.query,
		.preflight = r->preflight,
		.varies = origins != NULL && origins[0] != '\0',
		.length = r->length_unknown ? HEAD_LENGTH_UNKNOWN : (int64_t)r->body.len,
		.date_s = (int64_t)(os_realtime_ns() / 1000000000u),
	};

	if (x->origin_is_listed)
		head.allow_origin = x->request.origin;
	a->head_sent = a->piece_sent = 0;
	a->sent = 0;
	a->piece = exchange_is_head(x) ? NULL : r->body.first;
	if (write_head(a, &x->arena, &head))
		return true;
	a->piece = NULL;
	return false;
}

static long send_more(const struct answer *a, int fd)
{
	if (a->head_sent < a->head_len)
		return os_send(fd, a->head + a->head_sent, a->head_len - a->head_sent);
	return os_send(fd, a->piece->bytes + a->piece_sent, a->piece->len - a->piece_sent);
}

static void count_sent(struct answer *a, size_t n)
{
	a->sent += n;
	if (a->head_sent < a->head_len) {
		a->head_sent += n;
		return;
	}
	a->piece_sent += n;
	if (a->piece_sent == a->piece->len) {
		a->piece = a->piece->next;
		a->piece_sent = 0;
	}
}

int answer_send(struct answer *a, int fd)
{
	uint64_t until = a->sent + ANSWER_TURN_BYTES;

	while (a->head_sent < a->head_len || a->piece != NULL) {
		long n = send_more(a, fd);

		if (n == -EAGAIN)
			return 0;
		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		count_sent(a, (size_t)n);
		if (a->sent >= until)
			return 0;
	}
	return 1;
}
