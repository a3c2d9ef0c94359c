/* httpd/stack_text.h -- a stack of a profile, as Go's debug=1 texts have it: the row of addresses,
 * and what they are called in comments below.
 *
 * Context   our thread, inside a job; memory of the request's arena. */
#ifndef HTTPD_STACK_TEXT_H
#define HTTPD_STACK_TEXT_H

#include "encode/text.h"
#include "httpd/profiles.h"

/* What a job needs for it: too large for its stack. */
struct stack_text {
	struct places    *places;
	frame_t           frame[PROFILES_FRAMES_MAX];
	uint64_t          address[PROFILES_FRAMES_MAX];
	struct text_frame text[PROFILES_FRAMES_MAX];
	unsigned          depth;
};

/* NULL if the arena is full. */
struct stack_text *stack_text_new(struct exchange *x);

/* Looks up these frames: what text_addresses and text_frames are given.  False if the arena is
 * full. */
bool stack_text_set(struct stack_text *t, const frame_t *frame, unsigned depth);

static inline void stack_text_addresses(const struct stack_text *t, struct buf *b)
{
	text_addresses(b, t->address, t->depth);
}

static inline void stack_text_frames(const struct stack_text *t, struct buf *b)
{
	text_frames(b, t->text, t->depth);
}

/* Without the empty line behind. */
static inline void stack_text_lines(const struct stack_text *t, struct buf *b)
{
	text_lines(b, t->text, t->depth);
}

#endif
