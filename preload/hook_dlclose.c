#include <dlfcn.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/modules.h"

EXPORT int dlclose(void *handle)
{
	int result;

	modules_closing();
	result = real.dlclose(handle);
	modules_closed();
	return result;
}
