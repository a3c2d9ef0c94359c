/* test/unit/unwind_live.h -- the objects of this process, for tests that unwind themselves.
 *
 * Stands in for sampler/modules.c: every object is found by dl_iterate_phdr.  Which of the unwinder's
 * layers there are, live_layers says. */
#ifndef TEST_UNWIND_LIVE_H
#define TEST_UNWIND_LIVE_H

#include <link.h>
#include <pthread.h>
#include <string.h>

#include "sampler/compiler.h"
#include "sampler/modules.h"
#include "sampler/objects.h"
#include "sampler/rules.h"
#include "sampler/tables.h"
#include "sampler/unwind.h"
#include "test/fake/cpu_clock.h"

enum { LIVE_TEXTS_MAX = 256, LIVE_DEPTH = 256 };

/* How real programs are built, but every call is one. */
#ifdef __clang__
#define NO_FRAME_POINTER __attribute__((noinline, disable_tail_calls))
#else
#define NO_FRAME_POINTER \
	__attribute__((noinline, optimize("omit-frame-pointer", "no-optimize-sibling-calls")))
#endif

/* Each with what is before it. */
enum live_layers {
	LIVE_TABLES,            /* the interpreter alone */
	LIVE_ROWS,              /* compiled rows */
	LIVE_RULES,             /* code that was seen before is known */
	LIVE_MEMO,              /* and the last stack of the thread: live_memo() */
	LIVE_LAYERS,
};

static const char *const live_name[] = { "tables", "rows", "rules", "memo" };

static struct {
	struct range text[LIVE_TEXTS_MAX];
	unsigned     texts;
	enum live_layers layers;
	struct unwind_memo memo;
	struct unwind_memo_frame kept[LIVE_DEPTH], fresh[LIVE_DEPTH];
} live;

static inline const struct range *live_find(uintptr_t pc)
{
	for (unsigned i = 0; i < live.texts; i++) {
		if (pc >= live.text[i].start && pc < live.text[i].limit)
			return &live.text[i];
	}
	return NULL;
}

bool modules_find_range(uintptr_t pc, struct range *out)
{
	const struct range *r = live_find(pc);

	if (r == NULL)
		return false;
	*out = *r;
	if (live.layers < LIVE_ROWS)
		out->tables = NULL;
	out->permanent = live.layers >= LIVE_RULES;
	return true;
}

bool modules_is_code(uintptr_t pc) { return live_find(pc) != NULL; }

static int live_add(struct dl_phdr_info *info, size_t size, void *unused)
{
	struct range range = { 0 };
	struct object object;

	(void)size;
	(void)unused;
	for (int i = info->dlpi_phnum; i-- > 0;)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			range.image = (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr) / 4096 * 4096;
	if (objects_read(range.image, &object))
		range.tables = tables_of(&object, range.image, true, &range.place);
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || live.texts == LIVE_TEXTS_MAX)
			continue;
		range.start = info->dlpi_addr + p->p_vaddr;
		range.limit = range.start + p->p_memsz;
		live.text[live.texts++] = range;
	}
	return 0;
}

/* Nothing is remembered of what was before. */
static inline void live_use(enum live_layers layers)
{
	live.layers = layers;
	memset((void *)(uintptr_t)rules_word, 0, sizeof(rules_word));
	live.memo = (struct unwind_memo){ .frame = live.kept, .fresh_frame = live.fresh,
					   .max = LIVE_DEPTH };
	unwind_memo_know(&live.memo, 1);
}

static inline struct unwind_memo *live_memo(void)
{
	return live.layers >= LIVE_MEMO ? &live.memo : NULL;
}

/* Returns how many objects have rows. */
static inline unsigned live_compile(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < live.texts; i++)
		if (live.text[i].tables != NULL)
			tables_ask(live.text[i].tables);
	while (tables_compile())
		;
	for (unsigned i = 0; i < live.texts; i++)
		n += live.text[i].tables != NULL && tables_rows(live.text[i].tables) != NULL;
	return n;
}

static inline void live_start(void)
{
	live.texts = 0;
	dl_iterate_phdr(live_add, NULL);
	live_use(LIVE_TABLES);
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
