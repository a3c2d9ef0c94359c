/* holds_on_command -- lines "FUNCTION COUNT SIZE" on its input: so many blocks more from that
 * function, early, late or other; "free COUNT": the first ones that are left.  Says "done" after
 * each line, and ends with its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))
#define HELD_MAX 1000000

static void *held[HELD_MAX];
static unsigned long first, last;

static NOINLINE void hold(void *p)
{
	if (p == NULL || last == HELD_MAX)
		abort();
	*(volatile char *)p = 1;
	held[last++] = p;
}

#define SITE(name)                       \
	NOINLINE void name(size_t size); \
	NOINLINE void name(size_t size) { hold(malloc(size)); }
SITE(early)
SITE(late)
SITE(other)

int main(void)
{
	static char line[100];
	char what[32];
	unsigned long count;
	size_t size;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "free %lu", &count) == 1) {
			while (count-- > 0 && first < last)
				free(held[first++]);
		} else if (sscanf(line, "%31s %lu %zu", what, &count, &size) == 3) {
			while (count-- > 0)
				(strcmp(what, "early") == 0 ? early : *what == 'l' ? late : other)(size);
		}
		puts("done");
		fflush(stdout);
	}
	return 0;
}
