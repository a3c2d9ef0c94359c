/* test/fake/sys_failing.c -- stands in for sampler/sys_<arch>.c in a second library, made of the same
 * objects: the kernel, which says no when the environment wants it to, and counts.
 *
 *   SHIM_FAIL      NR:N:ERRNO:HOW[,...]: the Nth call of the number NR (-1: of any) is not made and
 *                  fails with ERRNO (0: one that such a call fails with), and with HOW 1 all after it.
 *   SHIM_RECORD    a file of at least sizeof(struct record), where the counts are kept: over all
 *                  processes that have the same, so the Nth call is that of a tree of processes.
 *   SHIM_HIDE_TLS  ld.so's _dl_allocate_tls is not to be found.
 *
 * Beside sys_call6 it has what leads to the kernel or to ld.so on another way: clone and dlsym, by
 * the linker's --wrap.  The vDSO's clocks cannot fail. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler/sys.h"
#include "test/fake/sys_kernel.h"

#define NUMBERS   512
#define RULES_MAX 8

/* test/e2e/failing.py reads it. */
struct record {
	_Atomic uint32_t calls, failed, last_failed; /* the last one's number */
	_Atomic uint32_t of[NUMBERS], failed_of[NUMBERS];
};

static struct record own;
static struct {
	_Atomic int     state;          /* 0: the environment was not looked at, 1: just now, 2: done */
	struct record  *_Atomic record;
	struct rule { long nr, n, error; bool sticky; } rule[RULES_MAX];
	unsigned        rules;
} failing = { .record = &own };

/* --- what the environment wants --------------------------------------------------------------- */

static const char *variable(const char *name_and_equals)
{
	size_t n = strlen(name_and_equals);

	for (char *const *e = environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, name_and_equals, n) == 0)
			return *e + n;
	return NULL;
}

static long take_number(const char **at)
{
	bool minus = **at == '-';
	long n = 0;

	for (*at += minus; **at >= '0' && **at <= '9'; (*at)++)
		n = n * 10 + (**at - '0');
	if (**at == ':' || **at == ',')
		(*at)++;
	return minus ? -n : n;
}

static void read_rules(const char *text)
{
	while (text != NULL && *text != '\0' && failing.rules < RULES_MAX) {
		struct rule *r = &failing.rule[failing.rules++];

		r->nr = take_number(&text);
		r->n = take_number(&text);
		r->error = take_number(&text);
		r->sticky = take_number(&text) != 0;
	}
}

static void share_record(const char *path)
{
	long fd = path != NULL ? sys_kernel(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0)
			       : -1;
	long p;

	if (fd < 0)
		return;
	p = sys_kernel(SYS_mmap, 0, sizeof(struct record), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p > 0 || p < -4095)
		failing.record = (struct record *)p;
	sys_kernel(SYS_close, fd, 0, 0, 0, 0, 0);
}

static void begin(void)
{
	int none = 0;

	if (environ == NULL || !atomic_compare_exchange_strong(&failing.state, &none, 1))
		return;
	share_record(variable("SHIM_RECORD="));
	read_rules(variable("SHIM_FAIL="));
	failing.state = 2;
}

/* --- what fails ------------------------------------------------------------------------------- */

/* What no kernel refuses when it is asked as we ask. */
static bool cannot_fail(long nr, long a)
{
	return nr == SYS_gettid || nr == SYS_getpid || nr == SYS_exit || nr == SYS_exit_group ||
	       (nr == SYS_rt_sigprocmask && a >= 0);
}

static long usual_error(long nr)
{
	switch (nr) {
	case SYS_mmap:
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_ppoll:
		return ENOMEM;
	case SYS_clone:
	case SYS_timer_create:
	case SYS_write:
		return EAGAIN;
	case SYS_close: /* the number is free all the same */
		return EINTR;
	case SYS_openat:
	case SYS_socket:
	case SYS_accept4:
	case SYS_fcntl:
	case SYS_signalfd4:
	case SYS_pidfd_open:
	case SYS_pidfd_getfd:
		return EMFILE;
	case SYS_read:
	case SYS_pread64:
	case SYS_getdents64:
		return EIO;
	default:
		return EPERM;
	}
}

/* 0, or the error. */
static long verdict(long nr, long a)
{
	struct record *record;
	uint32_t any, same;
	long error = 0;

	if (failing.state == 0)
		begin();
	record = failing.record;
	if (cannot_fail(nr, a) || nr < 0 || nr >= NUMBERS)
		return 0;
	any = atomic_fetch_add(&record->calls, 1) + 1;
	same = atomic_fetch_add(&record->of[nr], 1) + 1;
	for (unsigned i = 0; i < failing.rules && failing.state == 2; i++) {
		const struct rule *r = &failing.rule[i];
		long n = r->nr < 0 ? any : same;

		if ((r->nr < 0 || r->nr == nr) && (n == r->n || (r->sticky && n > r->n)))
			error = r->error != 0 ? r->error : usual_error(nr);
	}
	if (error != 0) {
		record->failed++;
		record->failed_of[nr]++;
		record->last_failed = (uint32_t)nr;
	}
	return error;
}

long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
{
	long error = verdict(nr, a);

	if (error == 0 || nr == SYS_close) {
		long result = sys_kernel(nr, a, b, c, d, e, f);

		return error != 0 ? -error : result;
	}
	return -error;
}

/* --- beside it -------------------------------------------------------------------------------- */

int __real_clone(int (*run)(void *), void *stack, int flags, void *arg, ...);
int __wrap_clone(int (*run)(void *), void *stack, int flags, void *arg, ...);

int __wrap_clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
	long error = verdict(SYS_clone, flags);
	void *parent_tid, *tls, *child_tid;
	va_list more;

	if (error != 0) {
		errno = (int)error;
		return -1;
	}
	va_start(more, arg);
	parent_tid = va_arg(more, void *);
	tls = va_arg(more, void *);
	child_tid = va_arg(more, void *);
	va_end(more);
	return __real_clone(run, stack, flags, arg, parent_tid, tls, child_tid);
}

void *__real_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name);

/* RTLD_NEXT goes by who calls, which is this same library. */
void *__wrap_dlsym(void *handle, const char *name)
{
	if (strcmp(name, "_dl_allocate_tls") == 0 && variable("SHIM_HIDE_TLS=") != NULL)
		return NULL;
	return __real_dlsym(handle, name);
}
