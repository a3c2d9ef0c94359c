#include "httpd/desk.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#include "encode/libcalls.h"
#include "httpd/address.h"
#include "httpd/birth.h"
#include "httpd/ending.h"
#include "httpd/identity.h"
#include "httpd/last.h"
#include "httpd/names.h"
#include "httpd/ports.h"
#include "httpd/registry.h"
#include "httpd/server.h"
#include "httpd/window.h"
#include "sampler/cpu.h"
#include "sampler/log.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/sys.h"
#include "sampler/threads.h"

/* The poll loop and the parsers; jobs have stacks of their own. */
#define STACK_BYTES (128u << 10)
#define GUARD_BYTES 4096

/* Of 30 us and more, in desk_hold_off. */
#define LEAVE_TURNS 1000

static struct {
	struct desk_options   options;
	const char           *addr;     /* the one of the two in options that can be parsed */
	char                 *stack;
	void                 *tls;      /* NULL: by create_thread */
	uint64_t              host_mask; /* of signals, on the thread that made a pthread */
	struct server_options server;
	struct identity       identity; /* its own */
	_Atomic int           tid;      /* 0: it does not run */
	_Atomic int           last_tid; /* the same, until it is known that the kernel has let go */
	_Atomic int           pid;      /* of the process that all this is about */
	char                 *here;     /* 0 in a fork child, until desk_after_fork */
	_Atomic unsigned      holders;  /* who holds it off */
	_Atomic bool          starting;
	_Atomic int           parted;   /* 1: it has let go of the host's descriptors; a futex */
	_Atomic unsigned      asked;    /* how often it was to be started */
} desk;

/* Whatever goes wrong in code of ours ends this thread, never the process. */
static void end_thread(void)
{
	for (;;)
		sys_call1(SYS_exit, 1);
}

static bool start_again(void);

static int run(void *unused)
{
	const char *addr = desk.addr;
	int status = 0;

	(void)unused;
	memset(&self, 0, sizeof(self));
	self.phase = SELF_DESK;
	birth_renounce(desk.tls == NULL);
	desk.parted = 1;
	sys_call3(SYS_futex, &desk.parted, FUTEX_WAKE_PRIVATE, 1);
	/* Again in each process: %p is its own. */
	if (address_parse(addr, strlen(addr), os_getpid(), &desk.server.listen) > 0) {
		policy_keep(&desk.server.listen, &desk.server.view.guard, false);
		status = server_run(&desk.server);
	}
	if (server_was_called_off())
		cpu_at_next_tick(start_again);
	return status;
}

static void *run_pthread(void *unused)
{
	int status;

	desk.last_tid = os_gettid();
	desk.tid = desk.last_tid;
	run(unused);
	/* The host's exit handlers come now, on this thread. */
	if (last_is_alone(&status))
		sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &desk.host_mask, NULL,
			  sizeof(desk.host_mask));
	desk.tid = 0;
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
	/* 0: off.  Where no address may be opened the name by which we are found is. */
	desk.server.listen.count = list.count;
	policy_keep(&list, &desk.server.view.guard, true);
	return n >= 0;
}

static void be_born(void)
{
	desk.pid = os_getpid();
	desk.server.view.born_s = (int64_t)(os_realtime_ns() / 1000000000u);
}

int desk_init(const struct desk_options *options)
{
	desk.options = *options;
	desk.server.view.ground = options->ground;
	desk.server.view.names = options->names;
	desk.server.view.option = options->option;
	desk.server.view.options = options->options;
	desk.server.ports = options->ports;
	desk.server.view.cmdline = options->cmdline;
	policy_make(&desk.server.view.guard, &options->policy);
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
	desk.server.is_pthread = desk.tls == NULL;
	libcalls_end_thread = end_thread;
	registry_init(options->registry);
	be_born();
	desk.here = os_map_wiped(sizeof(*desk.here));
	if (desk.here == NULL)
		return -ENOMEM;
	*desk.here = 1;
	return 0;
}

bool desk_starts_anywhere(void)
{
	return desk.tls != NULL;
}

static int create_pthread(uint64_t host_mask)
{
	/* A pthread must leave libc's own signals 32 and 33 open (what-breaks.md C3). */
	uint64_t mask = ~UINT64_C(0) & ~(UINT64_C(3) << 31);
	int err;

	desk.tid = -1;          /* not known yet, but on its way */
	desk.host_mask = host_mask;
	sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	err = desk.options.create_thread(run_pthread);
	if (err < 0)
		desk.tid = 0;
	return err;
}

static int create(uint64_t host_mask)
{
	int tid;

	server_stay();
	identity_get(&desk.identity);
	if (desk.tls == NULL)
		return create_pthread(host_mask);
	birth_prepare_tls(desk.tls);
	tid = birth_thread(run, NULL, desk.stack, STACK_BYTES, desk.tls, &desk.tid);
	if (tid < 0)
		return tid;
	desk.last_tid = tid;
	return 0;
}

