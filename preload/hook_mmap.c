/* The doors of anonymous memory: all calls count (sampler/mapped.h).  libc's headers know mremap
 * with an ellipsis; its fifth argument is where a fifth parameter is.
 *
 * A page of the calling thread's own stack may go, too: as in hook_mprotect.c that must be known
 * before. */
#include <linux/mman.h>
#include <sys/syscall.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/mapped.h"
#include "sampler/mutex_gates.h"
#include "sampler/sys.h"
#include "sampler/threads.h"

#define X(result, name, params, args) EXPORT result name params;
REAL_MAPPINGS(X)
#undef X

#define PAGE      4096u
#define HUGE_PAGE (2u << 20)    /* if the flags do not say which */

#define FAILED ((void *)-1)

static size_t round_up(size_t n, size_t page)
{
	return (n + page - 1) & ~(page - 1);
}

/* --- mmap, munmap ---------------------------------------------------------------------------- */

static size_t page_of(int flags)
{
	unsigned bits = (unsigned)flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;

	if ((flags & MAP_HUGETLB) == 0)
		return PAGE;
	return bits != 0 ? (size_t)1 << bits : HUGE_PAGE;
}

static void will_go(const void *p, size_t n)
{
	threads_cut_stack((uintptr_t)p, round_up(n, PAGE));
}

/* A file may be shorter than its mapping. */
static void will_be(const void *at, size_t n, int protection, int flags)
{
	if ((flags & MAP_SHARED) != 0)
		mutex_gates_others();
	if ((flags & MAP_FIXED) != 0 &&
	    ((protection & PROT_READ) == 0 || (flags & MAP_ANONYMOUS) == 0))
		will_go(at, n);
}

/* A file may take the place of anonymous memory. */
static void mapped(void *p, size_t n, int flags)
{
	if (p == FAILED)
		return;
	if ((flags & MAP_ANONYMOUS) != 0)
		mapped_new((uintptr_t)p, round_up(n, page_of(flags)));
	else
		mapped_gone((uintptr_t)p, round_up(n, PAGE), mapped_ticket());
}

EXPORT void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	void *p;

	will_be(at, n, protection, flags);
	p = real.mmap(at, n, protection, flags, fd, offset);
	mapped(p, n, flags);
	return p;
}

EXPORT void *mmap64(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	void *p;

	will_be(at, n, protection, flags);
	p = real.mmap64(at, n, protection, flags, fd, offset);
	mapped(p, n, flags);
	return p;
}

EXPORT int munmap(void *p, size_t n)
{
	uint64_t ticket = mapped_ticket();
	int result;

	will_go(p, n);
	result = real.munmap(p, n);
	if (result == 0)
		mapped_gone((uintptr_t)p, round_up(n, PAGE), ticket);
	return result;
}

/* What another process may have a lock in is no anonymous memory. */
EXPORT void *shmat(int id, const void *at, int flags)
{
	mutex_gates_others();
	return real.shmat(id, at, flags);
}

/* --- mremap ---------------------------------------------------------------------------------- */

struct move { uintptr_t from, to; size_t had, has; };

static void moved(const struct move *m, int flags, uint64_t ticket)
{
	if (m->to == m->from && m->has <= m->had) {
		mapped_gone(m->from + m->has, m->had - m->has, ticket);
	} else if (m->to == m->from) {
		mapped_new(m->from + m->had, m->has - m->had);
	} else {
		/* Of no bytes a shared mapping is made a second time. */
		if ((flags & MREMAP_DONTUNMAP) == 0 && m->had != 0)
			mapped_gone(m->from, m->had, ticket);
		mapped_new(m->to, m->has);
	}
}

EXPORT void *mremap(void *p, size_t had, size_t n, int flags, void *to)
{
	uint64_t ticket = mapped_ticket();
	bool known = mapped_knows((uintptr_t)p, had != 0 ? round_up(had, PAGE) : PAGE);
	struct move move = { (uintptr_t)p, 0, round_up(had, PAGE), round_up(n, PAGE) };
	void *q;

	will_go(p, had);
	if ((flags & MREMAP_FIXED) != 0)
		will_go(to, n);
	q = real.mremap(p, had, n, flags, to);
	move.to = (uintptr_t)q;
	if (q == FAILED)
		return q;
	if (known)
		moved(&move, flags, ticket);
	else if ((flags & MREMAP_FIXED) != 0)
		mapped_gone(move.to, move.has, mapped_ticket());
	return q;
}

/* --- brk, sbrk ------------------------------------------------------------------------------- */

static void break_moved(uintptr_t from, uintptr_t to, uint64_t ticket)
{
	from = round_up(from, PAGE);
	to = round_up(to, PAGE);
	if (to > from)
		mapped_new(from, to - from);
	else if (to < from)
		mapped_gone(to, from - to, ticket);
}

/* glibc's says 0 for an end that the kernel has refused as too low: so the kernel is asked. */
EXPORT int brk(void *end)
{
	uint64_t ticket = mapped_ticket();
	uintptr_t was = ticket != 0 ? (uintptr_t)sys_call1(SYS_brk, 0) : 0;
	int result = real.brk(end);

	if (result == 0 && ticket != 0)
		break_moved(was, (uintptr_t)sys_call1(SYS_brk, 0), ticket);
	return result;
}

EXPORT void *sbrk(intptr_t by)
{
	uint64_t ticket = by != 0 ? mapped_ticket() : 0;
	void *was = real.sbrk(by);

	if (was != FAILED && ticket != 0)
		break_moved((uintptr_t)was, (uintptr_t)was + (uintptr_t)by, ticket);
	return was;
}
