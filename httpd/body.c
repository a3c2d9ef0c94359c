#include "httpd/body.h"

#include <string.h>

#include "httpd/job.h"

#define PIECE_BYTES (32u << 10)

static struct body_piece *add_piece(struct body *b)
{
	struct body_piece *piece = arena_alloc(b->arena, PIECE_BYTES);

	if (piece == NULL)
		return NULL;
	piece->cap = PIECE_BYTES - sizeof(*piece);
	if (b->last != NULL)
		b->last->next = piece;
	else
		b->first = piece;
	b->last = piece;
	return piece;
}

static void write_body(struct sink *sink, const void *bytes, size_t n)
{
	struct body *b = (struct body *)sink;
	const char *from = bytes;

	while (n > 0) {
		struct body_piece *piece = b->last;
		size_t take;

		if ((piece == NULL || piece->len == piece->cap) && (piece = add_piece(b)) == NULL)
			return;
		take = piece->cap - piece->len < n ? piece->cap - piece->len : n;
		memcpy(piece->bytes + piece->len, from, take);
		piece->len += take;
		b->len += take;
		from += take;
		n -= take;
	}
}

void body_init(struct body *b, struct arena *arena)
{
	*b = (struct body){ .sink = { write_body }, .arena = arena };
}

void body_clear(struct body *b)
{
	body_init(b, b->arena);
}

void body_text(struct body *b, const char *text)
{
	write_body(&b->sink, text, strlen(text));
}

static void write_breather(struct sink *sink, const void *bytes, size_t n)
{
	struct body_breather *b = (struct body_breather *)sink;

	sink_write(b->to, bytes, n);
	job_breathe();
}

void body_breather_init(struct body_breather *b, struct sink *to)
{
	b->sink.write = write_breather;
	b->to = to;
}
