/* The doors of C++'s operators new and delete.  libstdc++'s end in malloc and free, whose doors
 * count; an allocator's own do not (real.new_counts), and are counted here.  Exceptions of
 * the real one pass through these frames. */
#include "preload/export.h"
#include "preload/real.h"
#include "sampler/compiler.h"
#include "sampler/heap.h"

#define X(name, params, args) EXPORT void *name params;
REAL_NEW(X)
#undef X
#define X(name, params, args) EXPORT void name params;
REAL_DELETE(X)
#undef X

#define NEW_DOOR(name, params, args)                                           \
	static COLD void *sampled_##name params                                \
	{                                                                      \
		void *p = real.name args;                                      \
                                                                               \
		heap_sample(p, n);                                             \
		return p;                                                      \
	}                                                                      \
                                                                               \
	EXPORT void *name params                                               \
	{                                                                      \
		if (likely(!real.new_counts || heap_passes(n)))                \
			return real.name args;                                 \
		return sampled_##name args;                                    \
	}

#define DELETE_DOOR(name, params, args)                                        \
	EXPORT void name params                                                \
	{                                                                      \
		if (unlikely(real.new_counts && !heap_is_unsampled(p)))        \
			heap_forget(p);                                        \
		real.name args;                                                \
	}

REAL_NEW(NEW_DOOR)
REAL_DELETE(DELETE_DOOR)
