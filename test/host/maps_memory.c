/* maps_memory -- maps anonymous memory in every way, each in a function of its own, and says what of
 * it is left, and how often it has mapped how much; then waits for the end of its input. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define NOINLINE __attribute__((noinline))

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static size_t calls, asked;      /* since the last word */

static void note(size_t n)
{
	calls++;
	asked += (n + 4095) / 4096 * 4096;
}

static void *map(size_t n, int flags, void *at)
{
	void *p = mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	must(p != MAP_FAILED, "mmap");
	note(n);
	return p;
}

static void say(const char *name, size_t objects, size_t bytes)
{
	printf("%s %zu %zu %zu %zu\n", name, objects, bytes, calls, asked);
	calls = asked = 0;
}

NOINLINE static void maps_whole(void)
{
	map(8 * MIB, 0, NULL);
	map(5000, 0, NULL);             /* two pages */
	say(__func__, 2, 8 * MIB + 8192);
}

NOINLINE static void maps_with_a_hole(void)
{
	char *p = map(6 * MIB, 0, NULL);

	must(munmap(p + 2 * MIB, MIB) == 0, "munmap");
	say(__func__, 1, 5 * MIB);
}

NOINLINE static void maps_and_unmaps(void)
{
	for (int i = 0; i < 10; i++)
		must(munmap(map(MIB, 0, NULL), MIB) == 0, "munmap");
	say(__func__, 0, 0);
}

/* Both ends at once with one call, which leaves a part of each. */
NOINLINE static void maps_to_be_overlapped(void)
{
	char *p = map(4 * MIB, 0, NULL);

	munmap(p, 4 * MIB);
	map(2 * MIB, MAP_FIXED, p);
	map(2 * MIB, MAP_FIXED, p + 2 * MIB);
	must(munmap(p + MIB, 2 * MIB) == 0, "munmap");
	say(__func__, 2, 2 * MIB);
}

static char *fixed_place;

NOINLINE static void maps_what_is_mapped_over(void)
{
	fixed_place = map(10 * MIB, 0, NULL);
	say(__func__, 1, 6 * MIB);
}

NOINLINE static void maps_over_it(void)
{
	map(3 * MIB, MAP_FIXED, fixed_place + MIB);
	say(__func__, 1, 3 * MIB);
}

NOINLINE static void maps_a_file_over_it(void)
{
	must(mmap(fixed_place + 5 * MIB, MIB, PROT_READ, MAP_PRIVATE | MAP_FIXED,
		  memfd_create("file", 0), 0) != MAP_FAILED, "mmap");
	say(__func__, 0, 0);
}

static char *growing, *moving, *shrinking;

NOINLINE static void maps_what_grows(void)
{
	growing = map(4 * MIB, 0, NULL);
	moving = map(2 * MIB, 0, NULL);
	shrinking = map(3 * MIB, 0, NULL);
	say(__func__, 2, 2 * MIB);
}

NOINLINE static void grows_it(void)
{
	must(munmap(growing + MIB, 3 * MIB) == 0, "munmap");
	must(mremap(growing, MIB, 3 * MIB, 0) == growing, "mremap");
	note(2 * MIB);
	say(__func__, 1, 2 * MIB);
}

NOINLINE static void moves_it(void)
{
	char *to = map(7 * MIB, 0, NULL);

	must(mremap(moving, 2 * MIB, 5 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, to + MIB) == to + MIB,
	     "mremap");
	note(5 * MIB);
	must(mremap(shrinking, 3 * MIB, MIB, 0) == shrinking, "mremap");
	say(__func__, 2, 7 * MIB);
}

NOINLINE static void shares(void)
{
	must(mmap(NULL, 3 * MIB, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
	note(3 * MIB);
	say(__func__, 1, 3 * MIB);
}

NOINLINE static void moves_the_break(void)
{
	char *end = sbrk(0);

	/* On page boundaries, so that nothing of it is shared with malloc. */
	must(brk((void *)(((uintptr_t)end + 4095) & ~(uintptr_t)4095)) == 0, "brk");
	end = sbrk(4 * MIB);
	must(end != (void *)-1 && brk(end + 6 * MIB) == 0 && sbrk(-(intptr_t)MIB) == end + 6 * MIB,
	     "sbrk");
	note(4 * MIB);
	note(2 * MIB);
	say(__func__, 2, 5 * MIB);
}

/* A MiB is its caller's, and one came by itself. */
NOINLINE static void grows_down(void)
{
	/* Room below it, so that it can. */
	char *room = map(4 * MIB, 0, NULL), *p;

	must(munmap(room, 4 * MIB) == 0, "munmap");
	p = map(MIB, MAP_GROWSDOWN | MAP_FIXED, room + 3 * MIB);
	for (size_t n = 4096; n <= MIB; n += 4096)
		p[-(ptrdiff_t)n] = 1;
	say(__func__, 1, MIB);
}

/* What fails has changed nothing. */
NOINLINE static void fails(void)
{
	char *p = map(2 * MIB, 0, NULL);

	must(munmap(p + 1, MIB) == -1 && munmap(p, 0) == -1, "munmap");
	must(mremap(p, 2 * MIB, (size_t)1 << 50, MREMAP_MAYMOVE) == MAP_FAILED, "mremap");
	must(mmap(p, 2 * MIB, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
		     MAP_FAILED, "mmap");
	must(sbrk((intptr_t)1 << 50) == (void *)-1, "sbrk");
	/* glibc says that this worked. */
	(void)!brk(NULL);
	say(__func__, 1, 2 * MIB);
}

/* A door's: libc's large block is none. */
NOINLINE static void allocates(void)
{
	char *volatile p = malloc(64 * MIB);

	must(p != NULL, "malloc");
	say(__func__, 0, 0);
}

/* 3 MiB are two huge pages, and of another mapping a part that is not whole stays. */
NOINLINE static void maps_huge_pages(void)
{
	char *p = map(3 * MIB, MAP_HUGETLB, NULL), *q = map(2 * MIB, MAP_HUGETLB, NULL);

	asked += MIB;
	must(munmap(p, MIB) == -1, "munmap");
	must(munmap(q, 2 * MIB) == 0, "munmap");
	say(__func__, 1, 4 * MIB);
}

NOINLINE static void maps_in_a_vfork_child(void)
{
	pid_t child = vfork();

	if (child == 0) {
		map(4 * MIB, 0, NULL);
		_exit(0);
	}
	must(child > 0 && waitpid(child, NULL, 0) == child, "vfork");
}

NOINLINE static void maps_in_a_child(void)
{
	map(3 * MIB, 0, NULL);
	munmap(fixed_place, 10 * MIB);
	/* Our desk comes to a child that works. */
	while (clock() < CLOCKS_PER_SEC / 20)
		continue;
}

int main(int argc, char **argv)
{
	maps_whole();
	maps_with_a_hole();
	maps_and_unmaps();
	maps_to_be_overlapped();
	maps_what_is_mapped_over();
	maps_over_it();
	maps_a_file_over_it();
	maps_what_grows();
	grows_it();
	moves_it();
	shares();
	moves_the_break();
	grows_down();
	fails();
	allocates();
	if (argc > 1 && strcmp(argv[1], "huge") == 0)
		maps_huge_pages();
	if (argc > 1 && strcmp(argv[1], "vfork") == 0)
		maps_in_a_vfork_child();
	if (argc > 1 && strcmp(argv[1], "fork") == 0 && fork() == 0)
		maps_in_a_child();
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		map(MIB, 0, NULL);
	return 0;
}
