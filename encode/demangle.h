/* encode/demangle.h -- the name a programmer gave to a function.
 *
 * C++ (Itanium), Rust legacy and Rust v0, through libiberty's demanglers that allocate nothing.
 *
 *     _ZN2ns3BoxIlE4workEl                    ns::Box<long>::work      no parameters
 *     _ZN3app4main17h0123456789abcdefE        app::main                no hash
 *     _Z3foov.isra.0.cold, _Z3foov@@V1        foo                      no suffix
 *     foo.isra.0                              foo.isra.0               C: a clone keeps its name
 *     memcpy@@GLIBC_2.14                      memcpy                   but no version
 *
 * Context   one thread, any; up to 512 KiB of stack (440 KiB at the worst symbol found).
 * Bounds    a symbol longer than DEMANGLE_SYMBOL_MAX stays as it is, and so does a C++ one of more
 *           than 1024 bytes (libiberty's own limit); a name is cut at DEMANGLE_NAME_MAX, and the
 *           work with it: short symbols can stand for names of gigabytes.
 * Not done  Rust identifiers outside of ASCII (libiberty wants malloc for them) stay mangled. */
#ifndef ENCODE_DEMANGLE_H
#define ENCODE_DEMANGLE_H

#include "encode/arena.h"

#define DEMANGLE_SYMBOL_MAX 4096
#define DEMANGLE_NAME_MAX   16384

/* The name behind a symbol: symbol itself, or a string in the arena.  Never NULL; never "" unless
 * symbol is.  symbol itself also where the arena is full. */
const char *demangle(struct arena *arena, const char *symbol);

#endif
