#include "preload/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/cpu.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define RESTORER 0x04000000     /* SA_RESTORER: the kernel reports it in the flags */
#define VERSIONS 8

/* What the host believes is installed.  A change writes a new version and then names it, so that a
 * handler never reads half of one. */
static struct {
	_Atomic bool     shared;        /* signals_init has been */
	_Atomic unsigned written, now;
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

static void deliver_to_host(int sig, siginfo_t *info, void *uc)
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
	int host_errno = errno;

	if (!cpu_is_tick(info)) {
		deliver_to_host(sig, info, uc);
		return;
	}
	cpu_tick(info, uc);
	errno = host_errno;
}

/* --- installation ---------------------------------------------------------------------------- */

static int install(const struct sigaction *of_host, struct sigaction *old)
{
	struct sigaction ours = { .sa_flags = SA_RESTART | SA_ONSTACK };

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
	atomic_store(&host.shared, true);
	return 0;
}

static int share(const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before = host.version[atomic_load(&host.now)], new;

	if (act != NULL) {
		new = *act;     /* old may be the same object */
		set_host_action(&new);
		if (install(&new, NULL) < 0)
			return -1;
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
		return share_handler(handler, SA_RESTART, true);            \
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
