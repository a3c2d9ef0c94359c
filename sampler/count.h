/* sampler/count.h -- what was given up, by reason.  Shown on the index and in profiles.
 *
 * Context   any.  Relaxed atomic adds. */
#ifndef SAMPLER_COUNT_H
#define SAMPLER_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

/* X(NAME, name, what it means) */
#define COUNT_LIST(X)                                                                              \
	X(CPU_NO_STACK, cpu_no_stack, "CPU samples without memory for their stack: [evicted]")     \
	X(CPU_NO_SITE, cpu_no_site, "CPU samples without memory for their site: [evicted]")        \
	X(CPU_NESTED, cpu_nested, "CPU samples that interrupted another sample of ours")           \
	X(CPU_FOREIGN_TLS, cpu_foreign_tls, "CPU samples on threads that share another's TLS")     \
	X(CPU_NO_ROOM, cpu_no_room, "CPU samples on a nearly full alternate signal stack")         \
	X(CPU_ONE_TIMER, cpu_one_timer, "times that one CPU timer had to do for all threads")      \
	X(HEAP_NO_STACK, heap_no_stack, "heap samples without memory for their stack: [evicted]")  \
	X(HEAP_NO_SITE, heap_no_site, "heap samples without memory for their site: [evicted]")     \
	X(HEAP_NO_ROOM, heap_no_room, "heap samples without room: allocated, but not in use")      \
	X(HEAP_SHADOWED, heap_shadowed, "malloc in front of ours: no samples of what it keeps")    \
	X(HEAP_NESTED, heap_nested, "heap samples inside another sample of ours")                  \
	X(HEAP_STALE, heap_stale, "live heap samples whose block was freed behind our back")       \
	X(HEAP_EVICTED, heap_evicted, "heap sites that others took the memory of: [evicted]")      \
	X(MMAP_NO_STACK, mmap_no_stack, "mmap calls without memory for their stack: [evicted]")    \
	X(MMAP_NO_SITE, mmap_no_site, "mmap calls without memory for their site: [evicted]")       \
	X(MMAP_NO_ROOM, mmap_no_room, "mapped ranges without room: allocated, but not in use")     \
	X(MMAP_NESTED, mmap_nested, "mmap calls where no stack can be taken: [evicted]")           \
	X(MMAP_LOST, mmap_lost, "mmap and munmap calls that many others came before: not recorded")\
	X(MMAP_EVICTED, mmap_evicted, "mmap sites that others took the memory of: [evicted]")      \
	X(LOCK_NO_SLOT, lock_no_slot, "waits for a lock without room: nobody is charged")       \
	X(LOCK_ODD, lock_odd, "charges of a lock that cannot be: dropped")                         \
	X(LOCK_NO_STACK, lock_no_stack, "lock samples without memory for their stack: [evicted]")  \
	X(LOCK_NO_SITE, lock_no_site, "lock samples without memory for their site: [evicted]")     \
	X(LOCK_NESTED, lock_nested, "lock samples where no stack can be taken: [evicted]")         \
	X(LOCK_EVICTED, lock_evicted, "lock sites that others took the memory of: [evicted]")      \
	X(CREATE_NO_STACK, create_no_stack, "threads whose maker's stack has no room: [evicted]") \
	X(CREATE_NO_SITE, create_no_site, "threads whose maker's site has no room: [evicted]")     \
	X(CREATE_NESTED, create_nested, "threads made where no stack can be taken: [evicted]")     \
	X(WALL_NO_STACK, wall_no_stack, "wall-clock stacks without memory: [evicted]")             \
	X(WALL_NO_SITE, wall_no_site, "wall-clock sites without memory: [evicted]")                \
	X(STACK_TRUNCATED, stack_truncated, "stacks that do not reach their outermost frame")      \
	X(THREAD_NO_SLOT, thread_no_slot, "threads without a slot: not sampled")                   \
	X(THREAD_NO_TIMER, thread_no_timer, "threads without a CPU timer: no CPU samples")         \
	X(THREAD_SMALL_ALTSTACK, thread_small_altstack,                                            \
	  "small alternate signal stacks: no CPU samples while a thread has one")                  \
	X(THREAD_NO_NAME, thread_no_name, "thread names without room: recorded as unnamed")        \
	X(MODULE_NO_ROW, module_no_row, "mapped objects without a row: addresses without names")   \
	X(MODULE_NO_TABLES, module_no_tables, "loaded objects whose unwind tables found no room")  \
	X(SINCE_FORGOTTEN, since_forgotten, "clients of delta_*: their next is since the start")   \
	X(MAP_REFUSED, map_refused, "requests for memory that the kernel refused")                 \
	X(LOG_LOST, log_lost, "log lines that could not be written")

enum count {
#define X(upper, lower, says) COUNT_##upper,
	COUNT_LIST(X)
#undef X
	COUNT_REASONS
};

extern _Atomic uint64_t count_values[COUNT_REASONS];

static inline void count_add_n(enum count reason, uint64_t n)
{
	atomic_fetch_add_explicit(&count_values[reason], n, memory_order_relaxed);
}

static inline void count_add(enum count reason)
{
	count_add_n(reason, 1);
}

static inline uint64_t count_get(enum count reason)
{
	return atomic_load_explicit(&count_values[reason], memory_order_relaxed);
}

/* "heap_no_room", and the sentence. */
const char *count_name(enum count reason);
const char *count_says(enum count reason);

/* A fork child starts from zero. */
void count_reset(void);

#endif
