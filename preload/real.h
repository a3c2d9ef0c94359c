/* preload/real.h -- the functions we stand in front of.  One line here, one door, one line in
 * exports.map; scripts/check-symbols compares the three.
 *
 * Context   any.  A pointer of REAL_LIST is never NULL: until real_resolve has run it leads to a
 *           function that resolves the whole list first, so doors work before our constructor.
 *           While dlsym is at work for us, blocks come from preload/boot.h. */
#ifndef PRELOAD_REAL_H
#define PRELOAD_REAL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "sampler/compiler.h"

typedef void (*real_handler)(int);
typedef void *(*real_start)(void *);

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
	X(size_t, malloc_usable_size, (void *p), (p))                                              \
	X(void, free, (void *p), (p))                                                              \
	X(void, cfree, (void *p), (p))

#define REAL_OTHERS(X)                                                                             \
	X(int, pthread_create,                                                                     \
	  (pthread_t * t, const pthread_attr_t *attr, real_start start, void *arg),                \
	  (t, attr, start, arg))                                                                   \
	X(int, dlclose, (void *handle), (handle))                                                  \
	X(int, sigaction, (int sig, const struct sigaction *act, struct sigaction *old),           \
	  (sig, act, old))                                                                         \
	X(int, __sigaction, (int sig, const struct sigaction *act, struct sigaction *old),         \
	  (sig, act, old))                                                                         \
	X(int, sigprocmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old))        \
	X(int, pthread_sigmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old))    \
	X(real_handler, signal, (int sig, real_handler handler), (sig, handler))                   \
	X(real_handler, bsd_signal, (int sig, real_handler handler), (sig, handler))               \
	X(real_handler, ssignal, (int sig, real_handler handler), (sig, handler))                  \
	X(real_handler, sysv_signal, (int sig, real_handler handler), (sig, handler))              \
	X(real_handler, __sysv_signal, (int sig, real_handler handler), (sig, handler))

#define REAL_LIST(X) REAL_BLOCKS(X) REAL_OTHERS(X)

/* C++'s operators new and delete, by their mangled names (Itanium ABI; size_t is m).  A C host may
 * not have them, or get them with a library that it loads later: these pointers may be NULL, and
 * real_cxx looks again. */
#define REAL_NEW(X)                                                                                \
	X(_Znwm, (size_t n), (n))                                                                  \
	X(_Znam, (size_t n), (n))                                                                  \
	X(_ZnwmRKSt9nothrow_t, (size_t n, const void *nothrow), (n, nothrow))                      \
	X(_ZnamRKSt9nothrow_t, (size_t n, const void *nothrow), (n, nothrow))                      \
	X(_ZnwmSt11align_val_t, (size_t n, size_t align), (n, align))                              \
	X(_ZnamSt11align_val_t, (size_t n, size_t align), (n, align))                              \
	X(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t n, size_t align, const void *nothrow),       \
	  (n, align, nothrow))                                                                     \
	X(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t n, size_t align, const void *nothrow),       \
	  (n, align, nothrow))

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
};

extern HIDDEN struct real real;

/* Context: the host's thread; calls dlsym.  Again and again is harmless. */
void real_resolve(void);

/* A C++ operator that was not there at real_resolve: searched in the global scope, in the C++
 * runtimes that are loaded, and where the calling object would find it.  Never NULL: as a last
 * resort something on malloc and free that takes the same arguments. */
enum real_cxx_kind { REAL_CXX_NEW, REAL_CXX_NEW_ALIGNED, REAL_CXX_DELETE };
void *real_cxx(void **slot, const char *name, enum real_cxx_kind kind, const void *caller);

/* The dlclose door, before the real call: operators found in the caller's object are looked up
 * again. */
void real_forget_borrowed(void);

#endif
