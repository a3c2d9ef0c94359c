/* test/fake/made_module.h -- struct module of what is mapped here, and of objects made to order. */
#ifndef TEST_FAKE_MADE_MODULE_H
#define TEST_FAKE_MADE_MODULE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fake/made_elf.h"
#include "sampler/buildid.h"
#include "sampler/modules.h"

/* The executable mapping that holds address, as in /proc/self/maps; without its build id, so that
 * dev and inode count.  False: there is none. */
static inline bool module_of(const void *address, struct module *out)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, limit, offset, inode;
	unsigned major_nr, minor_nr;
	char line[1024], rights[8];
	int path;
	bool found = false;

	memset(out, 0, sizeof(*out));
	while (!found && maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %n", &start, &limit, rights, &offset,
			   &major_nr, &minor_nr, &inode, &path) < 7)
			continue;
		if ((unsigned long)address < start || (unsigned long)address >= limit)
			continue;
		out->start = start;
		out->limit = limit;
		out->offset = offset;
		out->dev = (uint64_t)major_nr << 32 | minor_nr;
		out->inode = inode;
		out->alive = true;
		snprintf(out->path, sizeof(out->path), "%s", line + path);
		found = rights[2] == 'x';
	}
	if (maps != NULL)
		fclose(maps);
	return found;
}

static inline bool write_file(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, bytes, n) == (ssize_t)n;

	return close(fd) == 0 && ok;
}

/* Writes the object to path, and makes a module of it as if it were mapped at start. */
static inline bool made_module(const struct made_elf *how, const char *path, uintptr_t start,
			       struct module *out)
{
	uint8_t *file;
	size_t n = made_elf(how, &file);
	bool ok = write_file(path, file, n);
	struct stat st = { 0 };

	memset(out, 0, sizeof(*out));
	free(file);
	if (!ok || stat(path, &st) < 0)
		return false;
	out->start = start;
	out->limit = start + how->code_bytes;
	out->offset = MADE_CODE_OFFSET;
	out->dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	out->inode = st.st_ino;
	out->alive = true;
	if (how->build_id != NULL)
		memcpy(out->build_id, how->build_id, out->build_id_len = 20);
	snprintf(out->path, sizeof(out->path), "%s", path);
	return true;
}

/* Functions of 1 byte each, all of one name, the last one first; to be freed. */
static inline struct made_symbol *made_symbols(const char *name, size_t count)
{
	struct made_symbol *s = calloc(count, sizeof(*s));

	for (size_t i = 0; i < count; i++)
		s[i] = (struct made_symbol){ name, count - 1 - i, 1, STT_FUNC, STB_GLOBAL, 0 };
	return s;
}

/* A module with so many functions of that name. */
static inline bool made_module_of_many(const char *name, size_t count, const char *path,
				       uintptr_t start, struct module *out)
{
	struct made_symbol *s = made_symbols(name, count);
	struct made_elf how = { .full = s, .full_count = count, .code_bytes = count };
	bool ok = made_module(&how, path, start, out);

	free(s);
	return ok;
}

#endif
