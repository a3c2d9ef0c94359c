/* preload/hook_futex.h -- waits that a program makes of futexes by itself, by libc's syscall():
 * Rust's std and parking_lot, C++20's atomics and semaphores, absl, gperftools' spin locks. */
#ifndef PRELOAD_HOOK_FUTEX_H
#define PRELOAD_HOOK_FUTEX_H

/* Takes what the host gave to syscall(SYS_futex, ...), and does what it would. */
long hook_futex(long word, long op, long value, long timeout, long word2, long value3);

/* The calls that came later (Linux 5.16, 6.7), the same everywhere: they only wait. */
#define SYS_FUTEX_WAITV 449
#define SYS_FUTEX_WAIT  455
long hook_futex_later(long nr, long a, long b, long c, long d, long e, long f);

#endif
