#include "encode/partial.h"

#include <string.h>

#include "encode/utf8.h"

#define PIECE_BYTES 16384u      /* what goes to the sink at once */

static void append(ProtobufCBuffer *buffer, size_t n, const uint8_t *bytes)
{
	struct partial *p = (struct partial *)buffer;

	buf_bytes(&p->piece, bytes, n);
}

void partial_write(struct partial *p, const Pprofshim__Profile *message)
{
	(void)protobuf_c_message_pack_to_buffer(&message->base, &p->base);
}

void partial_flush(struct partial *p)
{
	buf_flush(&p->piece);
}

bool partial_begin(struct partial *p, struct arena *arena, struct sink *out)
{
	Pprofshim__Profile message = PPROFSHIM__PROFILE__INIT;
	char *piece = arena_alloc(arena, PIECE_BYTES);
	char empty[1] = "", *text = empty;

	if (piece == NULL)
		return false;
	*p = (struct partial){ .base.append = append, .arena = arena, .string_index.arena = arena,
			       .piece = buf_to_sink(piece, PIECE_BYTES, out), .strings = 1 };
	message.n_string_table = 1;
	message.string_table = &text;
	partial_write(p, &message);
	return true;
}

/* The index of s[0..n), which is valid and followed by a 0. */
static int64_t index_of_valid(struct partial *p, const char *s, size_t n)
{
	Pprofshim__Profile message = PPROFSHIM__PROFILE__INIT;
	char *text = partial_unconst(s);
	uint64_t index;

	if (intern_find(&p->string_index, s, n, &index))
		return (int64_t)index;
	if (!intern_add(&p->string_index, s, n, (uint64_t)p->strings))
		return 0;
	message.n_string_table = 1;
	message.string_table = &text;
	partial_write(p, &message);
	return p->strings++;
}

int64_t partial_string(struct partial *p, const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;
	uint64_t known;
	int64_t index;
	char *valid;

	if (n == 0)
		return 0;
	if (intern_find(&p->string_index, s, n, &known))
		return (int64_t)known;
	if (utf8_valid(s, n))
		return index_of_valid(p, s, n);
	valid = arena_alloc(p->arena, UTF8_COPY_MAX(n) + 1);
	if (valid == NULL)
		return 0;
	index = index_of_valid(p, valid, utf8_copy(valid, s, n));
	/* The next time it is found by its own bytes, without another copy. */
	(void)intern_add(&p->string_index, s, n, (uint64_t)index);
	return index;
}
