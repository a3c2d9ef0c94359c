/* crosses PLUGIN -- blocks cross the border of a plugin that was bound RTLD_DEEPBIND (deep.c): taken
 * there and freed here, taken here and freed there.  Those of ours that are freed there are missed by who sees
 * our calls only, until their address is given out here again: "N of them came back". */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"

static char *gone[20000];
static int back;

static int missed(const char *p)
{
	for (int i = 0; i < 20000; i++)
		if (gone[i] == p && p != NULL) {
			gone[i] = NULL;
			return 1;
		}
	return 0;
}

/* p was given out by a malloc or realloc that is seen. */
static char *seen(char *p)
{
	back += missed(p);
	return p;
}

/* p, which the plugin took, goes to a free or realloc that is seen, and takes the one that was missed for it. */
static char *taken(char *p)
{
	missed(p);
	return p;
}

int main(int argc, char **argv)
{
	static char buffer[4096];
	void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND) : NULL;
	char *(*take)(size_t), *(*copy)(const char *), *p, *again;
	void (*give)(char *);
	int ok = 0;

	if (plugin == NULL)
		return 1;
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));        /* else libc allocates one */
	*(void **)&take = dlsym(plugin, "deep_take");
	*(void **)&give = dlsym(plugin, "deep_give");
	*(void **)&copy = dlsym(plugin, "deep_copy");
	for (size_t n = 1; n < 20000; n++) {
		p = take(n);
		again = seen(malloc(n));
		again[0] = 'h';
		ok += p[0] == 'd';
		if (n % 5 == 0)
			p = seen(realloc(taken(p), n + 100));
		free(taken(p));
		ok += again[0] == 'h';
		give(again);
		gone[n] = again;
		p = seen(copy("copied"));       /* the malloc in libc's functions is the program's */
		ok += strcmp(p, "copied") == 0;
		free(p);
	}
	printf("%d blocks, %d of them came back\n", ok, back);
	serve(NULL);
	return 0;
}
