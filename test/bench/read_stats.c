/* read_stats PID -- how long it takes to read /proc/PID/task/TID/stat of all threads: what the least that can
 * be said of them costs. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

int main(int argc, char **argv)
{
	char path[64], name[300], text[1024];
	struct dirent *e;
	unsigned threads = 0;
	double begin = now_secs();
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/task", argc > 1 ? argv[1] : "self");
	d = opendir(path);
	if (d == NULL)
		return 1;
	while ((e = readdir(d)) != NULL) {
		int fd;

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/stat", e->d_name);
		fd = openat(dirfd(d), name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		threads += read(fd, text, sizeof(text)) > 0;
		close(fd);
	}
	printf("threads=%u ms=%.3f\n", threads, (now_secs() - begin) * 1e3);
	return 0;
}
