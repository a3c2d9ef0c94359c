/* Any bytes from a client, with everything behind them: framing, pipelining, the guard, the routes.
 * At once, in pieces and byte by byte: the same answers, each of them whole. */
#include <stdint.h>

#include "fake/client.h"
#include "fuzz/wall.h"
#include "httpd/request_body.h"

#define SIZE_MAX_HERE 4096
#define ANSWERS_MAX   300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

struct talk {
	unsigned count;
	int      status[ANSWERS_MAX];
	bool     closed;        /* by the desk */
	bool     works;         /* on an answer that takes its time */
};

/* Which of the requests are HEADs: the parser's reading, without a connection. */
static unsigned read_requests(const uint8_t *data, size_t size, bool head[ANSWERS_MAX])
{
	unsigned n = 0;

	for (size_t at = 0; at < size && n < ANSWERS_MAX - 1;) {
		char *rest = wall_copy(data + at, size - at);
		size_t len, behind = 0;
		struct request_body body;
		struct request r;
		int got = request_parse(rest, size - at, &r);

		if (got <= 0)
			break;
		head[n++] = r.method.len == 4 && memcmp(r.method.at, "HEAD", 4) == 0;
		at += (size_t)got;
		len = size - at;
		if (request_body_begin(&body, &r, CONN_BODY_MAX) == REQUEST_BODY_DONE)
			continue;
		if (request_body_parse(&body, rest + got, &len, &behind) != REQUEST_BODY_DONE)
			break;
		at = size - behind;
	}
	head[n] = false;
	return n + 1;           /* one more answer, to what cannot be read */
}

static void take_answers(struct talk *talk, const bool *head, unsigned most)
{
	static struct client_answer answer;

	while (!nothing_more_came()) {
		demand(next_answer(&answer, talk->count < most && head[talk->count]));
		if (answer.status == 100)
			continue;
		demand(answer.status >= 200 && answer.status <= 599);
		demand(has_field(&answer, "Cache-Control: no-store"));
		demand(talk->count < most);
		talk->status[talk->count++] = answer.status;
	}
}

static void talk_in_pieces(const uint8_t *data, size_t size, size_t piece, struct talk *talk)
{
	bool head[ANSWERS_MAX];
	unsigned most = read_requests(data, size, head);

	memset(talk, 0, sizeof(*talk));
	made.rates = (struct ground_rates){ .cpu_hz = 100, .heap_rate = 512 << 10 };
	client_open();
	demand(client.conn != NULL);
	for (size_t at = 0; at < size && client.conn != NULL; at += piece) {
		client_send((const char *)data + at, size - at < piece ? size - at : piece);
		client_receive();
	}
	talk->closed = client.conn == NULL;
	talk->works = client.conn != NULL && (conn_events(client.conn) & (POLLIN | POLLOUT)) == 0;
	take_answers(talk, head, most);
	client_end();
}

/* One that works still may have come less far. */
static void compare(const struct talk *a, const struct talk *b)
{
	unsigned n = a->count < b->count ? a->count : b->count;

	demand(memcmp(a->status, b->status, n * sizeof(a->status[0])) == 0);
	if (!a->works && !b->works)
		demand(a->count == b->count && a->closed == b->closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct talk whole, pieces;

	if (size > SIZE_MAX_HERE)
		return 0;
	if (made.modules == 0) {
		make_program();
		atexit(drop_program);
	}
	talk_in_pieces(data, size, size, &whole);
	talk_in_pieces(data, size, 1 + size / 7, &pieces);
	compare(&whole, &pieces);
	if (size > 300)
		return 0;
	talk_in_pieces(data, size, 1, &pieces);
	compare(&whole, &pieces);
	return 0;
}
