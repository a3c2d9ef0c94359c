/* preload/hook_futex.h -- waits that a program makes of futexes by itself, by libc's syscall():
 * Rust's std and parking_lot, C++20's atomics and semaphores, absl, gperftools' spin locks. */
#ifndef PRELOAD_HOOK_FUTEX_H
#define PRELOAD_HOOK_FUTEX_H

/* Takes what the host gave to syscall(SYS_futex, ...), and does what it would. */
long hook_futex(long word, long op, long value, long timeout, long word2, long value3);

#endif
