#include "preload/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/altstack.h"
#include "sampler/compiler.h"
#include "sampler/cpu.h"
#include "sampler/cpu_ctl.h"
#include "sampler/os.h"
#include "sampler/sys.h"
#include "sampler/threads.h"

#define RESTORER 0x04000000     /* SA_RESTORER: the kernel reports it in the flags */
#define VERSIONS 8

/* What the host believes is installed.  A change writes a new version and then names it, so that a
 * handler never reads half of one. */
static struct {
	_Atomic bool     shared;        /* signals_init has been */
	_Atomic unsigned written, now;
	_Atomic bool     interrupts;    /* siginterrupt: what signal() installs from now on does */
	struct sigaction version[VERSIONS];
	void (*restorer)(void);
} host;

static void set_host_action(const struct sigaction *act)
{
	unsigned i = (atomic_fetch_add(&host.written, 1) + 1) % VERSIONS;

	host.version[i] = *act;
	host.version[i].sa_flags |= RESTORER;
	host.version[i].sa_restorer = host.restorer;
	atomic_store(&host.now, i);
}

static bool is_handler(const struct sigaction *act)
{
	return act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN;
}

/* --- delivery -------------------------------------------------------------------------------- */

/* The default action ends the process: let the kernel do it, as soon as this handler returns. */
static void die_by_default(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	real.sigaction(SIGPROF, &dfl, NULL);
	sys_call3(SYS_tgkill, os_getpid(), os_gettid(), SIGPROF);
}

/* Not in the handler's frame: a tick may have little stack. */
static NOINLINE void deliver_to_host(int sig, siginfo_t *info, void *uc)
{
	struct sigaction act = host.version[atomic_load(&host.now)];

	if (act.sa_handler == SIG_IGN)
		return;
	if (act.sa_handler == SIG_DFL) {
		die_by_default();
		return;
	}
	if (act.sa_flags & SA_RESETHAND) {
		struct sigaction dfl = { .sa_handler = SIG_DFL };

		set_host_action(&dfl);
	}
	if (act.sa_flags & SA_SIGINFO)
		act.sa_sigaction(sig, info, uc);
	else
		act.sa_handler(sig);
}

static void on_sigprof(int sig, siginfo_t *info, void *uc)
{
	int host_errno;

	if (!cpu_is_tick(info)) {
		deliver_to_host(sig, info, uc);
		return;
	}
	host_errno = errno;
	cpu_tick(info, uc);
	errno = host_errno;
}

/* --- installation ---------------------------------------------------------------------------- */

/* Nobody may leave a tick half way: a handler of the host's that came in its midst could jump out
 * of it.  But what the thread itself raises ends the process if it is blocked. */
static void block_all(sigset_t *set)
{
	static const int raised[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

	sigfillset(set);
	for (size_t i = 0; i < COUNT_OF(raised); i++)
		sigdelset(set, raised[i]);
}

static int install(const struct sigaction *of_host, struct sigaction *old)
{
	struct sigaction ours = { .sa_flags = SA_RESTART | SA_ONSTACK };

	if (of_host->sa_handler == SIG_IGN)
		return real.sigaction(SIGPROF, of_host, old);
	block_all(&ours.sa_mask);
	if (is_handler(of_host)) {
		ours.sa_flags = of_host->sa_flags & ~SA_RESETHAND;
		ours.sa_mask = of_host->sa_mask;
	}
	ours.sa_flags |= SA_SIGINFO;
	ours.sa_sigaction = on_sigprof;
	return real.sigaction(SIGPROF, &ours, old);
}

int signals_init(void)
{
	struct sigaction inherited, ours;

	if (real.sigaction(SIGPROF, NULL, &inherited) < 0)
		return -errno;
	host.version[0] = inherited;
	if (install(&inherited, NULL) < 0 || real.sigaction(SIGPROF, NULL, &ours) < 0)
		return -errno;
	host.restorer = ours.sa_restorer;
	cpu_ctl_ignore(inherited.sa_handler == SIG_IGN);
	altstack_init(getauxval(AT_MINSIGSTKSZ));
	atomic_store(&host.shared, true);
	return 0;
}

/* A vfork child has handlers of its own and gets no ticks, but our memory is its parent's. */
static int install_elsewhere(const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before = host.version[atomic_load(&host.now)], kernels;

	if (real.sigaction(SIGPROF, act, &kernels) < 0)
		return -1;
	if (old != NULL)
		*old = kernels.sa_sigaction == on_sigprof ? before : kernels;
	return 0;
}

static int share(const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before = host.version[atomic_load(&host.now)], new;

	if (threads_elsewhere())
		return install_elsewhere(act, old);
	if (act != NULL) {
		new = *act;     /* old may be the same object */
		set_host_action(&new);
		if (install(&new, NULL) < 0)
			return -1;
		cpu_ctl_ignore(new.sa_handler == SIG_IGN);
	}
	if (old != NULL)
		*old = before;
	return 0;
}

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (sig != SIGPROF || !atomic_load(&host.shared))
		return real.sigaction(sig, act, old);
	return share(act, old);
}

