#include "preload/lock_words.h"

#include <linux/futex.h>
#include <stdint.h>

#include "sampler/os.h"
#include "sampler/self.h"

/* glibc's nptl/pthreadP.h. */
#define TYPE             3              /* of PTHREAD_MUTEX_RECURSIVE_NP and the like */
#define ROBUST           16
#define PRIORITY_INHERIT 32
#define PRIORITY_PROTECT 64
#define CEILING          0xfff80000u

/* As libc knows it: what it calls a thread's lock, also in a vfork child, is the parent's. */
static int32_t caller(void)
{
	return self.tid != 0 ? self.tid : os_gettid();
}

static bool knows_holder(int kind)
{
	return (kind & TYPE) == PTHREAD_MUTEX_RECURSIVE ||
	       (kind & TYPE) == PTHREAD_MUTEX_ERRORCHECK;
}

/* The TID in its word, or 0. */
static int32_t holder_in_word(const pthread_mutex_t *m)
{
	return (int32_t)((uint32_t)LOCK_WORD(m->__data.__lock) & FUTEX_TID_MASK);
}

static bool word_says_held(const pthread_mutex_t *m, int kind)
{
	uint32_t word = (uint32_t)LOCK_WORD(m->__data.__lock);

	return ((kind & PRIORITY_PROTECT) != 0 ? word & ~CEILING : word) != 0;
}

bool mutex_is_held(const pthread_mutex_t *m)
{
	int kind = LOCK_WORD(m->__data.__kind);
	int32_t holder;

	if ((kind & (ROBUST | PRIORITY_INHERIT)) != 0) {
		holder = holder_in_word(m);
		return holder != 0 && holder != caller();
	}
	return word_says_held(m, kind) &&
	       (!knows_holder(kind) || LOCK_WORD(m->__data.__owner) != caller());
}

bool mutex_gives_way(const pthread_mutex_t *m)
{
	int kind = LOCK_WORD(m->__data.__kind);

	if ((kind & TYPE) == PTHREAD_MUTEX_RECURSIVE && LOCK_WORD(m->__data.__count) != 1)
		return false;
	if ((kind & (ROBUST | PRIORITY_INHERIT)) != 0)
		return holder_in_word(m) == caller();
	return word_says_held(m, kind) &&
	       (!knows_holder(kind) || LOCK_WORD(m->__data.__owner) == caller());
}

bool rwlock_is_held_to_read(const pthread_rwlock_t *l)
{
	unsigned word = LOCK_WORD(l->__data.__readers);

	if ((word & RWLOCK_WRITER) == 0 || LOCK_WORD(l->__data.__cur_writer) == caller())
		return false;
	/* A writer that is only the next one lets readers in, unless it was made to go first. */
	return (word & RWLOCK_WRITE_PHASE) != 0 ||
	       (LOCK_WORD(l->__data.__flags) == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP &&
		(word & RWLOCK_READERS) != 0);
}

bool rwlock_is_held_to_write(const pthread_rwlock_t *l)
{
	unsigned word = LOCK_WORD(l->__data.__readers);

	if ((word & RWLOCK_WRITER) != 0)
		return LOCK_WORD(l->__data.__cur_writer) != caller();
	return (word & RWLOCK_WRITE_PHASE) == 0 && (word & RWLOCK_READERS) != 0;
}
