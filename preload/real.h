/* preload/real.h -- the functions we stand in front of.  One line here, one door;
 * scripts/check-symbols compares the two.
 *
 * Context   any.  A pointer of REAL_LIST is never NULL: until real_resolve has run it leads to a
 *           function that resolves the whole list first, so doors work before our constructor.
 *           While dlsym is at work for us, blocks come from preload/boot.h. */
#ifndef PRELOAD_REAL_H
#define PRELOAD_REAL_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <threads.h>
#include <time.h>

#include "sampler/compiler.h"

typedef void (*real_handler)(int);
typedef void *(*real_start)(void *);
typedef int (*real_child)(void *);

/* X(result, name, parameters, arguments) */
#define REAL_BLOCKS(X)                                                                             \
	X(void *, malloc, (size_t n), (n))                                                         \
	X(void *, calloc, (size_t n, size_t size), (n, size))                                      \
	X(void *, realloc, (void *p, size_t n), (p, n))                                            \
	X(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))                    \
	X(void *, memalign, (size_t align, size_t n), (align, n))                                  \
	X(void *, aligned_alloc, (size_t align, size_t n), (align, n))                             \
	X(int, posix_memalign, (void **p, size_t align, size_t n), (p, align, n))                  \
	X(void *, valloc, (size_t n), (n))                                                         \
	X(void *, pvalloc, (size_t n), (n))                                                        \
	X(void, free, (void *p), (p))                                                              \
	X(void, cfree, (void *p), (p))

#define REAL_OTHERS(X)                                                                             \
	X(int, pthread_create,                                                                     \
	  (pthread_t * t, const pthread_attr_t *attr, real_start start, void *arg),                \
	  (t, attr, start, arg))                                                                   \
	X(int, thrd_create, (thrd_t * t, thrd_start_t start, void *arg), (t, start, arg))          \
	X(int, pthread_setname_np, (pthread_t t, const char *name), (t, name))                     \
	X(int, dlclose, (void *handle), (handle))                                                  \
	X(int, bind, (int fd, const struct sockaddr *address, socklen_t len), (fd, address, len))  \
	X(int, listen, (int fd, int backlog), (fd, backlog))                                       \
	X(int, unshare, (int flags), (flags))                                                      \
	X(int, setns, (int fd, int kind), (fd, kind))                                              \
	X(int, setuid, (uid_t id), (id))                                                           \
	X(int, setgid, (gid_t id), (id))                                                           \
	X(int, seteuid, (uid_t id), (id))                                                          \
	X(int, setegid, (gid_t id), (id))                                                          \
	X(int, setreuid, (uid_t r, uid_t e), (r, e))                                               \
	X(int, setregid, (gid_t r, gid_t e), (r, e))                                               \
	X(int, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))                                  \
	X(int, setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))                                  \
	X(int, setgroups, (size_t n, const gid_t *id), (n, id))                                    \
	X(int, initgroups, (const char *user, gid_t id), (user, id))                               \
	X(int, capset, (void *head, const void *data), (head, data))                               \
	X(void, _exit, (int status), (status))                                                     \
	X(void, _Exit, (int status), (status))                                                     \
	X(void, quick_exit, (int status), (status))                                                \
	X(int, vfork, (void), ())                                                                  \
	X(int, __vfork, (void), ())                                                                \
	X(int, clone,                                                                              \
	  (real_child child, void *stack, int flags, void *arg, void *a, void *b, void *c),        \
	  (child, stack, flags, arg, a, b, c))                                                     \
	X(int, __clone,                                                                            \
	  (real_child child, void *stack, int flags, void *arg, void *a, void *b, void *c),        \
	  (child, stack, flags, arg, a, b, c))                                                     \
	X(int, prctl, (int what, long a, long b, long c, long d), (what, a, b, c, d))              \
	X(long, syscall, (long nr, long a, long b, long c, long d, long e, long f),                \
	  (nr, a, b, c, d, e, f))                                                                  \
	X(int, sigaction, (int sig, const struct sigaction *act, struct sigaction *old),           \
	  (sig, act, old))                                                                         \
	X(int, __sigaction, (int sig, const struct sigaction *act, struct sigaction *old),         \
	  (sig, act, old))                                                                         \
	X(int, sigprocmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old))        \
	X(int, pthread_sigmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old))    \
	X(int, sighold, (int sig), (sig))                                                          \
	X(int, sigrelse, (int sig), (sig))                                                         \
	X(int, sigblock, (int mask), (mask))                                                       \
	X(int, sigsetmask, (int mask), (mask))                                                     \
	X(int, sigaltstack, (const stack_t *ss, stack_t *old), (ss, old))                          \
	X(int, sigstack, (struct sigstack * ss, struct sigstack *old), (ss, old))                  \
	X(int, sigignore, (int sig), (sig))                                                        \
	X(int, siginterrupt, (int sig, int interrupt), (sig, interrupt))                           \
	X(real_handler, sigset, (int sig, real_handler handler), (sig, handler))                   \
	X(real_handler, signal, (int sig, real_handler handler), (sig, handler))                   \
	X(real_handler, bsd_signal, (int sig, real_handler handler), (sig, handler))               \
	X(real_handler, ssignal, (int sig, real_handler handler), (sig, handler))                  \
	X(real_handler, sysv_signal, (int sig, real_handler handler), (sig, handler))              \
	X(real_handler, __sysv_signal, (int sig, real_handler handler), (sig, handler))

