/* deep -- a plugin for RTLD_DEEPBIND: its malloc, and the one inside libc's functions, are then not
 * the same as the program's.  It frees what it took itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int plugin_run(void);
int plugin_run(void)
{
	int sum = 0;

	for (int i = 1; i < 3000; i++) {
		char *p = malloc((size_t)i * 10), *q;

		memset(p, 'a' + i % 26, (size_t)i * 10);
		p = realloc(p, (size_t)i * 20);
		sum += p[i * 10 - 1] - 'a';
		q = calloc((size_t)i, 3);
		sum += q[i];
		free(q);
		free(p);
	}
	return sum;
}

/* Allocated here, freed by the program, and the other way round. */
char *deep_take(size_t n);
char *deep_take(size_t n)
{
	char *p = malloc(n);

	p[0] = 'd';
	return n % 3 == 0 ? realloc(p, 2 * n) : p;
}

void deep_give(char *p);
void deep_give(char *p) { free(p); }

char *deep_copy(const char *text);
char *deep_copy(const char *text) { return strdup(text); }
