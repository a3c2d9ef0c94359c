#include "test/bench/unwind/walkers.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>

#include "sampler/compiler.h"
#include "sampler/modules_scan.h"
#include "test/bench/unwind/want.h"

#define WALK_TEXT_MAX 4096      /* bytes that a function of this file has at most */

static int (*libunwind_backtrace)(void **pc, int max);

static inline const void *frame_of(const struct walker *w, unsigned i)
{
	return (const void *)w->pc[i];
}

/* --- the floor: frame pointers, as safe as ours -------------------------------------------------
 * Each load is inside the stack's bounds and aligned, each frame is further out than the one
 * before. */

static __attribute__((noinline)) void walk_frame_pointers(struct walker *w)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0), sp = frame;
	uintptr_t last = w->bounds.hi - 2 * sizeof(uintptr_t);
	unsigned n = 0;

	w->pc[n++] = (uintptr_t)walk_frame_pointers;
	while (frame >= sp && frame <= last && frame % sizeof(uintptr_t) == 0 && n < CHAIN_MAX) {
		const uintptr_t *f = (const uintptr_t *)frame;

		if (f[1] < 4096)
			break;
		w->pc[n++] = f[1];
		sp = frame + 2 * sizeof(uintptr_t);
		frame = f[0];
	}
	w->depth = n;
	w->cut = false;
}

/* --- ours ------------------------------------------------------------------------------------ */

static inline __attribute__((always_inline)) void walk_ours(struct walker *w,
							    struct unwind_memo *memo)
{
	struct regs regs;

	regs_here(&regs);
	w->cut = unwind_stack(&regs, &w->bounds, UNWIND_AUTO, &w->work, memo, w->pc, CHAIN_MAX,
			      &w->depth) != UNWIND_COMPLETE;
}

/* As sample.c does it. */
static __attribute__((noinline)) void walk_with_memo(struct walker *w)
{
	unwind_memo_know(&w->memo, modules_version());
	walk_ours(w, &w->memo);
}

static __attribute__((noinline)) void walk_without_memo(struct walker *w)
{
	walk_ours(w, NULL);
}

/* --- others ---------------------------------------------------------------------------------- */

static __attribute__((noinline)) void walk_libunwind(struct walker *w)
{
	int n = libunwind_backtrace((void **)w->pc, CHAIN_MAX);

	w->depth = n < 0 ? 0 : (unsigned)n;
	w->cut = n < 0;
}

static __attribute__((noinline)) void walk_glibc(struct walker *w)
{
	w->depth = (unsigned)backtrace((void **)w->pc, CHAIN_MAX);
	w->cut = false;
}

__attribute__((noinline)) void walk_nowhere(struct walker *w)
{
	w->walk_returns = (uintptr_t)__builtin_return_address(0);
}

/* --- all of them ----------------------------------------------------------------------------- */

static struct method methods[] = {
	{ "fp", walk_frame_pointers, functions_with_fp, 1000, 0 },
	{ "ours", walk_with_memo, functions_without_fp, 500, 1 },
	{ "ours, no memo", walk_without_memo, functions_without_fp, 200, 1 },
	{ "libunwind", walk_libunwind, functions_without_fp, 100, 0 },
	{ "glibc", walk_glibc, functions_without_fp, 10, 0 },
	{ .name = NULL },
};

/* A library in the namespace of its own symbols: libunwind's backtrace must not stand in for
 * glibc's. */
static void find_libunwind(void)
{
	void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);

	if (library != NULL)
		libunwind_backtrace = (int (*)(void **, int))dlsym(library, "unw_backtrace");
	if (libunwind_backtrace == NULL) {
		fprintf(stderr, "no libunwind here: left out (scripts/deps bench installs it)\n");
		memmove(&methods[3], &methods[4], 2 * sizeof(methods[0]));
	}
}

void walkers_start(void)
{
	void *pc[4];

	find_libunwind();
	backtrace(pc, COUNT_OF(pc));            /* loads libgcc_s */
	if (modules_scan(true) != 0)
		fprintf(stderr, "the mappings cannot be read\n");
	want_all();
	while (tables_compile())
		;
}

void walkers_init(struct walker *w, uintptr_t stack_lo, uintptr_t stack_hi)
{
	memset(w, 0, sizeof(*w));
	w->bounds.lo = stack_lo;
	w->bounds.hi = stack_hi;
	w->memo.frame = w->memo_frame;
	w->memo.fresh_frame = w->fresh_frame;
	w->memo.max = w->memo.first = COUNT_OF(w->memo_frame);
}

const struct method *walkers_methods(void)
{
	return methods;
}

const struct method *walkers_find(const char *name)
{
	for (const struct method *m = methods; m->name != NULL; m++) {
		if (strcmp(m->name, name) == 0)
			return m;
	}
	return NULL;
}

const char *walkers_check(const struct method *m, const struct walker *w, const struct chain *c)
{
	static _Thread_local char text[160];

	if (w->depth != c->known + 1 || w->cut) {
		snprintf(text, sizeof(text), "%u frames%s, not %u", w->depth, w->cut ? ", cut" : "",
			 c->known + 1);
		return text;
	}
	if (w->pc[0] - (uintptr_t)m->walk >= WALK_TEXT_MAX) {
		snprintf(text, sizeof(text), "frame 0 is %p, not in %p", frame_of(w, 0),
			 (void *)m->walk);
		return text;
	}
	for (unsigned i = 1; i < w->depth; i++) {
		uintptr_t is = w->pc[i] + m->before, should = c->return_address[c->known - i];

		if (is != should) {
			snprintf(text, sizeof(text), "frame %u is %#lx, not %#lx", i, is, should);
			return text;
		}
	}
	return NULL;
}
