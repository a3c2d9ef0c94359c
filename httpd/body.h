/* httpd/body.h -- the bytes of an answer, in the arena of its request.
 *
 * Context   our thread.  When the arena is full the body stays as it is and the arena's failed
 *           flag says so. */
#ifndef HTTPD_BODY_H
#define HTTPD_BODY_H

#include "encode/arena.h"
#include "encode/sink.h"

struct body_piece {
	struct body_piece *next;
	size_t             len, cap;
	char               bytes[];
};

struct body {
	struct sink        sink;        /* first: a struct sink * of it is a struct body * */
	struct arena      *arena;
	struct body_piece *first, *last;
	size_t             len;         /* of all pieces */
};

void body_init(struct body *body, struct arena *arena);
/* Forgets what was written: an error is answered instead. */
void body_clear(struct body *body);
void body_text(struct body *body, const char *text);

/* A sink that hands on to another and lets the desk breathe in between: put in front of slow
 * ones. */
struct body_breather {
	struct sink  sink;
	struct sink *to;
};
void body_breather_init(struct body_breather *b, struct sink *to);

#endif
