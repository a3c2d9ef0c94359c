/* libunwind's own way to find out what can be read is a pipe: a descriptor among the host's, which
 * may have closed it and have put a file of its own there.  So it is given ours. */
#include "sampler/unwind_libunwind.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "sampler/os.h"
#include "sampler/sys.h"

#define PC_MIN 4096u            /* below, nothing is ever mapped */
/* A stack has places that a sanitizer forbids to the program it guards; not to us. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))
#define BIT(signal) (UINT64_C(1) << ((signal) - 1))

static struct unwind_libunwind_calls calls;
/* libunwind's own way to read. */
static __typeof__(((unw_accessors_t *)NULL)->access_mem) access_before;

static bool is_within(uintptr_t lo, uintptr_t hi, uintptr_t at)
{
	return at >= lo && at < hi && hi - at >= sizeof(unw_word_t);
}

/* Above the stack pointer each page of a stack is mapped. */
static bool is_on_stack(const struct unwind_libunwind *w, uintptr_t lo, uintptr_t hi, uintptr_t at)
{
	return lo != 0 && w->sp >= lo && is_within(w->sp, hi, at);
}

static bool may_read(const struct unwind_libunwind *w, uintptr_t at)
{
	const struct unwind_stack_bounds *b = w->bounds;
	uintptr_t context = (uintptr_t)&w->context, last = at + sizeof(unw_word_t) - 1;
	uintptr_t word = sizeof(uintptr_t);

	if (is_within(context, context + sizeof(w->context), at) ||
	    is_on_stack(w, b->lo, b->hi, at) || is_on_stack(w, b->alt_lo, b->alt_hi, at))
		return true;
	return last > at && os_readable(at - at % word) &&
	       (at % word == 0 || os_readable(last - last % word));
}

static UNCHECKED int access_word(unw_addr_space_t space, unw_word_t at, unw_word_t *value,
				 int write, void *arg)
{
	const struct unwind_libunwind *w = self.libunwind;

	if (w == NULL)
		return access_before(space, at, value, write, arg);
	if (write || !may_read(w, at))
		return -UNW_EINVAL;
	memcpy(value, (const void *)at, sizeof(*value));
	return 0;
}

void unwind_libunwind_init(const struct unwind_libunwind_calls *with)
{
	calls = *with;
	access_before = calls.accessors->access_mem;
	calls.accessors->access_mem = access_word;
}

static enum unwind_end walk(struct unwind_libunwind *w, uintptr_t *pc, unsigned max,
			    unsigned *depth)
{
	unw_cursor_t *cursor = &w->cursor;
	bool exact = true;              /* ip was interrupted; else it is a return address */
	unw_word_t ip, sp, last = 0;
	int step;

	if (calls.init(cursor, &w->context, UNW_INIT_SIGNAL_FRAME) < 0)
		return UNWIND_TRUNCATED;
	for (; *depth < max; last = sp) {
		/* Below what it called there is no caller; but what a handler interrupted may be on
		 * another stack. */
		if (calls.get_reg(cursor, UNW_REG_IP, &ip) < 0 ||
		    calls.get_reg(cursor, UNW_REG_SP, &sp) < 0 || (!exact && sp <= last))
			return UNWIND_TRUNCATED;
		if (ip < PC_MIN)
			return UNWIND_COMPLETE;
		pc[(*depth)++] = ip - !exact;
		step = calls.step(cursor);
		if (step <= 0)
			return step == 0 ? UNWIND_COMPLETE : UNWIND_TRUNCATED;
		/* It knows a trampoline, which was not called, when that is behind. */
		exact = calls.is_signal_frame(cursor) > 0;
		if (exact)
			pc[*depth - 1] = ip;
	}
	return UNWIND_TRUNCATED;
}

enum unwind_end unwind_libunwind(const struct regs *regs, const struct unwind_stack_bounds *bounds,
				 struct unwind_libunwind *work, uintptr_t *pc, unsigned max,
				 unsigned *depth)
{
	/* What the thread itself raises ends the process if it is blocked. */
	static const uint64_t blocked = ~(BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) |
					  BIT(SIGTRAP) | BIT(SIGSYS));
	enum unwind_end end;
	uint64_t before;

	*depth = 0;
	sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, &before, sizeof(before));
	regs_to_signal(&work->context, regs);
	work->sp = regs->r[REGS_SP];
	work->bounds = bounds;
	self.libunwind = work;
	end = walk(work, pc, max, depth);
	self.libunwind = NULL;
	sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	return end;
}
