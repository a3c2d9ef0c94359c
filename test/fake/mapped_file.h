/* test/fake/mapped_file.h -- shared objects as a loader maps them, without the loader: at an
 * address of the test's own choice, and gone when it says so. */
#ifndef TEST_FAKE_MAPPED_FILE_H
#define TEST_FAKE_MAPPED_FILE_H

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sampler/modules.h"

/* Any that the test itself does not use. */
#define SOME_LIBRARY    "libbz2.so.1.0"
#define ANOTHER_LIBRARY "libz.so.1"

/* Makes a library's content that of another build. */
static inline void change_build_id(char *file, size_t n)
{
	static const char note[] = "\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU";
	char *at = memmem(file, n, note, sizeof(note));

	if (at == NULL)
		abort();
	at[sizeof(note)]++;
}

/* As the door does it, around the real call. */
static inline void dlclose_passes(void)
{
	modules_closing();
	modules_closed();
}

/* Addresses that nobody else takes: 1 GiB, reserved. */
static inline char *free_addresses(void)
{
	static char *at;

	if (at == NULL)
		at = mmap(NULL, 1u << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	if (at == MAP_FAILED)
		abort();
	return at;
}

static inline void unmap_file(char *at, size_t bytes)
{
	if (mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) != at)
		abort();
}

/* Reads a whole library of the system, from where its loader finds it, or a file whose name begins
 * with a slash.  Returns its length. */
static inline size_t read_library(const char *name, char **out)
{
	static const char *const dirs[] = { "/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64",
					    "/usr/lib", "/lib" };
	char path[256];
	struct stat st;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", name[0] == '/' ? "" : dirs[i], name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) != 0 || (*out = malloc((size_t)st.st_size)) == NULL ||
		    read(fd, *out, (size_t)st.st_size) != st.st_size)
			abort();
		close(fd);
		return (size_t)st.st_size;
	}
	return 0;
}

/* A file of its own with these bytes; the name ends in the six letters that mkstemp wants. */
static inline void make_file(char *path, const void *bytes, size_t n)
{
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || close(fd) != 0)
		abort();
}

/* One mapping of it.  Returns its length, whole pages. */
static inline size_t map_file(const char *path, char *at, int rights, size_t from, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	bytes = (bytes + 4095) & ~(size_t)4095;
	if (fd < 0 || mmap(at, bytes, rights, MAP_PRIVATE | MAP_FIXED, fd, (off_t)from) != at)
		abort();
	close(fd);
	return bytes;
}

/* As a loader maps an object: one mapping for each PT_LOAD, their file's parts only, no relocation.
 * Returns how many bytes of addresses it takes. */
static inline size_t map_object(const char *path, const char *file, char *at)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)file;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(const void *)(file + e->e_phoff);
	size_t end = 0;

	for (unsigned i = 0; i < e->e_phnum; i++) {
		uint64_t page = ph[i].p_vaddr & ~UINT64_C(4095), skip = ph[i].p_vaddr - page;
		int rights = (ph[i].p_flags & PF_R ? PROT_READ : 0) |
			     (ph[i].p_flags & PF_W ? PROT_WRITE : 0) |
			     (ph[i].p_flags & PF_X ? PROT_EXEC : 0);

		if (ph[i].p_type != PT_LOAD)
			continue;
		end = page + map_file(path, at + page, rights, ph[i].p_offset - skip,
				      ph[i].p_filesz + skip);
	}
	return end;
}

/* The first executable address of such an object. */
static inline char *code_of(const char *file, char *at)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)file;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(const void *)(file + e->e_phoff);

	for (unsigned i = 0; i < e->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_X))
			return at + ph[i].p_vaddr;
	abort();
}

/* Takes its build id away: the note is of a type that nobody knows. */
static inline void forget_build_id(char *file)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)file;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(const void *)(file + e->e_phoff);

	for (unsigned i = 0; i < e->e_phnum; i++) {
		char *note = file + ph[i].p_offset;

		for (size_t at = 0; ph[i].p_type == PT_NOTE && at + 16 <= ph[i].p_filesz; at += 4)
			if (memcmp(note + at, "\3\0\0\0GNU", 8) == 0)
				note[at] = 77;
	}
}

#endif
