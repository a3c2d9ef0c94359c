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

/* The operator was not there at start: look for it, from where the host called us. */
#define LATE(name, kind)                                                                          \
	((__typeof__(real.name))real_cxx((void **)&real.name, #name, kind,                        \
					 __builtin_return_address(0)))

#define NEW_DOOR(name, params, args, kind)                                     \
	static COLD void *sampled_##name params                                \
	{                                                                      \
		void *p = real.name args;                                      \
                                                                               \
		heap_sample(p, n);                                             \
		return p;                                                      \
	}                                                                      \
                                                                               \
	static COLD void *late_##name params                                   \
	{                                                                      \
		return LATE(name, kind) args;                                  \
	}                                                                      \
                                                                               \
	EXPORT void *name params                                               \
	{                                                                      \
		if (unlikely(real.name == NULL))                               \
			return late_##name args;                               \
		if (likely(!real.new_counts || heap_passes(n)))                \
			return real.name args;                                 \
		return sampled_##name args;                                    \
	}

#define DELETE_DOOR(name, params, args)                                        \
	static COLD void late_##name params                                    \
	{                                                                      \
		LATE(name, REAL_CXX_DELETE) args;                              \
	}                                                                      \
                                                                               \
	EXPORT void name params                                                \
	{                                                                      \
		if (unlikely(real.new_counts && !heap_is_unsampled(p)))        \
			heap_forget(p);                                        \
		if (likely(real.name != NULL))                                 \
			real.name args;                                        \
		else                                                           \
			late_##name args;                                      \
	}

NEW_DOOR(_Znwm, (size_t n), (n), REAL_CXX_NEW)
NEW_DOOR(_Znam, (size_t n), (n), REAL_CXX_NEW)
NEW_DOOR(_ZnwmRKSt9nothrow_t, (size_t n, const void *nothrow), (n, nothrow), REAL_CXX_NEW)
NEW_DOOR(_ZnamRKSt9nothrow_t, (size_t n, const void *nothrow), (n, nothrow), REAL_CXX_NEW)
NEW_DOOR(_ZnwmSt11align_val_t, (size_t n, size_t align), (n, align), REAL_CXX_NEW_ALIGNED)
NEW_DOOR(_ZnamSt11align_val_t, (size_t n, size_t align), (n, align), REAL_CXX_NEW_ALIGNED)
NEW_DOOR(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t n, size_t align, const void *nothrow),
	 (n, align, nothrow), REAL_CXX_NEW_ALIGNED)
NEW_DOOR(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t n, size_t align, const void *nothrow),
	 (n, align, nothrow), REAL_CXX_NEW_ALIGNED)

REAL_DELETE(DELETE_DOOR)
