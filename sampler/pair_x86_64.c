/* cmpxchg16b, which all have but AMD's from before 2006 (CPUID.1:ECX bit 13).  Not the compiler's
 * builtin: gcc calls libatomic for it, and a thread sanitizer does it in two halves. */
#include "sampler/compiler.h"
#include "sampler/pair.h"

#include <cpuid.h>
#include <stdatomic.h>

#define CPUID_1_ECX_CX16 (1u << 13)

HOT bool pair_can_swap(void)
{
	static _Atomic unsigned char known;     /* 0 not yet, 1 it can, 2 it cannot */
	unsigned char is = atomic_load_explicit(&known, memory_order_relaxed);
	unsigned a, b, c = 0, d;

	if (is == 0) {
		is = __get_cpuid(1, &a, &b, &c, &d) && (c & CPUID_1_ECX_CX16) != 0 ? 1 : 2;
		atomic_store_explicit(&known, is, memory_order_relaxed);
	}
	return is == 1;
}

HOT bool pair_swap(_Atomic(uint64_t) pair[2], uint64_t was[2], const uint64_t now[2])
{
	uint64_t *both = (uint64_t *)(uintptr_t)pair;
	bool done;

	__asm__ volatile("lock cmpxchg16b %[pair]"
			 : "=@ccz"(done), [pair] "+m"(*(uint64_t(*)[2])both),
			   "+a"(was[0]), "+d"(was[1])
			 : "b"(now[0]), "c"(now[1])
			 : "memory");
	return done;
}