/* True if the kernel has no thread of ours any more: that is a little later than desk.tid says. */
static bool is_gone(void)
{
	int tid = desk.last_tid;

	if (desk.tid != 0)
		return false;
	if (tid != 0 && sys_call3(SYS_tgkill, desk.pid, tid, 0) != -ESRCH)
		return false;
	desk.last_tid = 0;
	return true;
}

/* This process, and not a child that came by a road of its own: its process id may be the same, in
 * another namespace. */
static bool is_here(void)
{
	return desk.here != NULL && *desk.here != 0 && desk.pid == os_getpid();
}

int desk_start(void)
{
	uint64_t all = ~UINT64_C(0), before;
	bool no = false;
	unsigned asked;
	int err = 0;

	/* A handler of the host's in here could wait for what this thread is about to do.  By the
	 * raw call: libc's would leave its own signals open, which are for threads that it knows;
	 * ours inherits the mask. */
	sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
	desk.asked++;
	do {
		asked = desk.asked;
		if (!atomic_compare_exchange_strong(&desk.starting, &no, true))
			break;          /* who is at it sees that we asked */
		/* Who holds it off looks at starting after it has become a holder. */
		if (desk.holders == 0 && is_gone())
			err = create(before);
		desk.starting = false;
	} while (asked != desk.asked);
	sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	return err;
}

void desk_wait_until_parted(void)
{
	uint64_t now = os_monotonic_ns(), end = now + DESK_PART_NS;

	for (; desk.tls != NULL && desk.parted == 0 && now < end; now = os_monotonic_ns()) {
		struct timespec left = { .tv_nsec = (long)(end - now) };

		sys_call4(SYS_futex, &desk.parted, FUTEX_WAIT_PRIVATE, 0, &left);
	}
}

/* At a tick of any thread, when the one before has ended at last. */
static bool start_again(void)
{
	if (!is_gone())
		cpu_at_next_tick(start_again);
	else
		(void)desk_start();
	return false;
}

static void pause_for(long ns)
{
	struct timespec t = { .tv_sec = 0, .tv_nsec = ns };

	sys_call2(SYS_nanosleep, &t, NULL);
}

void desk_hold_off(void)
{
	uint64_t end;

	threads_settle();
	if (threads_sealed()) {
		desk.holders++;         /* there is none, and no system call may be ours */
		return;
	}
	if (!is_here())
		return;
	desk.holders++;
	end = os_monotonic_ns() + DESK_LEAVE_NS;
	/* By turns, too: when the whole machine stood still, our thread has not had its time
	 * yet. */
	for (unsigned turns = 0; desk.starting || !is_gone(); turns++) {
		if (turns > LEAVE_TURNS && os_monotonic_ns() > end) {
			log_line(LOG_ERROR, "our thread does not end: the host is not alone, or "
				 "has an observer with its former rights", NULL);
			return;
		}
		server_leave(desk.tid);
		pause_for(30000);
	}
}

void desk_let_back(void)
{
	if (threads_sealed()) {
		desk.holders--;
		return;
	}
	if (!is_here() || --desk.holders > 0)
		return;
	if (!is_gone())
		cpu_at_next_tick(start_again);
	else if (desk_start() < 0)
		log_line(LOG_INFO, "no thread: profiles are recorded, but not served", NULL);
}

void desk_follow(void)
{
	if (is_gone() || !is_here())
		return;
	/* A pthread has kept its rights (birth.h): it is always made again. */
	if (desk.tls != NULL && !identity_gave_up(&desk.identity))
		return;
	desk_hold_off();
	desk_let_back();
}

bool desk_is_idle(void)
{
	return server_is_idle();
}

bool desk_holds_port(unsigned port)
{
	return ports_hold(port) && is_here();
}

bool desk_asks_for_port(unsigned port)
{
	int tid;

	threads_settle();
	if (!is_here())
		return false;
	if (desk.tid == 0)
		(void)desk_start();     /* a fork child's, before its time */
	tid = desk.tid;
	return tid > 0 && server_asks_for(port, tid);
}

void desk_give_port(unsigned port)
{
	ports_give(port);
}

void desk_end(void)
{
	if (threads_sealed() || !is_here())
		return;
	ending_wait();
	ports_end();
	registry_end();
}

void desk_stay_away(void)
{
	desk.holders++;
}

void desk_after_fork(void)
{
	if (desk.here == NULL)
		return;
	*desk.here = 1;
	be_born();
	desk.tid = desk.last_tid = 0;
	desk.holders = 0;
	desk.starting = false;
	os_after_fork();
	server_after_fork();
	ending_after_fork();
	registry_after_fork();
	window_after_fork();
	names_reset();
}
