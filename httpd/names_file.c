#include "httpd/names_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sampler/os.h"

#define CANDIDATES 2

/* Where the file may be; NULL: nowhere. */
static const char *candidate(const struct module *module, int i)
{
	if (i == 0)
		return module->main ? "/proc/thread-self/exe" : NULL;
	return module->path[0] == '/' ? module->path : NULL;
}

/* Minor and major number as libc's gnu_dev_*, which are functions there. */
static uint64_t dev_as_in_maps(uint64_t dev)
{
	uint64_t major = ((dev >> 32) & 0xfffff000u) | ((dev >> 8) & 0xfffu);
	uint64_t minor = ((dev >> 12) & 0xffffff00u) | (dev & 0xffu);

	return major << 32 | minor;
}

static int identify(int fd, struct names_file *out)
{
	struct stat st;
	int err = os_fstat(fd, &st);

	if (err < 0)
		return err;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	*out = (struct names_file){
		.dev = dev_as_in_maps(st.st_dev),
		.inode = st.st_ino,
		.bytes = (uint64_t)st.st_size,
		.modified_s = st.st_mtim.tv_sec,
		.modified_ns = st.st_mtim.tv_nsec,
	};
	return 0;
}

static int open_regular(const char *path, struct names_file *out)
{
	struct stat st;
	int err, fd;

	if (path == NULL)
		return -ENOENT;
	err = os_stat(path, &st);
	if (err < 0 || !S_ISREG(st.st_mode))
		return err < 0 ? err : -ENOENT;
	fd = os_open_read(path);
	if (fd < 0)
		return fd;
	err = identify(fd, out);
	if (err == 0)
		return fd;
	os_close(fd);
	return err;
}

static bool is_trusted(const struct module *module, const struct elf *e,
		       const struct names_file *file)
{
	if (module->build_id_len > 0)
		return e->build_id_len == module->build_id_len &&
		       memcmp(e->build_id, module->build_id, module->build_id_len) == 0;
	return file->dev == module->dev && file->inode == module->inode;
}

/* The vDSO is one mapping, its ELF header in front. */
static int open_memory(const struct module *module, struct elf *e)
{
	struct elf_source source = {
		.fd = -1,
		.memory = module->start,
		.bytes = module->limit - module->start,
	};

	return module->limit > module->start ? elf_open(e, &source) : -ENOENT;
}

int names_file_open(const struct module *module, struct elf *e, struct names_file *file)
{
	int err = -ENOENT;

	memset(file, 0, sizeof(*file));
	if (strcmp(module->path, "[vdso]") == 0)
		return open_memory(module, e);
	for (int i = 0; i < CANDIDATES; i++) {
		int fd = open_regular(candidate(module, i), file);
		struct elf_source source = { .fd = fd, .bytes = file->bytes };

		if (fd < 0) {
			err = fd == -ENOENT ? err : fd;
			continue;
		}
		err = elf_open(e, &source);
		if (err == 0 && is_trusted(module, e, file))
			return 0;
		err = -ESTALE;
		os_close(fd);
	}
	return err;
}

int names_file_reopen(const struct module *module, const struct names_file *file)
{
	for (int i = 0; i < CANDIDATES; i++) {
		struct names_file found;
		int fd = open_regular(candidate(module, i), &found);

		if (fd < 0)
			continue;
		if (names_file_is(fd, file))
			return fd;
		os_close(fd);
	}
	return -ENOENT;
}

bool names_file_is(int fd, const struct names_file *file)
{
	struct names_file now;

	return fd >= 0 && identify(fd, &now) == 0 && now.dev == file->dev &&
	       now.inode == file->inode && now.bytes == file->bytes &&
	       now.modified_s == file->modified_s && now.modified_ns == file->modified_ns;
}

void names_file_close(int fd, const struct names_file *file)
{
	struct names_file now;

	if (fd < 0)
		return;
	/* What is not ours any more os_close forgets, and does not close. */
	if (!os_is_ours(fd) || (identify(fd, &now) == 0 && now.dev == file->dev &&
				now.inode == file->inode))
		os_close(fd);
}
