/* preload/libunwind.h -- PPROFSHIM_UNWINDER=libunwind: that library, opened when it is asked for.
 *
 * Never among our own dependencies, and RTLD_LOCAL: its _Unwind_ functions and its backtrace()
 * would take the place of libgcc's and libc's.
 *
 * Context   libunwind_open: the constructor, before threads_init and signals_init. */
#ifndef PRELOAD_LIBUNWIND_H
#define PRELOAD_LIBUNWIND_H

#include <stdbool.h>

/* True: sampler/unwind_libunwind.h may be used from now on.  Either way the log has one line. */
bool libunwind_open(void);

/* True in a fork child if its parent had other threads: they may have held locks that nobody gives
 * back.  Before threads_after_fork. */
bool libunwind_is_lost(void);

#endif
