/* crosses PLUGIN -- blocks cross the border of a plugin that was bound RTLD_DEEPBIND (deep.c): taken
 * there and freed here, taken here and freed there. */
#include <dlfcn.h>

#include "serve.h"

int main(int argc, char **argv)
{
	void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND) : NULL;
	char *(*take)(size_t), *(*copy)(const char *), *p, *again;
	void (*give)(char *);
	int ok = 0;

	if (plugin == NULL)
		return 1;
	*(void **)&take = dlsym(plugin, "deep_take");
	*(void **)&give = dlsym(plugin, "deep_give");
	*(void **)&copy = dlsym(plugin, "deep_copy");
	for (size_t n = 1; n < 20000; n++) {
		p = take(n);
		again = malloc(n);
		again[0] = 'h';
		ok += p[0] == 'd';
		if (n % 5 == 0)
			p = realloc(p, n + 100);
		free(p);
		ok += again[0] == 'h';
		give(again);
		p = copy("copied");
		ok += strcmp(p, "copied") == 0;
		free(p);
	}
	printf("%d blocks\n", ok);
	serve(NULL);
	return 0;
}
