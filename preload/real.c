#include "preload/real.h"

#include <dlfcn.h>
#include <errno.h>

#include "preload/boot.h"
#include "preload/scope.h"
#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/self.h"

/* --- before the list is resolved ------------------------------------------------------------- */

/* Blocks may be asked for by the dlsym that resolves; the other doors are not called by it. */
#define REFUSE_OR_RESOLVE(boot) \
	do { \
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

#define X(result, name, params, args) \
	static result first_##name params \
	{ \
		real_resolve(); \
		return real.name args; \
	}
REAL_MAPPINGS(X)
REAL_PROTECTIONS(X)
REAL_LOCKS(X)
REAL_CONDITIONS(X)
REAL_OTHERS(X)
#undef X

/* Nobody has C++'s operators, and somebody calls them all the same. */
static void *plain_new(size_t n)
{
	return real.malloc(n != 0 ? n : 1);
}

static void *plain_new_aligned(size_t n, size_t align)
{
	return real.memalign(align, n);
}

static void plain_delete(void *p)
{
	real.free(p);
}

static int never_write(pthread_rwlock_t *l)
{
	(void)l;
	return EBUSY;
}

struct real real = {
	.try_to_write = never_write,
#define X(result, name, params, args) .name = first_##name,
	REAL_LIST(X)
#undef X
#define X(name, params, args) .name = (void *)plain_new,
		REAL_NEW_PLAIN(X)
#undef X
#define X(name, params, args) .name = (void *)plain_new_aligned,
			REAL_NEW_ALIGNED(X)
#undef X
#define X(name, params, args) .name = (void *)plain_delete,
				REAL_DELETE(X)
#undef X
};

/* --- resolving ------------------------------------------------------------------------------- */

/* True if we were opened by dlopen: then libc is not behind us, but dlsym finds it. */
static bool is_late(void)
{
	return scope_is_shadowed("__libc_start_main");
}

/* NULL: nobody has it.  Asked first, because a dlsym that fails leaves traces. */
static void *find_next(const char *name)
{
	bool there = is_late() ? scope_find(name) != NULL : scope_has_next(name);

	return there ? dlsym(RTLD_NEXT, name) : NULL;
}

/* True if two addresses are of one object.  (dladdr looks at each of its symbols; but before we
 * know that there is no sanitizer, dl_iterate_phdr may be its.) */
static bool same_object(const void *a, const void *b)
{
	Dl_info of_a, of_b;

	return dladdr(a, &of_a) != 0 && dladdr(b, &of_b) != 0 && of_a.dli_fbase == of_b.dli_fbase;
}

/* The operators' doors are there for an allocator that brings its own.  Where none does they are
 * hidden, before a library that is loaded later could bind to them: a program without C++ has
 * no operators of ours, a plugin finds those that it brings. */
static void resolve_operators(void)
{
	static const char *const names[] = {
#define X(name, params, args) #name,
		REAL_NEW(X)
			REAL_DELETE(X)
#undef X
	};
	void *found;

#define X(name, params, args) \
	found = find_next(#name); \
	if (found != NULL) \
		*(void **)&real.name = found;
	REAL_NEW(X)
	REAL_DELETE(X)
#undef X
	real.new_counts = (void *)real._Znwm != (void *)plain_new &&
			  same_object((void *)real._Znwm, (void *)real.malloc);
	if (!real.new_counts && !scope_hide(names, COUNT_OF(names)))
		count_add(COUNT_MAP_REFUSED);
}

/* Until glibc 2.36 dlsym gives the oldest version of a name.  Of conditions that is the one whose
 * pthread_cond_t is a pointer, for programs from before glibc 2.3.2 (x86-64).  But who is between
 * us and libc, and knows of no versions, is passed by with one. */
static void *find_condition(const char *name)
{
	void *found = find_next(name);
	void *newer = found != NULL ? dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2") : NULL;

	return newer != NULL && newer != found && same_object(newer, found) ? newer : found;
}

static void resolve_tries(void)
{
	void *found = find_next("pthread_rwlock_trywrlock");

	if (found != NULL && same_object(found, (void *)real.pthread_rwlock_wrlock))
		*(void **)&real.try_to_write = found;
}

/* Each at once what it stays: the host's threads may use them. */
static void resolve_list(void)
{
	void *found;

#define X(result, name, params, args) \
	found = find_next(#name); \
	if (found != NULL) \
		*(void **)&real.name = found;
	REAL_ALIKE(X)
#undef X
#define X(result, name, params, args) \
	found = find_condition(#name); \
	if (found != NULL) \
		*(void **)&real.name = found;
	REAL_CONDITIONS(X)
#undef X
}

COLD void real_resolve(void)
{
	int host_errno = errno;

	self.resolving = true;
	resolve_list();
	/* libc keeps cfree for old programs only, under a version of its own. */
	if (real.cfree == first_cfree)
		real.cfree = real.free;
	resolve_operators();
	resolve_tries();
	real.realloc_is_ours = !scope_is_shadowed("realloc");
	self.resolving = false;
	errno = host_errno;
}
