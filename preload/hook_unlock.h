/* preload/hook_unlock.h -- what the constructor tells the doors of unlocks.
 *
 * Context   the host's thread, once. */
#ifndef PRELOAD_HOOK_UNLOCK_H
#define PRELOAD_HOOK_UNLOCK_H

/* real is what it stays. */
void hook_unlock_resolved(void);

#endif
