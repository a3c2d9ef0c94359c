/* test/fuzz/replay.c -- main() for a fuzz target without a fuzzer: gives every file of
 * test/fuzz/corpus/<name of this program>/ to the target, under any compiler, in every `make unit`.
 * Run from the top of the repository.  An empty corpus is a failure: it would prove nothing. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, got;

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	/* The name first: a crash must say which file it was. */
	printf("%s\n", path);
	fflush(stdout);
	do {
		data = realloc(data, size + 65536);
		if (data == NULL)
			exit(1);
		got = fread(data + size, 1, 65536, file);
		size += got;
	} while (got > 0);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	char dir[256], path[1024];
	const struct dirent *entry;
	unsigned files = 0;
	DIR *d;

	if (argc < 1)
		return 1;
	snprintf(dir, sizeof(dir), "test/fuzz/corpus/%s", slash != NULL ? slash + 1 : argv[0]);
	d = opendir(dir);
	if (d == NULL) {
		perror(dir);
		return 1;
	}
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		replay(path);
		files++;
	}
	closedir(d);
	printf("%u files\n", files);
	return files > 0 ? 0 : 1;
}
