/* Between sp and the top of a stack every page is mapped, so what is usual costs two comparisons.
 * To ask the kernel about each page of each stack would cost 19 times the walk (unwinding.md). */
#include "sampler/unwind_memory.h"

#include "sampler/limits.h"
#include "sampler/os.h"

#define PAGE_BYTES     4096u    /* or a part of one, where pages are larger */
#define RED_ZONE_BYTES 128u     /* System V ABI, AMD64 supplement, 3.2.2 */
#define WORD_BYTES     sizeof(uintptr_t)

/* A stack has places that a sanitizer forbids to the program it guards; not to us. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))

static uintptr_t page_of(uintptr_t at) { return at & ~(uintptr_t)(PAGE_BYTES - 1); }

/* Without lo it cannot be told from a fiber's, which lies below hi too. */
static bool is_own_stack(const struct unwind_stack_bounds *b, uintptr_t at)
{
	return b->lo != 0 && at >= b->lo && at < b->hi;
}

static bool probe_page(struct unwind_memory *m, uintptr_t at)
{
	if (m->page_good != 0 && m->page_good == page_of(at))
		return true;
	if (!os_readable(at & ~(uintptr_t)(WORD_BYTES - 1)))
		return false;
	m->page_good = page_of(at);
	return true;
}

HOT void unwind_memory_enter(struct unwind_memory *m, uintptr_t sp, bool probe)
{
	const struct unwind_stack_bounds *b = m->bounds;

	m->known = true;
	if (is_own_stack(b, sp)) {
		m->limit = b->hi;
	} else if (sp >= b->alt_lo && sp < b->alt_hi) {
		m->limit = b->alt_hi;
	} else {
		m->known = false;
		m->limit = b->closed ? sp : sp + UNKNOWN_WALK_BYTES_MAX;
	}
	m->page_good = 0;
	/* Nothing can be read where the limit wrapped around, or sp itself is bad. */
	if (m->limit < sp || (probe && !probe_page(m, sp)))
		m->limit = sp;
}

void unwind_memory_frame(struct unwind_memory *m, uintptr_t sp, bool red_zone)
{
	m->floor = sp;
	m->mapped = m->known ? sp : m->limit;
	if (!red_zone || sp < RED_ZONE_BYTES)
		return;
	m->floor = sp - RED_ZONE_BYTES;
	/* The page below may be a guard: where the zone reaches it, it is probed. */
	if (m->known)
		m->mapped = m->floor < page_of(sp) ? page_of(sp) : m->floor;
}

bool unwind_memory_leave(struct unwind_memory *m, uintptr_t sp, uintptr_t caller_sp)
{
	if (caller_sp % WORD_BYTES != 0)
		return false;
	if (m->known)
		return caller_sp > sp && caller_sp <= m->limit;
	if (caller_sp > sp && caller_sp <= m->limit && caller_sp - sp <= UNKNOWN_FRAME_BYTES_MAX)
		return true;
	if (!is_own_stack(m->bounds, caller_sp))
		return false;
	unwind_memory_enter(m, caller_sp, true);
	return true;
}

static COLD UNCHECKED bool load_probed(struct unwind_memory *m, uintptr_t at, uintptr_t *value)
{
	bool own_stack = !m->known && is_own_stack(m->bounds, at);

	if (at % WORD_BYTES != 0 || (!own_stack && (at < m->floor || at >= m->limit)) ||
	    (m->bounds->closed && !m->known && !own_stack) || !probe_page(m, at))
		return false;
	*value = *(const uintptr_t *)at;
	return true;
}

UNCHECKED bool unwind_memory_load(void *of, uintptr_t at, uintptr_t *value)
{
	struct unwind_memory *m = of;

	if (likely(at % WORD_BYTES == 0 && at >= m->mapped && at < m->limit)) {
		*value = *(const uintptr_t *)at;
		return true;
	}
	return load_probed(m, at, value);
}
