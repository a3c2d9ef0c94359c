/* preload/hook_mutex.h -- what the constructor tells the doors of mutexes.
 *
 * Context   the host's thread, once. */
#ifndef PRELOAD_HOOK_MUTEX_H
#define PRELOAD_HOOK_MUTEX_H

/* real is what it stays. */
void hook_mutex_resolved(void);

#endif
