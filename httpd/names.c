#include "httpd/names.h"

#include <string.h>

#include "encode/demangle.h"
#include "httpd/elf.h"
#include "httpd/elf_frames.h"
#include "httpd/names_cache.h"
#include "httpd/symbols.h"

#define NAME_BYTES 4096         /* a longer name is cut there */

/* What is left when the arena is full. */
static const char no_memory[] = "[out of memory]";

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* "libfoo.so+0x1230" */
static const char *make_name(struct arena *arena, const struct module *module, uint64_t offset)
{
	const char *base = base_name(module->path);
	size_t len = strnlen(base, MODULE_PATH_MAX);
	char digits[16];
	size_t at = sizeof(digits);
	char *name = arena_alloc(arena, len + sizeof("+0x") + sizeof(digits));

	if (name == NULL)
		return no_memory;
	do {
		digits[--at] = "0123456789abcdef"[offset % 16];
		offset /= 16;
	} while (offset > 0);
	memcpy(name, base, len);
	memcpy(name + len, "+0x", 3);
	memcpy(name + len + 3, digits + at, sizeof(digits) - at);
	return name;
}

static void answer_unnamed(const char *name, uint64_t start, struct names_answer *out)
{
	*out = (struct names_answer){ .name = name, .system_name = name, .start = start };
}

/* A symbol without a size ends with the FDE that it is in, if there is one. */
static bool reaches(const struct elf *e, const struct symbols_entry *entry, uint64_t address)
{
	struct elf_frame frame;

	if ((entry->key & SYMBOLS_UNSIZED) == 0)
		return true;
	if (elf_frames_find(e, address, &frame))
		return frame.start <= symbols_address(entry);
	return !elf_frames_find(e, symbols_address(entry), &frame);
}

/* moved is what to add to an address of the object to get the address in this process. */
static bool find_symbol(struct arena *arena, const struct names_cache_object *o, uint64_t address,
			uint64_t moved, struct names_answer *out)
{
	const struct symbols_entry *entry = symbols_find(&o->symbols, address);
	char name[NAME_BYTES];
	size_t len;

	if (entry == NULL || !reaches(&o->elf, entry, address))
		return false;
	len = symbols_name(&o->symbols, &o->elf, entry, name, sizeof(name));
	if (len == 0)
		return false;
	out->system_name = arena_copy_string(arena, name, len);
	if (out->system_name == NULL)
		out->system_name = no_memory;
	out->name = demangle(arena, out->system_name);
	out->start = symbols_address(entry) + moved;
	out->from_symbol = true;
	return true;
}

void names_find(struct arena *arena, const struct module *module, uint64_t address,
		struct names_answer *out)
{
	const struct names_cache_object *o;
	struct elf_frame frame;
	uint64_t there, mapping;        /* address and the start of its mapping, in the object */

	if (module == NULL || module->path[0] == '\0') {
		answer_unnamed("[anon]", address, out);
		return;
	}
	o = names_cache_get(module);
	if (o != NULL && elf_address(&o->elf, address - module->start + module->offset, &there)) {
		if (find_symbol(arena, o, there, address - there, out))
			return;
		if (elf_frames_find(&o->elf, there, &frame)) {
			answer_unnamed(make_name(arena, module, frame.start),
				       frame.start + (address - there), out);
			return;
		}
	}
	if (o == NULL || !elf_address(&o->elf, module->offset, &mapping))
		mapping = module->offset;
	answer_unnamed(make_name(arena, module, mapping), module->start, out);
}

void names_reset(void)
{
	names_cache_reset();
}
