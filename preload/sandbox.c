#include "preload/sandbox.h"

#include <stdatomic.h>

#include "httpd/desk.h"
#include "sampler/cpu_ctl.h"
#include "sampler/heap.h"
#include "sampler/log.h"
#include "sampler/threads.h"

static struct {
	_Atomic unsigned entered;
	unsigned         cpu_hz;
	uint64_t         heap_rate;
} sandbox;

void sandbox_enter(void)
{
	if (sandbox.entered++ > 0)
		return;
	sandbox.cpu_hz = cpu_ctl_hz();
	sandbox.heap_rate = heap_rate();
	log_line(LOG_INFO, "this program installs a filter for system calls: no profiles any more",
		 NULL);
	desk_hold_off();
	cpu_ctl_set_hz(0);
	heap_set_rate(0);
	threads_seal(true);
}

void sandbox_leave(void)
{
	if (--sandbox.entered > 0)
		return;
	threads_seal(false);
	heap_set_rate(sandbox.heap_rate);
	cpu_ctl_set_hz(sandbox.cpu_hz);
	desk_let_back();
}

bool sandbox_entered(void)
{
	return sandbox.entered != 0;
}
