/* dlopen_cxx -- a C program that loads a C++ plugin, RTLD_LOCAL: libstdc++ comes late and out of the
 * global scope.  The plugin allocates, throws through its own frames and through ours, and goes. */
#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int back(int n) { return n * 2; }

int main(void)
{
	char path[4096 + 32];
	ssize_t n = readlink("/proc/self/exe", path, 4096);
	int (*run)(int, int (*)(int));
	void *plugin;

	if (n < 0)
		return 1;
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, "plugin_cxx.so");
	for (int i = 0; i < 3; i++) {
		plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (plugin == NULL) {
			puts("no plugin");
			return 1;
		}
		*(void **)&run = dlsym(plugin, "plugin_run");
		printf("plugin: %d\n", run(i, back));
		printf("closed: %d\n", dlclose(plugin));
	}
	printf("not there: %d\n", dlopen("/nonexistent.so", RTLD_NOW) == NULL);
	return 0;
}
