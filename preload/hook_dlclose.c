#include <dlfcn.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/modules.h"

EXPORT int dlclose(void *handle)
{
	modules_epoch_next();
	return real.dlclose(handle);
}
