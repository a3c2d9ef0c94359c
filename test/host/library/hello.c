/* hello -- for the static and the foreign libc. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	char *volatile p = malloc(100000);

	memset(p, 'x', 99999);
	p[99999] = 0;
	printf("hello, %zu\n", strlen(p));
	free(p);
	return 7;
}
