/* test/unit/unwind_live.h -- the objects of this process, for tests that unwind themselves.
 *
 * Stands in for sampler/modules.c: every object is permanent, and found by dl_iterate_phdr. */
#ifndef TEST_UNWIND_LIVE_H
#define TEST_UNWIND_LIVE_H

#include <link.h>
#include <pthread.h>

#include "sampler/compiler.h"
#include "sampler/modules.h"
#include "sampler/unwind.h"

enum { LIVE_TEXTS_MAX = 256, LIVE_DEPTH = 256 };

/* How real programs are built, but every call is one. */
#ifdef __clang__
#define NO_FRAME_POINTER __attribute__((noinline, disable_tail_calls))
#else
#define NO_FRAME_POINTER \
	__attribute__((noinline, optimize("omit-frame-pointer", "no-optimize-sibling-calls")))
#endif

struct live_text {
	uintptr_t         start, limit;
	struct cfi_object unwind;
};

static struct {
	struct live_text text[LIVE_TEXTS_MAX];
	unsigned         texts;
} live;

static inline const struct live_text *live_find(uintptr_t pc)
{
	for (unsigned i = 0; i < live.texts; i++) {
		if (pc >= live.text[i].start && pc < live.text[i].limit)
			return &live.text[i];
	}
	return NULL;
}

bool modules_find_unwind(uintptr_t pc, struct cfi_object *out)
{
	const struct live_text *t = live_find(pc);

	if (t == NULL || t->unwind.hdr == NULL)
		return false;
	*out = t->unwind;
	return true;
}

bool modules_is_code(uintptr_t pc) { return live_find(pc) != NULL; }

static int live_add(struct dl_phdr_info *info, size_t size, void *unused)
{
	struct cfi_object unwind = { 0 };
	uintptr_t hdr = 0;

	(void)size;
	(void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			hdr = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
	}
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && hdr - start < p->p_memsz) {
			unwind.hdr = (const uint8_t *)hdr;
			unwind.lo = (const uint8_t *)start;
			unwind.hi = unwind.lo + p->p_memsz;
		}
	}
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X) && live.texts < LIVE_TEXTS_MAX)
			live.text[live.texts++] = (struct live_text){
				start, start + p->p_memsz, unwind };
	}
	return 0;
}

static inline void live_start(void)
{
	live.texts = 0;
	dl_iterate_phdr(live_add, NULL);
}

static inline struct unwind_stack_bounds live_bounds(void)
{
	pthread_attr_t attr;
	void *lo;
	size_t bytes;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &lo, &bytes);
	pthread_attr_destroy(&attr);
	return (struct unwind_stack_bounds){ .lo = (uintptr_t)lo, .hi = (uintptr_t)lo + bytes };
}

#endif
