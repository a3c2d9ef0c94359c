/* preload/hook_syscall.h -- libc's syscall(), between its door and what the door does. */
#ifndef PRELOAD_HOOK_SYSCALL_H
#define PRELOAD_HOOK_SYSCALL_H

#include <stdint.h>

#include "sampler/compiler.h"

/* Numbers from here on go straight on. */
#define HOOK_SYSCALL_NUMBERS 512

/* The calls that do not. */
enum hook_syscall {
	HOOK_SYSCALL_NONE,
	HOOK_SYSCALL_SHARES,            /* makes a child that may run on its parent's data */
	HOOK_SYSCALL_DOOR,
};
extern HIDDEN const uint8_t hook_syscall_has_door[HOOK_SYSCALL_NUMBERS];

/* Takes what the host gave to syscall(), and does what it would. */
long hook_syscall_by_door(long nr, long a, long b, long c, long d, long e, long f);

#endif
