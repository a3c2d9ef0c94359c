/* Compilers open a function that has a frame pointer with push %rbp; mov %rsp,%rbp and close it with
 * ret; stubs that only jump on (PLTs without call frame information, as lld writes them) are
 * like a first instruction.  The sampled pc of generated code is there one time in fifty. */
#include "sampler/unwind_entry.h"

#include <stdbool.h>
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
