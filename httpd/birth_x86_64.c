/* The thread control block of glibc on x86-64 (its nptl/sysdeps/x86_64/tls.h, unchanged since 2.4):
 * pointers to itself at 0 and 16, the stack guard at 40, the pointer guard at 48. */
#include "httpd/birth.h"

#include <stdint.h>

void birth_prepare_tls(void *tls)
{
	uintptr_t *block = tls;

	block[0] = (uintptr_t)tls;
	block[2] = (uintptr_t)tls;
	__asm__("mov %%fs:40, %0" : "=r"(block[5]));
	__asm__("mov %%fs:48, %0" : "=r"(block[6]));
}
