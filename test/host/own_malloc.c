/* own_malloc -- a program with an allocator of its own that counts its calls.  Each comes from a
 * line that is to be seen here: none in a child before its first line, none while the program
 * waits.
 * Built as a library (test_presence_life.py), it is the allocator alone. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char room[256 << 20] __attribute__((aligned(4096)));
static atomic_size_t taken;
static atomic_ulong count;

unsigned long malloc_calls(void);
unsigned long malloc_calls(void)
{
	return count;
}

/* The size stands before the block; nothing comes back. */
static void *take(size_t align, size_t n)
{
	size_t whole, at;

	count++;
	if (align < 16)
		align = 16;
	whole = n + 2 * align + 16;
	at = atomic_fetch_add(&taken, whole);
	if (n > sizeof(room) || at + whole > sizeof(room))
		return NULL;
	at = (at + 16 + align - 1) / align * align;
	memcpy(room + at - 8, &n, sizeof(n));
	return room + at;
}

size_t malloc_usable_size(void *p)
{
	size_t n = 0;

	if (p != NULL)
		memcpy(&n, (char *)p - 8, sizeof(n));
	return n;
}

void *malloc(size_t n) { return take(16, n); }
void *calloc(size_t n, size_t size) { return take(16, n * size); }
void *memalign(size_t align, size_t n) { return take(align, n); }
void *aligned_alloc(size_t align, size_t n) { return take(align, n); }
void *valloc(size_t n) { return take(4096, n); }
void *pvalloc(size_t n) { return take(4096, (n + 4095) / 4096 * 4096); }
void free(void *p) { count += p != NULL; }
int posix_memalign(void **p, size_t align, size_t n) { return (*p = take(align, n)) == NULL; }
void *realloc(void *p, size_t n)
{
	void *q = take(16, n);
	size_t had = malloc_usable_size(p);

	if (q != NULL && p != NULL)
		memcpy(q, p, had < n ? had : n);
	return q;
}

#ifndef LIBRARY
static unsigned long before;

static int child(void)
{
	unsigned long in_child = malloc_calls() - before;

	free(malloc(1000));
	return in_child < 100 ? (int)in_child : 100;
}

/* It has no reallocarray: libc's is to end here, too. */
static int is_ours(char *p)
{
	return p >= room && p < room + sizeof(room);
}

int main(void)
{
	char c;

	if (!is_ours(reallocarray(malloc(100), 50, 4)))
		return 1;
	for (int i = 0; i < 5; i++) {
		int status = -1;
		pid_t pid;

		before = malloc_calls();
		pid = fork();
		if (pid == 0)
			_exit(child());
		waitpid(pid, &status, 0);
		dprintf(1, "in a child %d, here %lu\n", WEXITSTATUS(status),
			malloc_calls() - before);
	}
	free(realloc(malloc(100), 200));
	before = malloc_calls();
	while (read(0, &c, 1) > 0)
		;
	before = malloc_calls() - before;
	dprintf(1, "while it waits %lu\n", before);
	return 0;
}
#endif
