/* sampler/sys.h -- the kernel, without libc in between.
 *
 * Every system call of this library goes through here: errno stays the host's, no cancellation
 * point is passed, and another preload's wrappers (or our own doors) are never entered.
 *
 * Context   any, also inside a handler, in a vfork child and on our own thread.
 * Result    what the kernel returned: >= 0, or -errno. */
#ifndef SAMPLER_SYS_H
#define SAMPLER_SYS_H

/* sys_<arch>.c */
long sys_call6(long nr, long a, long b, long c, long d, long e, long f);

#define SYS_ARG(x) ((long)(x))
#define sys_call0(nr)                sys_call6(nr, 0, 0, 0, 0, 0, 0)
#define sys_call1(nr, a)             sys_call6(nr, SYS_ARG(a), 0, 0, 0, 0, 0)
#define sys_call2(nr, a, b)          sys_call6(nr, SYS_ARG(a), SYS_ARG(b), 0, 0, 0, 0)
#define sys_call3(nr, a, b, c)       sys_call6(nr, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), 0, 0, 0)
#define sys_call4(nr, a, b, c, d) \
	sys_call6(nr, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), 0, 0)

#endif
