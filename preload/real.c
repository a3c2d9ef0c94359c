#include "preload/real.h"

#include <dlfcn.h>
#include <errno.h>

#include "preload/boot.h"
#include "sampler/compiler.h"
#include "sampler/self.h"

/* --- before the list is resolved ------------------------------------------------------------- */

/* Blocks may be asked for by the dlsym that resolves; the other doors are not called by it. */
#define REFUSE_OR_RESOLVE(boot) \
	do {                    \
		if (self.resolving) \
			return boot; \
		real_resolve(); \
	} while (0)

static void *boot_product(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : boot_alloc(16, bytes);
}

static void *first_malloc(size_t n)
{
	REFUSE_OR_RESOLVE(boot_alloc(16, n));
	return real.malloc(n);
}

static void *first_calloc(size_t n, size_t size)
{
	REFUSE_OR_RESOLVE(boot_product(n, size));
	return real.calloc(n, size);
}

/* dlsym does not resize a block that it did not get from us, and those the door handles. */
static void *first_realloc(void *p, size_t n)
{
	REFUSE_OR_RESOLVE(p == NULL ? boot_alloc(16, n) : NULL);
	return real.realloc(p, n);
}

static void *first_reallocarray(void *p, size_t n, size_t size)
{
	REFUSE_OR_RESOLVE(p == NULL ? boot_product(n, size) : NULL);
	return real.reallocarray(p, n, size);
}

static void *first_memalign(size_t align, size_t n)
{
	REFUSE_OR_RESOLVE(boot_alloc(align, n));
	return real.memalign(align, n);
}

static void *first_aligned_alloc(size_t align, size_t n)
{
	REFUSE_OR_RESOLVE(boot_alloc(align, n));
	return real.aligned_alloc(align, n);
}

static int first_posix_memalign(void **p, size_t align, size_t n)
{
	REFUSE_OR_RESOLVE((*p = boot_alloc(align, n)) != NULL ? 0 : ENOMEM);
	return real.posix_memalign(p, align, n);
}

static void *first_valloc(size_t n)
{
	REFUSE_OR_RESOLVE(boot_alloc(4096, n));
	return real.valloc(n);
}

static void *first_pvalloc(size_t n)
{
	REFUSE_OR_RESOLVE(boot_alloc(4096, n));
	return real.pvalloc(n);
}

static size_t first_malloc_usable_size(void *p)
{
	REFUSE_OR_RESOLVE(0);
	return real.malloc_usable_size(p);
}

static void first_free(void *p)
{
	REFUSE_OR_RESOLVE();
	real.free(p);
}

static void first_cfree(void *p)
{
	REFUSE_OR_RESOLVE();
	real.cfree(p);
}

#define X(result, name, params, args)       \
	static result first_##name params   \
	{                                   \
		real_resolve();             \
		return real.name args;      \
	}
REAL_OTHERS(X)
#undef X

struct real real = {
#define X(result, name, params, args) .name = first_##name,
	REAL_LIST(X)
#undef X
};

/* --- resolving ------------------------------------------------------------------------------- */

static void *find_next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* True if two addresses are of one object. */
static bool same_object(const void *a, const void *b)
{
	Dl_info of_a, of_b;

	return dladdr(a, &of_a) != 0 && dladdr(b, &of_b) != 0 && of_a.dli_fbase == of_b.dli_fbase;
}

COLD void real_resolve(void)
{
	int host_errno = errno;
	void *found;

	self.resolving = true;
#define X(result, name, params, args)             \
	found = find_next(#name);                 \
	if (found != NULL)                        \
		*(void **)&real.name = found;
	REAL_LIST(X)
#undef X
	/* libc keeps cfree for old programs only, under a version of its own. */
	if (real.cfree == first_cfree)
		real.cfree = real.free;
#define X(name, params, args) *(void **)&real.name = find_next(#name);
	REAL_NEW(X)
	REAL_DELETE(X)
#undef X
	real.new_counts = real._Znwm != NULL &&
			  same_object((void *)real._Znwm, (void *)real.malloc);
	self.resolving = false;
	errno = host_errno;
}

/* --- C++ that came later --------------------------------------------------------------------- */

static bool borrowed;   /* an operator leads into an object that may be unloaded */

static void *fallback_new(size_t n)
{
	return real.malloc(n != 0 ? n : 1);
}

static void *fallback_new_aligned(size_t n, size_t align)
{
	return real.memalign(align, n);
}

static void fallback_delete(void *p)
{
	real.free(p);
}

/* In an object that is loaded already. */
static void *find_in(const char *object, const char *name, bool keep)
{
	void *handle = dlopen(object, RTLD_LAZY | RTLD_NOLOAD), *found = NULL;

	if (handle != NULL) {
		found = dlsym(handle, name);
		if (found == NULL || !keep)
			real.dlclose(handle);
	}
	return found;
}

/* The C++ runtimes come as dependencies of plugins, outside of the global scope; nobody unloads
 * them in practice (unique symbols pin libstdc++), so keeping them changes nothing. */
static void *find_in_runtimes(const char *name)
{
	static const char *const runtimes[] = { "libstdc++.so.6", "libc++abi.so.1", "libc++.so.1" };
	void *found = NULL;

	for (unsigned i = 0; found == NULL && i < COUNT_OF(runtimes); i++)
		found = find_in(runtimes[i], name, true);
	return found;
}

COLD void *real_cxx(void **slot, const char *name, enum real_cxx_kind kind, const void *caller)
{
	int host_errno = errno;
	void *found = find_next(name);
	Dl_info of_caller;

	if (found != NULL)
		real.new_counts = same_object(found, (void *)real.malloc);
	if (found == NULL)
		found = find_in_runtimes(name);
	if (found == NULL && dladdr(caller, &of_caller) != 0 &&
	    !same_object(caller, (void *)real_cxx)) {
		/* A plugin with the C++ runtime linked in: its own until it leaves. */
		found = find_in(of_caller.dli_fname, name, false);
		if (found != NULL)
			borrowed = true;
	}
	if (found == NULL)
		found = kind == REAL_CXX_NEW           ? (void *)fallback_new
			: kind == REAL_CXX_NEW_ALIGNED ? (void *)fallback_new_aligned
						       : (void *)fallback_delete;
	else
		__atomic_store_n(slot, found, __ATOMIC_RELEASE);
	errno = host_errno;
	return found;
}

void real_forget_borrowed(void)
{
	if (!borrowed)
		return;
	borrowed = false;
#define X(name, params, args) __atomic_store_n((void **)&real.name, NULL, __ATOMIC_RELEASE);
	REAL_NEW(X)
	REAL_DELETE(X)
#undef X
}
