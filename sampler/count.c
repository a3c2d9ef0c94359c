#include "sampler/count.h"

#include <assert.h>

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a counter may not hide a lock");

_Atomic uint64_t count_values[COUNT_REASONS];

static const char *const names[] = {
#define X(upper, lower, says) #lower,
	COUNT_LIST(X)
#undef X
};

static const char *const sayings[] = {
#define X(upper, lower, says) says,
	COUNT_LIST(X)
#undef X
};

const char *count_name(enum count reason)
{
	return names[reason];
}

const char *count_says(enum count reason)
{
	return sayings[reason];
}

void count_reset(void)
{
	/* Most are zero already, and a page that is not written is not copied. */
	for (unsigned i = 0; i < COUNT_REASONS; i++)
		if (count_get((enum count)i) != 0)
			atomic_store_explicit(&count_values[i], 0, memory_order_relaxed);
}
