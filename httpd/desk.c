#include "httpd/desk.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "encode/libcalls.h"
#include "httpd/address.h"
#include "httpd/birth.h"
#include "httpd/names.h"
#include "httpd/server.h"
#include "sampler/log.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/sys.h"

/* The poll loop and the parsers; jobs have stacks of their own. */
#define STACK_BYTES (128u << 10)
#define GUARD_BYTES 4096

static struct {
	struct desk_options   options;
	const char           *addr;     /* the one of the two in options that can be parsed */
	char                 *stack;
	void                 *tls;      /* NULL: by create_thread */
	struct server_options server;
} desk;

/* Whatever goes wrong in code of ours ends this thread, never the process. */
static void end_thread(void)
{
	for (;;)
		sys_call1(SYS_exit, 1);
}

static int run(void *unused)
{
	const char *addr = desk.addr;

	(void)unused;
	memset(&self, 0, sizeof(self));
	self.phase = SELF_DESK;
	birth_renounce();
	/* Again in each process: %p is its own. */
	if (address_parse(addr, strlen(addr), os_getpid(), &desk.server.listen) > 0)
		server_run(&desk.server);
	return 0;
}

static void *run_pthread(void *unused)
{
	run(unused);
	return NULL;
}

/* True if text is an address that we may use; else the log says why not. */
static bool allows_address(const char *text)
{
	struct address_list list;
	int n = address_parse(text, strlen(text), os_getpid(), &list);

	if (n < 0)
		log_line(LOG_ERROR, "PPROFSHIM_ADDR=", text, ": ", list.error,
			 "; allowed: host:port, :port, unix:/path, off; using ",
			 desk.options.default_addr, NULL);
	for (int i = 0; i < n; i++)
		if (!list.address[i].loopback && !desk.options.insecure) {
			log_line(LOG_ERROR, "PPROFSHIM_ADDR=", text,
				 ": other machines could reach it; allowed with "
				 "PPROFSHIM_INSECURE=1; using ",
				 desk.options.default_addr, NULL);
			return false;
		}
	desk.server.listen.count = n > 0 ? (size_t)n : 0;
	return n >= 0;
}

int desk_init(const struct desk_options *options)
{
	desk.options = *options;
	desk.server.view.ground = options->ground;
	desk.server.view.names = options->names;
	desk.server.port_tries = options->port_tries;
	desk.addr = options->addr;
	if (!allows_address(desk.addr)) {
		desk.addr = options->default_addr;
		if (!allows_address(desk.addr))
			return -EINVAL;
	}
	if (desk.server.listen.count == 0)
		return -EINVAL;
	desk.stack = os_map(STACK_BYTES);
	if (desk.stack == NULL)
		return -ENOMEM;
	os_guard(desk.stack, GUARD_BYTES);
	if (options->allocate_tls != NULL)
		desk.tls = options->allocate_tls(NULL);
	libcalls_end_thread = end_thread;
	return 0;
}

bool desk_starts_anywhere(void)
{
	return desk.tls != NULL;
}

int desk_start(void)
{
	uint64_t all = ~UINT64_C(0) & ~(UINT64_C(3) << 31), before;
	int err;

	if (desk.tls != NULL) {
		birth_prepare_tls(desk.tls);
		return birth_thread(run, NULL, desk.stack, STACK_BYTES, desk.tls);
	}
	/* A pthread must leave libc's own signals 32 and 33 open (what-breaks.md C3). */
	sys_call4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &before, sizeof(all));
	err = desk.options.create_thread(run_pthread);
	sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	return err;
}

void desk_after_fork(void)
{
	os_after_fork();
	server_after_fork();
	names_reset();
}
