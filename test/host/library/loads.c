/* loads [HOW:]PLUGIN... -- loads each and says what its plugin_run returns; then serves (serve.h).
 * HOW has letters: d RTLD_DEEPBIND, g RTLD_GLOBAL, c close it again, s a hundred times over, w again
 * and again while serving, e say why it does not load. */
#include <dlfcn.h>

#include "serve.h"

static const char *last_how, *last_path;

static void load(const char *how, const char *path)
{
	int flags = RTLD_NOW | (strchr(how, 'd') ? RTLD_DEEPBIND : 0) |
		    (strchr(how, 'g') ? RTLD_GLOBAL : RTLD_LOCAL);
	const char *slash = strrchr(path, '/');
	void *plugin = dlopen(path, flags);
	int (*run)(void) = NULL;

	if (plugin == NULL) {
		printf("%s does not load%s%s\n", slash + 1, strchr(how, 'e') ? ": " : "",
		       strchr(how, 'e') ? dlerror() : "");
		return;
	}
	*(void **)&run = dlsym(plugin, "plugin_run");
	if (strchr(how, 's') == NULL && strchr(how, 'w') == NULL)
		printf("%s: %d\n", slash + 1, run != NULL ? run() : -1);
	else if (run == NULL || run() < 0)
		abort();
	if (strpbrk(how, "csw") != NULL && dlclose(plugin) != 0)
		puts("it does not close");
}

static void load_again(void)
{
	load(last_how, last_path);
}

int main(int argc, char **argv)
{
	void (*each)(void) = NULL;

	for (int i = 1; i < argc; i++) {
		char *colon = strchr(argv[i], ':');

		last_how = "";
		last_path = argv[i];
		if (colon != NULL) {
			*colon = '\0';
			last_how = argv[i];
			last_path = colon + 1;
		}
		for (int n = strchr(last_how, 's') ? 100 : 1; n > 0; n--)
			load_again();
		if (strchr(last_how, 'w') != NULL)
			each = load_again;
	}
	/* jemalloc's junk:true */
	if (getenv("MALLOC_CONF") != NULL && strstr(getenv("MALLOC_CONF"), "junk") != NULL) {
		unsigned char *volatile p = malloc(50);

		printf("junk: %d\n", p[10] == 0xa5);
		free(p);
	}
	serve(each);
	return 42;
}
