/* httpd/answer.h -- an answer on its way: the head, then the body, as fast as the client takes
 * them.
 *
 * Context   our thread.  Nothing here waits.
 * Memory    of the exchange's arena. */
#ifndef HTTPD_ANSWER_H
#define HTTPD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpd/exchange.h"

#define ANSWER_HEAD_ROOM 2048

struct answer {
	size_t             head_len, head_sent;
	const char        *head;        /* room, or longer */
	struct body_piece *piece;       /* being sent */
	size_t             piece_sent;
	uint64_t           sent;        /* bytes of all that */
	char               room[ANSWER_HEAD_ROOM];
};

/* Begins with what *x has in its reply; closes says the head. False: without memory for the head
 * there is no answer. */
MUST_CHECK bool answer_begin(struct answer *a, struct exchange *x, bool closes);

/* Sends what the socket takes, but not too much: 1 that was all, 0 there is more, or -errno. */
MUST_CHECK int answer_send(struct answer *a, int fd);

#endif
