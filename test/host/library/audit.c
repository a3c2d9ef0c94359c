/* audit -- an audit module that looks at every object and every binding, and changes nothing. */
#include <link.h>

unsigned la_version(unsigned version);
unsigned la_version(unsigned version) { return version; }

unsigned la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie);
unsigned la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie)
{
	(void)map;
	(void)space;
	(void)cookie;
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

uintptr_t la_symbind64(Elf64_Sym *sym, unsigned n, uintptr_t *from, uintptr_t *to, unsigned *flags,
		       const char *name);
uintptr_t la_symbind64(Elf64_Sym *sym, unsigned n, uintptr_t *from, uintptr_t *to, unsigned *flags,
		       const char *name)
{
	(void)n;
	(void)from;
	(void)to;
	(void)flags;
	(void)name;
	return sym->st_value;
}
