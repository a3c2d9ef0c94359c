/* encode/partial.h -- one Profile message, written as many partial ones: repeated fields of
 * concatenated messages add up, so nothing has to be kept until the end.  And its string table,
 * each string of which is written when it is first mentioned.
 *
 * Context   one thread, any; memory from the arena only.
 * When full arena->failed; what is not written then is lost. */
#ifndef ENCODE_PARTIAL_H
#define ENCODE_PARTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encode/arena.h"
#include "encode/buf.h"
#include "encode/intern.h"
#include "encode/profile.pb-c.h"
#include "encode/sink.h"

struct partial {
	ProtobufCBuffer base;           /* first, so that its append finds the rest */
	struct arena   *arena;
	struct buf      piece;          /* what waits for the sink */
	struct intern   string_index;   /* also by spellings that are not UTF-8 */
	int64_t         strings;        /* how many are written: the next one's index */
};

/* Writes string 0, the empty one.  False if the arena is full.  *p must stay where it is. */
bool partial_begin(struct partial *p, struct arena *arena, struct sink *out);

void partial_write(struct partial *p, const Pprofshim__Profile *message);

/* The index of a string; NULL is "".  Invalid UTF-8 is replaced. */
int64_t partial_string(struct partial *p, const char *s);

void partial_flush(struct partial *p);

/* protobuf-c's messages have no const arrays, but it does not write to what it packs. */
static inline void *partial_unconst(const void *p)
{
	return (void *)(uintptr_t)p;
}

#endif
