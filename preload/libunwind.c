#include "preload/libunwind.h"

#include <dlfcn.h>
#include <stddef.h>

#include "sampler/altstack.h"
#include "sampler/compiler.h"
#include "sampler/log.h"
#include "sampler/threads.h"
#include "sampler/unwind_libunwind.h"

#define LIBRARY "libunwind.so.8"

#define TEXT_OF(x) #x
#define NAME_OF(x) TEXT_OF(x)

static bool in_use;

static bool refuse(const char *why, const char *what)
{
	log_line(LOG_ERROR, "PPROFSHIM_UNWINDER=libunwind: ", why, what,
		 "; allowed: auto, fp or libunwind; using auto", NULL);
	return false;
}

/* What a failed dlopen or dlsym leaves for the host's dlerror is taken away. */
static const char *last_error(void)
{
	const char *error = dlerror();

	return error != NULL ? error : LIBRARY;
}

bool libunwind_open(void)
{
	struct unwind_libunwind_calls calls;
	__typeof__(unw_get_accessors) *get_accessors;
	unw_addr_space_t *space;
	void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	struct { const char *name; void *to; } const wanted[] = {
		{ NAME_OF(unw_init_local2), &calls.init },
		{ NAME_OF(unw_step), &calls.step },
		{ NAME_OF(unw_get_reg), &calls.get_reg },
		{ NAME_OF(unw_is_signal_frame), &calls.is_signal_frame },
		{ NAME_OF(unw_get_accessors), &get_accessors },
		{ NAME_OF(unw_local_addr_space), &space },
	};

	if (lib == NULL)
		return refuse(last_error(), "");
	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		void *found = dlsym(lib, wanted[i].name);

		if (found == NULL) {
			last_error();
			return refuse(LIBRARY " has no ", wanted[i].name);
		}
		*(void **)wanted[i].to = found;
	}
	calls.accessors = get_accessors(*space);
	unwind_libunwind_init(&calls);
	scratch_reserve(sizeof(struct unwind_libunwind));
	altstack_need(UNWIND_LIBUNWIND_TICK_BYTES);
	log_line(LOG_ERROR, "PPROFSHIM_UNWINDER=libunwind: its locks are not safe in signal "
		 "handlers: this program may hang", NULL);
	in_use = true;
	return true;
}

static bool count_two(struct thread_slot *slot, void *count)
{
	(void)slot;
	return ++*(unsigned *)count < 2;
}

bool libunwind_is_lost(void)
{
	unsigned threads = 0;

	if (in_use)
		threads_each(count_two, &threads);
	return threads > 1;
}
