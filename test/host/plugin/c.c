/* The plugin of dlopen_loop. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

char *plugin_work(int n);

char *plugin_work(int n)
{
	char *p = malloc(1000 + 1000 * (size_t)(n % 50));
	volatile uint64_t x = 1;

	for (int i = 0; i < 500000; i++)
		x = x * 3 + 1;
	memset(p, n % 100, 1000);
	return p;
}
