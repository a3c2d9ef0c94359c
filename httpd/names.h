/* httpd/names.h -- the function behind an address, from the symbol tables of its object.
 *
 * Each module's .symtab (else .dynsym) is read once into a sorted index of 16 bytes a function,
 * when the first of its addresses is asked for; the names stay in the file and are read one by one.
 * All indexes together stay within NAMES_BUDGET_BYTES: the least recently used one goes first.
 *
 * Context   our thread, inside a job (it breathes).  Files by os_pread; objects in memory by
 *           os_peek.  Never the loader, never the host's heap.
 * Trust     a file whose build id (else whose dev and inode) is not that of the mapped object is
 *           not used.
 * Tests     test/unit/names_test.c, test/unit/names_cache_test.c, test/unit/names_jobs_test.c */
#ifndef HTTPD_NAMES_H
#define HTTPD_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/arena.h"
#include "sampler/modules.h"

#define NAMES_BUDGET_BYTES (16u << 20)

struct names_answer {
	const char *name;               /* demangled, without parameters; never NULL or "" */
	const char *system_name;        /* as in the object, without a version ("@@GLIBC_2.14") */
	uint64_t    start;              /* of the function, as an address of the process */
	bool        from_symbol;        /* false: "libfoo.so+0x1230", from the start of its FDE */
};

/* Always answers.  module NULL: address belongs to no object ("[anon]").  Strings live in the
 * arena. */
void names_find(struct arena *arena, const struct module *module, uint64_t address,
		struct names_answer *out);

/* A fork child, or a test: forget all indexes. */
void names_reset(void);

#endif
