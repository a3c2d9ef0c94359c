#include "preload/sandbox.h"

#include <stdatomic.h>
#include <stdint.h>

#include "httpd/desk.h"
#include "sampler/cpu_ctl.h"
#include "sampler/heap.h"
#include "sampler/log.h"
#include "sampler/os.h"
#include "sampler/threads.h"

static struct {
	_Atomic bool     busy;          /* somebody enters or leaves: nobody else goes on */
	_Atomic unsigned entered;
	unsigned         cpu_hz;
	uint64_t         heap_rate;
} sandbox;

static void begin(void)
{
	while (atomic_exchange(&sandbox.busy, true))
		(void)!os_sleep(30000);
}

static void shut(void)
{
	sandbox.cpu_hz = cpu_ctl_hz();
	sandbox.heap_rate = heap_rate();
	log_line(LOG_INFO, "this program installs a filter for system calls: no profiles any more",
		 NULL);
	desk_hold_off();
	cpu_ctl_set_hz(0);
	heap_set_rate(0);
	threads_seal(true);
}

static void open_again(void)
{
	threads_seal(false);
	heap_set_rate(sandbox.heap_rate);
	cpu_ctl_set_hz(sandbox.cpu_hz);
	desk_let_back();
	log_line(LOG_INFO, "the filter was refused: profiles go on", NULL);
}

bool sandbox_enter(void)
{
	if (sandbox.entered == 0 && threads_elsewhere())
		return false;
	begin();
	if (sandbox.entered++ == 0)
		shut();
	sandbox.busy = false;
	return true;
}

void sandbox_leave(void)
{
	begin();
	if (--sandbox.entered == 0)
		open_again();
	sandbox.busy = false;
}

bool sandbox_entered(void)
{
	return sandbox.entered != 0;
}
