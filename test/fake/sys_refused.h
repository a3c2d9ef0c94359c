/* test/fake/sys_refused.h -- stands in for sampler/sys_<arch>.c: the kernel, which is counted and
 * says no, or lets something happen meanwhile, when a test wants it to. */
#ifndef TEST_FAKE_SYS_REFUSED_H
#define TEST_FAKE_SYS_REFUSED_H

#include <stdatomic.h>
#include <stddef.h>

#include "fake/sys_kernel.h"
#include "sampler/sys.h"

static struct {
	long             nr, also;      /* this call, and this other one (0: none) ... */
	_Atomic unsigned from;          /* ... from this one of its kind on (0: none) ... */
	long             error;         /* ... is answered so */
	_Atomic unsigned seen;
	void (*meanwhile)(void);        /* not NULL: it is not refused, but this comes before */
} sys_refused;

/* From now on the nth call of this kind and all after it fail; n 0: none does, they are counted. */
static inline void sys_refuse(long nr, unsigned n, long error)
{
	sys_refused.from = 0;
	sys_refused.nr = nr;
	sys_refused.error = error;
	sys_refused.seen = 0;
	sys_refused.meanwhile = NULL;
	sys_refused.from = n;
}

/* Just before the nth call of this kind something happens in the process. */
static inline void sys_interrupt(long nr, unsigned n, void (*meanwhile)(void))
{
	sys_refuse(nr, 0, 0);
	sys_refused.meanwhile = meanwhile;
	sys_refused.from = n;
}

long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
{
	if (nr == sys_refused.nr || (sys_refused.also != 0 && nr == sys_refused.also)) {
		unsigned n = atomic_fetch_add(&sys_refused.seen, 1) + 1;

		if (sys_refused.meanwhile != NULL && n == sys_refused.from)
			sys_refused.meanwhile();
		else if (sys_refused.meanwhile == NULL && sys_refused.from != 0 &&
			 n >= sys_refused.from)
			return sys_refused.error;
	}
	return sys_kernel(nr, a, b, c, d, e, f);
}

#endif