/* Under the names that hook_mmap.c has for their types: libc's own differ. */
#define REAL_MAPPINGS(X)                                                                           \
	X(void *, mmap, (void *at, size_t n, int protection, int flags, int fd, off_t offset),     \
	  (at, n, protection, flags, fd, offset))                                                  \
	X(void *, mmap64, (void *at, size_t n, int protection, int flags, int fd, off_t offset),   \
	  (at, n, protection, flags, fd, offset))                                                  \
	X(int, munmap, (void *p, size_t n), (p, n))                                                \
	X(void *, mremap, (void *p, size_t had, size_t n, int flags, void *to),                    \
	  (p, had, n, flags, to))                                                                  \
	X(void *, shmat, (int id, const void *at, int flags), (id, at, flags))                     \
	X(int, brk, (void *end), (end))                                                            \
	X(void *, sbrk, (intptr_t by), (by))

#define REAL_PROTECTIONS(X)                                                                        \
	X(int, mprotect, (void *p, size_t n, int protection), (p, n, protection))                  \
	X(int, pkey_mprotect, (void *p, size_t n, int protection, int key),                        \
	  (p, n, protection, key))

/* Locks, and all that a thread waits for. */
#define REAL_MUTEXES(X)                                                                            \
	X(int, pthread_mutex_lock, (pthread_mutex_t * m), (m))                                     \
	X(int, pthread_mutex_timedlock, (pthread_mutex_t * m, const struct timespec *until),       \
	  (m, until))                                                                              \
	X(int, pthread_mutex_clocklock,                                                            \
	  (pthread_mutex_t * m, clockid_t clock, const struct timespec *until), (m, clock, until)) \
	X(int, pthread_mutex_unlock, (pthread_mutex_t * m), (m))                                   \
	X(int, mtx_lock, (mtx_t * m), (m))                                                         \
	X(int, mtx_timedlock, (mtx_t * m, const struct timespec *until), (m, until))               \
	X(int, mtx_unlock, (mtx_t * m), (m))                                                       \
	X(int, pthread_spin_lock, (pthread_spinlock_t * s), (s))                                   \
	X(int, pthread_spin_unlock, (pthread_spinlock_t * s), (s))

#define REAL_RWLOCKS(X)                                                                            \
	X(int, pthread_rwlock_rdlock, (pthread_rwlock_t * l), (l))                                 \
	X(int, pthread_rwlock_wrlock, (pthread_rwlock_t * l), (l))                                 \
	X(int, pthread_rwlock_timedrdlock, (pthread_rwlock_t * l, const struct timespec *until),   \
	  (l, until))                                                                              \
	X(int, pthread_rwlock_timedwrlock, (pthread_rwlock_t * l, const struct timespec *until),   \
	  (l, until))                                                                              \
	X(int, pthread_rwlock_clockrdlock,                                                         \
	  (pthread_rwlock_t * l, clockid_t clock, const struct timespec *until),                   \
	  (l, clock, until))                                                                       \
	X(int, pthread_rwlock_clockwrlock,                                                         \
	  (pthread_rwlock_t * l, clockid_t clock, const struct timespec *until),                   \
	  (l, clock, until))                                                                       \
	X(int, pthread_rwlock_unlock, (pthread_rwlock_t * l), (l))

/* libc has two versions of these: the names of exports.map. */
#define REAL_CONDITIONS(X)                                                                         \
	X(int, pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t *m), (c, m))                \
	X(int, pthread_cond_timedwait,                                                             \
	  (pthread_cond_t * c, pthread_mutex_t *m, const struct timespec *until), (c, m, until))

