#include <dlfcn.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/modules.h"

EXPORT int dlclose(void *handle)
{
	modules_epoch_next();
	real_forget_borrowed();
	return real.dlclose(handle);
}
