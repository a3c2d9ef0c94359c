/* Compilers open a function that has a frame pointer with push %rbp; mov %rsp,%rbp and close it
 * with ret; stubs that only jump on (PLTs without call frame information, as lld writes them) are
 * like a first instruction.  1.5 % of node's samples are there (measured). */
#include "sampler/unwind_entry.h"

#include <stddef.h>
#include <string.h>

#include "sampler/compiler.h"
#include "sampler/os.h"

#define WORD 8u

struct pattern {
	uint8_t n, bytes[4];
	int     offset;
};

static const struct pattern patterns[] = {
	{ 1, { 0x55 }, 0 },                             /* push %rbp */
	{ 1, { 0xc3 }, 0 },                             /* ret */
	{ 1, { 0xc2 }, 0 },                             /* ret $n */
	{ 4, { 0xf3, 0x0f, 0x1e, 0xfa }, 0 },           /* endbr64 */
	{ 2, { 0xff, 0x25 }, 0 },                       /* jmp *n(%rip) */
	{ 3, { 0xf2, 0xff, 0x25 }, 0 },                 /* bnd jmp *n(%rip) */
	{ 3, { 0x48, 0x89, 0xe5 }, 8 },                 /* mov %rsp,%rbp */
	{ 3, { 0x48, 0x8b, 0xec }, 8 },                 /* the same, the other way to write it */
};

static bool matches(const struct pattern *p, const uint8_t *code, size_t n)
{
	for (size_t i = 0; i < p->n; i++) {
		if (i >= n || code[i] != p->bytes[i])
			return false;
	}
	return true;
}

int unwind_entry_offset(uintptr_t pc)
{
	size_t skip = pc % WORD, left = WORD - skip;

	if (!os_readable(pc - skip))
		return 0;
	/* Two words, unless the second is on another page, which may be another mapping. */
	if ((pc - skip + WORD) % 4096 != 0)
		left += WORD;
	for (size_t i = 0; i < COUNT_OF(patterns); i++) {
		if (matches(&patterns[i], (const uint8_t *)pc, left))
			return patterns[i].offset;
	}
	return UNWIND_ENTRY_NONE;
}

/* How long a call through a register or through memory is, by its second byte (Intel's manual,
 * volume 2, tables 2-2 and 2-3: mod, reg, rm); 0: with this byte it is no call. */
static size_t indirect_call_bytes(uint8_t modrm)
{
	uint8_t mod = modrm >> 6, reg = modrm >> 3 & 7, rm = modrm & 7;
	size_t n = 2;

	if (reg != 2)
		return 0;
	if (mod != 3 && rm == 4)
		n++;                            /* scale, index, base */
	if (mod == 1)
		n++;                            /* a byte of displacement */
	if (mod == 2 || (mod == 0 && rm == 5))
		n += 4;
	return n;
}

bool unwind_entry_follows_call(uintptr_t pc)
{
	uint8_t before[WORD];

	if (os_peek(before, pc - WORD, WORD) != WORD)
		return false;
	if (before[WORD - 5] == 0xe8)           /* call n(%rip) */
		return true;
	for (size_t n = 2; n < WORD; n++) {
		if (before[WORD - n] == 0xff && indirect_call_bytes(before[WORD - n + 1]) == n)
			return true;
	}
	return false;
}
