/* libiberty writes a name piece by piece, to a callback, and keeps no memory of its own.  It limits
 * how deep it recurses, but not how much it writes: 100 bytes of back references make a gigabyte
 * (checked, C++ and Rust v0).  The only way to stop it is to leave it from within the callback. */
#include "encode/demangle.h"

#include <stdbool.h>
#include <string.h>

#include <libiberty/demangle.h>

#include "encode/buf.h"

struct name {
	struct buf out;
	void      *full[5];                     /* of __builtin_setjmp */
	char       text[DEMANGLE_NAME_MAX];
};

static void append(const char *bytes, size_t n, void *arg)
{
	struct name *name = arg;

	buf_bytes(&name->out, bytes, n);
	if (!buf_fits(&name->out))
		__builtin_longjmp(name->full, 1);
}

/* True if the symbol is one of this demangler's; a name that fills the buffer is one, too. */
static bool run(int (*demangler)(const char *, int, demangle_callbackref, void *),
		const char *symbol, struct name *name)
{
	name->out = buf_bounded(name->text, sizeof(name->text));
	if (__builtin_setjmp(name->full) != 0)
		return true;
	return demangler(symbol, DMGL_NO_OPTS, append, name) != 0 && name->out.len > 0;
}

/* Rust first: its legacy symbols are C++ ones with a hash at their end. */
static const char *demangled(struct arena *arena, const char *symbol)
{
	struct name name;
	const char *copy;

	if (symbol[0] != '_' || strlen(symbol) > DEMANGLE_SYMBOL_MAX)
		return symbol;
	if (!run(rust_demangle_callback, symbol, &name) &&
	    !run(cplus_demangle_v3_callback, symbol, &name))
		return symbol;
	copy = arena_copy_string(arena, name.text,
				 buf_fits(&name.out) ? name.out.len : name.out.cap);
	return copy != NULL ? copy : symbol;
}

const char *demangle(struct arena *arena, const char *symbol)
{
	const char *version = strchr(symbol, '@');
	const char *plain;

	if (version == NULL || version == symbol)
		return demangled(arena, symbol);
	plain = arena_copy_string(arena, symbol, (size_t)(version - symbol));
	return plain != NULL ? demangled(arena, plain) : symbol;
}
