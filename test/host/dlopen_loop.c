/* dlopen_loop [TIMES] -- loads a plugin, lets it allocate and work, unloads it, over and over, while another
 * thread does work of its own.  What the plugin allocated is freed after the plugin is gone. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int done;

static void *beside(void *unused)
{
	volatile uint64_t x = 1;

	while (!done)
		for (int i = 0; i < 100000; i++) {
			x = x * 3 + 1;
			if (i % 100 == 0)
				free(malloc((size_t)i));
		}
	return unused;
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 200;
	char path[4096 + 32];
	ssize_t n = readlink("/proc/self/exe", path, 4096);
	pthread_t t;
	int sum = 0;

	if (n < 0)
		return 1;
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, "plugin_c.so");
	pthread_create(&t, NULL, beside, NULL);
	for (int i = 0; i < times; i++) {
		void *plugin = dlopen(path, i % 2 ? RTLD_LAZY : RTLD_NOW | RTLD_GLOBAL);
		char *(*work)(int);
		char *result;

		if (plugin == NULL) {
			puts("no plugin");
			return 1;
		}
		*(void **)&work = dlsym(plugin, "plugin_work");
		result = work(i);
		dlclose(plugin);
		sum += result[i % 1000];
		free(result);
	}
	done = 1;
	pthread_join(t, NULL);
	printf("sum %d\n", sum);
	return 0;
}