EXPORT int __sigaction(int sig, const struct sigaction *act, struct sigaction *old);
EXPORT int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return sigaction(sig, act, old);
}

/* signal() and its relatives are sigaction() with these flags; see signal(2), sysv_signal(3). */
static real_handler share_handler(real_handler handler, int flags, bool mask_itself)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags }, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (mask_itself)
		sigaddset(&act.sa_mask, SIGPROF);
	return share(&act, &old) < 0 ? SIG_ERR : old.sa_handler;
}

#define BSD_DOOR(name)                                                      \
	EXPORT real_handler name(int sig, real_handler handler);            \
	EXPORT real_handler name(int sig, real_handler handler)             \
	{                                                                   \
		if (sig != SIGPROF || !atomic_load(&host.shared))           \
			return real.name(sig, handler);                     \
		return share_handler(handler, host.interrupts ? 0 : SA_RESTART, true); \
	}

#define SYSV_DOOR(name)                                                     \
	EXPORT real_handler name(int sig, real_handler handler);            \
	EXPORT real_handler name(int sig, real_handler handler)             \
	{                                                                   \
		if (sig != SIGPROF || !atomic_load(&host.shared))           \
			return real.name(sig, handler);                     \
		return share_handler(handler, SA_RESETHAND | SA_NODEFER, false); \
	}

BSD_DOOR(signal)
BSD_DOOR(bsd_signal)
BSD_DOOR(ssignal)
SYSV_DOOR(sysv_signal)
SYSV_DOOR(__sysv_signal)

/* --- X/Open's and BSD's: libc's own would read and change what is ours ------------------------ */

EXPORT int sigignore(int sig)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (sig != SIGPROF || !atomic_load(&host.shared))
		return real.sigignore(sig);
	return share(&ignore, NULL);
}

EXPORT int siginterrupt(int sig, int interrupt)
{
	struct sigaction act;

	if (sig == SIGPROF)
		host.interrupts = interrupt != 0;
	if (sig != SIGPROF || !atomic_load(&host.shared))
		return real.siginterrupt(sig, interrupt);
	if (share(NULL, &act) < 0)
		return -1;
	act.sa_flags = interrupt ? act.sa_flags & ~SA_RESTART : act.sa_flags | SA_RESTART;
	return share(&act, NULL);
}

/* A handler and a signal let in; or, for SIG_HOLD, the signal blocked.  SIG_HOLD is also the answer
 * if it was blocked before. */
static real_handler share_and_mask(real_handler handler)
{
	struct sigaction act = { .sa_handler = handler }, old;
	bool hold = handler == SIG_HOLD;
	sigset_t set, before;

	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	if (share(hold ? NULL : &act, &old) < 0)
		return SIG_ERR;
	if (hold)
		cpu_ctl_hold(CPU_HOLD_MASK);
	if (real.sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, &before) < 0)
		return SIG_ERR;
	if (!hold)
		cpu_ctl_release(CPU_HOLD_MASK);
	return sigismember(&before, SIGPROF) == 1 ? SIG_HOLD : old.sa_handler;
}

EXPORT real_handler sigset(int sig, real_handler handler)
{
	if (sig != SIGPROF || !atomic_load(&host.shared))
		return real.sigset(sig, handler);
	return share_and_mask(handler);
}
