#include "preload/startup.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "sampler/compiler.h"

#define OBJECTS_MAX 1024

static struct {
	struct object {
		uintptr_t         image;
		const char       *path, *strings;
		const Elf64_Dyn  *dynamic;
		bool              stays;
	} object[OBJECTS_MAX];
	unsigned    count;
	const char *preloads;
} startup;

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The loader has made addresses of the offsets in a dynamic section, but not in the vDSO's, which
 * it cannot write. */
static const char *find_strings(const Elf64_Dyn *d, uintptr_t bias)
{
	for (; d != NULL && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_STRTAB)
			return (const char *)(d->d_un.d_ptr < bias ? d->d_un.d_ptr + bias
								   : d->d_un.d_ptr);
	return NULL;
}

static int collect(struct dl_phdr_info *info, size_t size, void *unused)
{
	struct object *o = &startup.object[startup.count];

	(void)size;
	(void)unused;
	if (startup.count == OBJECTS_MAX)
		return 1;
	memset(o, 0, sizeof(*o));
	o->path = info->dlpi_name;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && ph->p_offset < 4096 && o->image == 0)
			o->image = info->dlpi_addr + ph->p_vaddr - ph->p_offset;
		if (ph->p_type == PT_DYNAMIC)
			o->dynamic = (const Elf64_Dyn *)(info->dlpi_addr + ph->p_vaddr);
	}
	o->strings = find_strings(o->dynamic, info->dlpi_addr);
	startup.count++;
	return 0;
}

/* True if name is one of the words of LD_PRELOAD, with or without its directory. */
static bool is_preload(const char *path)
{
	const char *base = base_name(path), *at = startup.preloads;
	size_t len = strlen(base);

	if (at == NULL || len == 0)
		return false;
	for (; (at = strstr(at, base)) != NULL; at++)
		if ((at == startup.preloads || strchr(" :/", at[-1]) != NULL) &&
		    strchr(" :", at[len]) != NULL)
			return true;
	return false;
}

/* The first of the list is the program; the vDSO has no file. */
static bool is_root(unsigned i)
{
	const char *path = startup.object[i].path;

	return i == 0 || strncmp(base_name(path), "ld-linux", 8) == 0 ||
	       strncmp(path, "linux-vdso", 10) == 0 || is_preload(path);
}

static bool is_called(const struct object *o, const char *name)
{
	if (strcmp(base_name(o->path), base_name(name)) == 0)
		return true;
	for (const Elf64_Dyn *d = o->dynamic; o->strings != NULL && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_SONAME && strcmp(o->strings + d->d_un.d_val, name) == 0)
			return true;
	return false;
}

/* Marks what o needs; true if any of it was not marked yet. */
static bool mark_needed(const struct object *o)
{
	bool any = false;

	for (const Elf64_Dyn *d = o->dynamic; o->strings != NULL && d->d_tag != DT_NULL; d++)
		for (unsigned i = 0; d->d_tag == DT_NEEDED && i < startup.count; i++) {
			struct object *needed = &startup.object[i];

			if (!needed->stays && is_called(needed, o->strings + d->d_un.d_val))
				needed->stays = any = true;
		}
	return any;
}

void startup_init(const char *preloads)
{
	bool any = true;

	startup.count = 0;
	startup.preloads = preloads;
	dl_iterate_phdr(collect, NULL);
	for (unsigned i = 0; i < startup.count; i++)
		startup.object[i].stays = is_root(i);
	while (any) {
		any = false;
		for (unsigned i = 0; i < startup.count; i++)
			if (startup.object[i].stays && mark_needed(&startup.object[i]))
				any = true;
	}
}

bool startup_has(uintptr_t image)
{
	for (unsigned i = 0; i < startup.count; i++)
		if (startup.object[i].image == image)
			return startup.object[i].stays;
	return false;
}
