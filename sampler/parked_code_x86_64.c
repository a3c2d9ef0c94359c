/* Encodings: Intel's manual, volume 2.  What a function begins with is as gcc and clang write it:
 * they differ in nothing here. */
#include "sampler/parked_code.h"

#include <stdbool.h>
#include <string.h>

#include "sampler/os.h"

#define WORD 8u

/* call n(%rip): e8, then how far it is from the next instruction. */
#define CALL_BYTES 5
#define CALL       0xe8

/* Of a function, or of a stub: what is looked at. */
#define CODE_BYTES 64

struct code { uint8_t byte[CODE_BYTES]; size_t at; };

static bool read_code(struct code *c, uintptr_t from)
{
	memset(c, 0, sizeof(*c));
	return from != 0 && os_peek(c->byte, from, CODE_BYTES) > 0;
}

static bool skip(struct code *c, const char *bytes, size_t n)
{
	if (c->at + n > CODE_BYTES || memcmp(c->byte + c->at, bytes, n) != 0)
		return false;
	c->at += n;
	return true;
}

static int32_t read_i32(struct code *c)
{
	int32_t n = 0;

	if (c->at + sizeof(n) <= CODE_BYTES)
		memcpy(&n, c->byte + c->at, sizeof(n));
	c->at += sizeof(n);
	return n;
}

static void skip_endbr(struct code *c)
{
	(void)skip(c, "\xf3\x0f\x1e\xfa", 4);
}

/* Where a stub of the linker's jumps to: [endbr64] [bnd] jmp *n(%rip).  Anything else is what is
 * called itself. */
static uintptr_t through_stub(uintptr_t called)
{
	uintptr_t target;
	struct code c;

	if (!read_code(&c, called))
		return called;
	skip_endbr(&c);
	(void)skip(&c, "\xf2", 1);
	if (!skip(&c, "\xff\x25", 2))
		return called;
	target = (uintptr_t)(intptr_t)read_i32(&c);
	return os_peek(&target, called + c.at + target, sizeof(target)) == (long)sizeof(target)
		       ? target
		       : called;
}

uintptr_t parked_called_before(uintptr_t pc)
{
	uint8_t call[CALL_BYTES];
	int32_t distance;

	if (os_peek(call, pc - CALL_BYTES, CALL_BYTES) != CALL_BYTES || call[0] != CALL)
		return 0;
	memcpy(&distance, call + 1, sizeof(distance));
	return through_stub(pc + (uintptr_t)(intptr_t)distance);
}

/* Between the two there may be an instruction or two that need not wait. */
static bool skip_frame_pointer(struct code *c)
{
	if (!skip(c, "\x55", 1))
		return false;
	for (size_t end = c->at + 12; c->at < end; c->at++)
		if (skip(c, "\x48\x89\xe5", 3))
			return true;
	return false;
}

/* [endbr64] push %rbp; mov %rsp,%rbp; ... sub $n,%rsp.  In between the registers are saved, and
 * compilers put there what need not wait: so it is looked for, not read. */
size_t parked_frame_bytes(uintptr_t function, uintptr_t pc, unsigned saved)
{
	struct code c;

	if (!read_code(&c, function))
		return 0;
	skip_endbr(&c);
	if (!skip_frame_pointer(&c))
		return 0;
	for (; c.at + 7 <= CODE_BYTES && function + c.at < pc; c.at++) {
		int32_t n = 0;

		if (skip(&c, "\x48\x83\xec", 3))
			n = (int8_t)c.byte[c.at];
		else if (skip(&c, "\x48\x81\xec", 3))
			n = read_i32(&c);
		if (n > 0)
			return n % (int32_t)WORD == 0 ? saved * WORD + (size_t)n : 0;
	}
	return saved * WORD;
}
