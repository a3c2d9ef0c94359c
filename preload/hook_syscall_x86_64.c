/* The door of libc's syscall().  It must have no frame, because of clone and vfork, and touch no
 * argument: so it is a look-up, a mark (hook_clone_x86_64.c), and a jump.  The C function behind it
 * finds six arguments in registers and the seventh on the stack, where syscall's caller has put
 * them (System V ABI, AMD64 supplement, 3.2.3). */
#include <stddef.h>

#include "preload/export.h"
#include "preload/hook_syscall.h"
#include "preload/real.h"
#include "sampler/self.h"

/* libc's headers know it with other parameters. */
EXPORT void door_syscall(void) __asm__("syscall");
__attribute__((naked)) EXPORT void door_syscall(void)
{
	__asm__("cmp	%0, %%rdi\n\t"
		"jae	1f\n\t"
		"lea	hook_syscall_has_door(%%rip), %%rax\n\t"
		"cmpb	%2, (%%rax, %%rdi)\n\t"
		"ja	hook_syscall_by_door\n\t"
		"jb	1f\n\t"
		"mov	self@gottpoff(%%rip), %%rax\n\t"
		"orb	%3, %%fs:%c4(%%rax)\n"
		"1:\n\t"
		"jmp	*real+%c1(%%rip)"
		:
		: "i"(HOOK_SYSCALL_NUMBERS), "i"(offsetof(struct real, syscall)),
		  "i"(HOOK_SYSCALL_SHARES), "i"(SELF_CLONED), "i"(offsetof(struct self, shared)));
}