#define REAL_PAUSES(X)                                                                             \
	X(int, pthread_cond_clockwait,                                                             \
	  (pthread_cond_t * c, pthread_mutex_t *m, clockid_t clock, const struct timespec *until), \
	  (c, m, clock, until))                                                                    \
	X(int, cnd_wait, (cnd_t * c, mtx_t *m), (c, m))                                            \
	X(int, cnd_timedwait, (cnd_t * c, mtx_t *m, const struct timespec *until), (c, m, until))  \
	X(int, pthread_join, (pthread_t t, void **result), (t, result))                            \
	X(int, pthread_timedjoin_np, (pthread_t t, void **result, const struct timespec *until),   \
	  (t, result, until))                                                                      \
	X(int, pthread_clockjoin_np,                                                               \
	  (pthread_t t, void **result, clockid_t clock, const struct timespec *until),             \
	  (t, result, clock, until))                                                               \
	X(int, thrd_join, (thrd_t t, int *result), (t, result))                                    \
	X(int, pthread_barrier_wait, (pthread_barrier_t * b), (b))                                 \
	X(int, sem_wait, (sem_t * s), (s))                                                         \
	X(int, sem_timedwait, (sem_t * s, const struct timespec *until), (s, until))               \
	X(int, sem_clockwait, (sem_t * s, clockid_t clock, const struct timespec *until),          \
	  (s, clock, until))

#define REAL_LOCKS(X) REAL_MUTEXES(X) REAL_RWLOCKS(X) REAL_PAUSES(X)

/* All but the conditions are resolved alike. */
#define REAL_ALIKE(X) REAL_BLOCKS(X) REAL_MAPPINGS(X) REAL_PROTECTIONS(X) \
	REAL_LOCKS(X) REAL_OTHERS(X)

#define REAL_LIST(X) REAL_ALIKE(X) REAL_CONDITIONS(X)

/* C++'s operators new and delete, by their mangled names (Itanium ABI; size_t is m).  Where no
 * allocator brings its own, their doors are hidden (preload/real.c); calls that were bound to them
 * before that go on to the real ones. */
#define REAL_NEW_PLAIN(X)                                                                          \
	X(_Znwm, (size_t n), (n))                                                                  \
	X(_Znam, (size_t n), (n))                                                                  \
	X(_ZnwmRKSt9nothrow_t, (size_t n, const void *nothrow), (n, nothrow))                      \
	X(_ZnamRKSt9nothrow_t, (size_t n, const void *nothrow), (n, nothrow))

#define REAL_NEW_ALIGNED(X)                                                                        \
	X(_ZnwmSt11align_val_t, (size_t n, size_t align), (n, align))                              \
	X(_ZnamSt11align_val_t, (size_t n, size_t align), (n, align))                              \
	X(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t n, size_t align, const void *nothrow),       \
	  (n, align, nothrow))                                                                     \
	X(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t n, size_t align, const void *nothrow),       \
	  (n, align, nothrow))

#define REAL_NEW(X) REAL_NEW_PLAIN(X) REAL_NEW_ALIGNED(X)

#define REAL_DELETE(X)                                                                             \
	X(_ZdlPv, (void *p), (p))                                                                  \
	X(_ZdaPv, (void *p), (p))                                                                  \
	X(_ZdlPvm, (void *p, size_t n), (p, n))                                                    \
	X(_ZdaPvm, (void *p, size_t n), (p, n))                                                    \
	X(_ZdlPvRKSt9nothrow_t, (void *p, const void *nothrow), (p, nothrow))                      \
	X(_ZdaPvRKSt9nothrow_t, (void *p, const void *nothrow), (p, nothrow))                      \
	X(_ZdlPvSt11align_val_t, (void *p, size_t align), (p, align))                              \
	X(_ZdaPvSt11align_val_t, (void *p, size_t align), (p, align))                              \
	X(_ZdlPvmSt11align_val_t, (void *p, size_t n, size_t align), (p, n, align))                \
	X(_ZdaPvmSt11align_val_t, (void *p, size_t n, size_t align), (p, n, align))                \
	X(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const void *nothrow),       \
	  (p, align, nothrow))                                                                     \
	X(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const void *nothrow),       \
	  (p, align, nothrow))

struct real {
#define X(result, name, params, args) result(*name) params;
	REAL_LIST(X)
#undef X
#define X(name, params, args) void *(*name) params;
	REAL_NEW(X)
#undef X
#define X(name, params, args) void (*name) params;
	REAL_DELETE(X)
#undef X
	/* The operators come from the object that has malloc (tcmalloc, jemalloc, mimalloc): they
	 * do not end in our malloc and free, so their own doors must count. */
	bool new_counts;
	/* Nobody in front of us has realloc: libc's reallocarray calls ours. */
	bool realloc_is_ours;
	/* pthread_rwlock_trywrlock of the object that has pthread_rwlock_wrlock: who stands between
	 * us and libc with one of them alone is not passed by.  Else EBUSY, always. */
	int (*try_to_write)(pthread_rwlock_t *l);
};

extern HIDDEN struct real real;

/* Context: the host's thread; calls dlsym.  Again and again is harmless. */
void real_resolve(void);

#endif
