/* sampler/compiler.h -- promises that the compiler checks, and hints that it uses. */
#ifndef SAMPLER_COMPILER_H
#define SAMPLER_COMPILER_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define NOINLINE   __attribute__((noinline))
#define COLD       __attribute__((noinline, cold))
/* What each sample runs through: beside each other, so in few pages. */
#define HOT        __attribute__((hot))
/* On a declaration: reached without a look into the GOT, one instruction less on a fast path. */
#define HIDDEN     __attribute__((visibility("hidden")))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif
