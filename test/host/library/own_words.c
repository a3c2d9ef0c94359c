/* own_words -- a program with its own memcpy, strlen, clock_gettime and the like, exported: tools that fake
 * the time and embedded libcs have them.  They belong to its own threads; nobody else calls them, and
 * nobody does while it spins. */
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>

#include "serve.h"

static _Thread_local int mine __attribute__((tls_model("initial-exec")));
static const char *foreign_name;
static int foreign;

#define CHECK (mine ? (void)0 : (void)(__atomic_fetch_add(&foreign, 1, __ATOMIC_RELAXED), \
				       foreign_name = __func__))

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	char *t = to;
	const char *f = from;

	CHECK;
	while (n-- > 0)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	char *t = to;
	const char *f = from;

	CHECK;
	if (t < f)
		return memcpy(to, from, n);
	while (n-- > 0)
		t[n] = f[n];
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	CHECK;
	for (size_t i = 0; i < n; i++)
		((char *)to)[i] = (char)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	CHECK;
	for (size_t i = 0; i < n; i++)
		if (((const unsigned char *)a)[i] != ((const unsigned char *)b)[i])
			return ((const unsigned char *)a)[i] - ((const unsigned char *)b)[i];
	return 0;
}

size_t strlen(const char *text)
{
	size_t n = 0;

	CHECK;
	while (text[n] != '\0')
		n++;
	return n;
}

char *strchr(const char *text, int c)
{
	CHECK;
	for (; *text != (char)c; text++)
		if (*text == '\0')
			return NULL;
	return (char *)(uintptr_t)text;
}

int strcmp(const char *a, const char *b)
{
	CHECK;
	for (; *a != '\0' && *a == *b; a++)
		b++;
	return (unsigned char)*a - (unsigned char)*b;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	CHECK;
	return (int)syscall(SYS_clock_gettime, clock, t);
}

/* While it spins, whatever runs on its thread is not its own. */
static void not_mine(void)
{
	mine = 0;
	spin_here(1);
	mine = 1;
}

int main(void)
{
	mine = 1;
	foreign = 0;
	serve(not_mine);
	printf("%d foreign calls%s%s\n", foreign, foreign ? ", the last to " : "",
	       foreign ? foreign_name : "");
	return 0;
}
