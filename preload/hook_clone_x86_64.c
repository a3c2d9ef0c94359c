/* The doors of vfork and clone: their child may run on the thread-local data of its parent, and
 * nothing there says so.  A mark makes threads_marked_elsewhere ask the kernel who runs, which
 * everybody else is spared.  They must have no frame: the child's would be its parent's. */
#include <stddef.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/self.h"

/* libc's headers know them with parameters. */
#define DOOR(name, mark)                                                        \
	EXPORT void door_##name(void) __asm__(#name);                           \
	__attribute__((naked)) EXPORT void door_##name(void)                    \
	{                                                                       \
		__asm__("mov	self@gottpoff(%%rip), %%rax\n\t"                \
			"orb	%0, %%fs:%c1(%%rax)\n\t"                        \
			"jmp	*real+%c2(%%rip)"                               \
			:                                                       \
			: "i"(mark), "i"(offsetof(struct self, shared)),        \
			  "i"(offsetof(struct real, name)));                    \
	}

DOOR(vfork, SELF_VFORKED)
DOOR(__vfork, SELF_VFORKED)
DOOR(clone, SELF_CLONED)
DOOR(__clone, SELF_CLONED)
