/* The memory and string functions of <string.h> that this library uses, as its own.
 *
 * The loader binds memcpy to the first one that it finds, and that may be the host's: of a
 * sanitizer, of an embedded libc, of a tool that counts.  Those are for the host's threads, and not
 * for signal handlers.  These are found by the linker, and seen by nobody else.
 *
 * Context   any.
 * Speed     what is hot has sizes that the compiler knows, and never comes here.
 *
 * The public names do not call each other: the compiler knows these names, and makes a memcpy of a
 * memmove where it may. */
#include <stdint.h>
#include <string.h>

/* It must not find memcpy in the loop that is memcpy either. */
#ifdef __clang__
#define PLAIN __attribute__((no_builtin))
#else
#define PLAIN
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

typedef uint64_t __attribute__((may_alias, aligned(1))) chunk;

/* Forwards each chunk is read before its place is written to, if the target is the lower one. */
PLAIN static void *move(void *to, const void *from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if ((uintptr_t)t - (uintptr_t)f < n) {
		for (; n >= sizeof(chunk); n -= sizeof(chunk))
			*(chunk *)(t + n - sizeof(chunk)) =
				*(const chunk *)(f + n - sizeof(chunk));
		while (n-- > 0)
			t[n] = f[n];
		return to;
	}
	for (; n >= sizeof(chunk); n -= sizeof(chunk)) {
		*(chunk *)t = *(const chunk *)f;
		t += sizeof(chunk);
		f += sizeof(chunk);
	}
	while (n-- > 0)
		*t++ = *f++;
	return to;
}

PLAIN void *memmove(void *to, const void *from, size_t n)
{
	return move(to, from, n);
}

PLAIN void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	return move(to, from, n);
}

PLAIN void *memset(void *to, int byte, size_t n)
{
	unsigned char *t = to;
	uint64_t many = UINT64_C(0x0101010101010101) * (unsigned char)byte;

	for (; n >= sizeof(chunk); n -= sizeof(chunk)) {
		*(chunk *)t = many;
		t += sizeof(chunk);
	}
	while (n-- > 0)
		*t++ = (unsigned char)byte;
	return to;
}

PLAIN int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (size_t i = 0; i < n; i++)
		if (p[i] != q[i])
			return p[i] - q[i];
	return 0;
}

PLAIN void *memchr(const void *in, int byte, size_t n)
{
	const unsigned char *p = in;

	for (size_t i = 0; i < n; i++)
		if (p[i] == (unsigned char)byte)
			return (void *)(uintptr_t)(p + i);
	return NULL;
}

PLAIN size_t strnlen(const char *text, size_t max)
{
	size_t n = 0;

	while (n < max && text[n] != '\0')
		n++;
	return n;
}

PLAIN static size_t length(const char *text)
{
	size_t n = 0;

	while (text[n] != '\0')
		n++;
	return n;
}

PLAIN size_t strlen(const char *text)
{
	return length(text);
}

PLAIN static int compare(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] || a[i] == '\0')
			return (unsigned char)a[i] - (unsigned char)b[i];
	return 0;
}

PLAIN int strncmp(const char *a, const char *b, size_t n)
{
	return compare(a, b, n);
}

PLAIN int strcmp(const char *a, const char *b)
{
	return compare(a, b, SIZE_MAX);
}

/* The end counts as a part of the text: c may be NUL. */
PLAIN static char *find(const char *text, int c)
{
	while (*text != (char)c)
		if (*text++ == '\0')
			return NULL;
	return (char *)(uintptr_t)text;
}

PLAIN char *strchr(const char *text, int c)
{
	return find(text, c);
}

PLAIN char *strrchr(const char *text, int c)
{
	const char *last = NULL;

	do
		if (*text == (char)c)
			last = text;
	while (*text++ != '\0');
	return (char *)(uintptr_t)last;
}

PLAIN size_t strspn(const char *text, const char *set)
{
	size_t n = 0;

	while (text[n] != '\0' && find(set, text[n]) != NULL)
		n++;
	return n;
}

PLAIN size_t strcspn(const char *text, const char *set)
{
	size_t n = 0;

	while (text[n] != '\0' && find(set, text[n]) == NULL)
		n++;
	return n;
}

PLAIN char *strstr(const char *text, const char *part)
{
	size_t n = length(part);

	for (; compare(text, part, n) != 0; text++)
		if (*text == '\0')
			return NULL;
	return (char *)(uintptr_t)text;
}

/* Returns the end. */
PLAIN static char *append(char *to, const char *from)
{
	size_t n = length(from);

	move(to, from, n + 1);
	return to + n;
}

PLAIN char *stpcpy(char *restrict to, const char *restrict from)
{
	return append(to, from);
}

PLAIN char *strcpy(char *restrict to, const char *restrict from)
{
	append(to, from);
	return to;
}

PLAIN char *strcat(char *restrict to, const char *restrict from)
{
	append(to + length(to), from);
	return to;
}
