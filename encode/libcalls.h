/* encode/libcalls.h -- what zlib, protobuf-c and libiberty get when they call libc.
 *
 * Their archives are linked in with these names instead (encode/libcalls.syms, by objcopy), so
 * that no code of ours can reach the host's heap or its stdio, and no assertion can end it.  What
 * is left of libc is memory and strings: memcpy, memmove, memset, strcmp, strlen, strncmp.
 *
 * Heap      there is none: all answers are NULL.  zlib and protobuf-c get arenas and sinks, the
 *           demanglers callbacks; what asks nevertheless takes NULL for "no memory" (a Rust
 *           identifier outside of ASCII, say).
 * Context   one thread, any; pure. */
#ifndef ENCODE_LIBCALLS_H
#define ENCODE_LIBCALLS_H

#include <stddef.h>

void *libcalls_malloc(size_t n);
void *libcalls_calloc(size_t n, size_t size);
void *libcalls_realloc(void *p, size_t n);
void libcalls_free(void *p);

/* Called where a library would abort.  Must not return: it ends this one thread, or leaves for
 * another stack.  The owner of the thread sets it before anything else; as long as it is NULL the
 * thread goes round in circles for ever, for there is no way out that the host would survive. */
extern void (*libcalls_end_thread)(void);

_Noreturn void libcalls_abort(void);
_Noreturn void libcalls_assert_fail(const char *claim, const char *file, unsigned line,
				    const char *function);
_Noreturn void libcalls_stack_chk_fail(void);

/* The conversions that the demanglers use: %d %u %x, %ld %lu %lx.  Another one ends the text.
 * Results as of snprintf; libcalls_sprintf writes at most LIBCALLS_SPRINTF_MAX bytes, libcalls_
 * sprintf_chk at most size: what is too long is cut. */
#define LIBCALLS_SPRINTF_MAX 12         /* "%d" */

int libcalls_sprintf(char *s, const char *format, ...);
int libcalls_sprintf_chk(char *s, int flag, size_t size, const char *format, ...);
int libcalls_snprintf(char *s, size_t n, const char *format, ...);
int libcalls_snprintf_chk(char *s, size_t n, int flag, size_t size, const char *format, ...);

#endif
