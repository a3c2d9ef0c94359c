#include "sampler/compiler.h"
#include "sampler/os.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sampler/clock.h"
#include "sampler/count.h"
#include "sampler/sys.h"

/* Where huge pages are always on, the first touch of a table would take 2 MiB; and of a length that
 * is a multiple of theirs, the kernel leaves a gap beside it, so that it becomes a mapping of its
 * own, which every fork pays for (linux, mm/mmap.c, thp_get_unmapped_area). */
#define HUGE_PAGE (2u << 20)
#define PAGE      4096

static size_t mapped_size(size_t bytes)
{
	return bytes != 0 && bytes % HUGE_PAGE == 0 ? bytes + PAGE : bytes;
}

static size_t pages_of(size_t bytes)
{
	return (mapped_size(bytes) + PAGE - 1) / PAGE * PAGE;
}

static _Atomic uint64_t mapped_bytes;

uint64_t os_mapped_bytes(void)
{
	return mapped_bytes;
}

static void *map(size_t bytes)
{
	size_t size = mapped_size(bytes);
	long p = sys_call6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p < 0 && p > -4096)
		return NULL;
	mapped_bytes += pages_of(bytes);
	sys_call3(SYS_madvise, p, size, MADV_NOHUGEPAGE);
	/* A debugger's core dump reads what nobody has touched, too. */
	sys_call3(SYS_madvise, p, size, MADV_DONTDUMP);
	return (void *)p;
}

void *os_map(size_t bytes)
{
	void *p = map(bytes);

	if (p == NULL)
		count_add(COUNT_MAP_REFUSED);
	return p;
}

static struct { char *all, *at; size_t bytes, left; } reserve;

static void *map_wiped(size_t bytes)
{
	void *p = map(bytes);

	if (p != NULL)
		sys_call3(SYS_madvise, p, mapped_size(bytes), MADV_WIPEONFORK);
	return p;
}

void os_reserve_wiped(size_t bytes)
{
	reserve.all = reserve.at = map_wiped(bytes);
	reserve.bytes = reserve.left = reserve.at != NULL ? bytes : 0;
	if (reserve.at == NULL)
		count_add(COUNT_MAP_REFUSED);
}

void *os_reserved(size_t *bytes)
{
	*bytes = reserve.bytes;
	return reserve.all;
}

size_t os_resident(void *p, size_t bytes)
{
	unsigned char in[OS_RESIDENT_MAX / PAGE];
	size_t n = 0;

	if (bytes > OS_RESIDENT_MAX)
		bytes = OS_RESIDENT_MAX;
	if (sys_call3(SYS_mincore, p, bytes, in) < 0)
		return 0;
	for (size_t i = 0; i < (bytes + PAGE - 1) / PAGE; i++)
		n += in[i] & 1;
	return n * PAGE;
}

void *os_map_wiped(size_t bytes)
{
	size_t size = pages_of(bytes);
	char *p = reserve.at;

	if (size <= reserve.left) {
		reserve.at += size;
		reserve.left -= size;
		return p;
	}
	p = map_wiped(bytes);
	if (p == NULL)
		count_add(COUNT_MAP_REFUSED);
	return p;
}

void os_unmap(void *p, size_t bytes)
{
	mapped_bytes -= pages_of(bytes);
	sys_call2(SYS_munmap, p, mapped_size(bytes));
}

void *os_grow(void *p, size_t bytes, size_t to)
{
	long grown = sys_call4(SYS_mremap, p, pages_of(bytes), pages_of(to), MREMAP_MAYMOVE);

	if (grown < 0 && grown > -4096) {
		count_add(COUNT_MAP_REFUSED);
		return NULL;
	}
	mapped_bytes += pages_of(to) - pages_of(bytes);
	return (void *)grown;
}

void os_trim(void *p, size_t bytes, size_t keep)
{
	if (pages_of(keep) == pages_of(bytes))
		return;
	mapped_bytes -= pages_of(bytes) - pages_of(keep);
	sys_call2(SYS_munmap, (char *)p + pages_of(keep), pages_of(bytes) - pages_of(keep));
}

void os_clear(void *p, size_t bytes)
{
	/* Refused for memory that the host has locked (mlockall). */
	if (sys_call3(SYS_madvise, p, bytes, MADV_DONTNEED) < 0)
		memset(p, 0, bytes);
}

void os_guard(void *p, size_t bytes)
{
	sys_call3(SYS_mprotect, p, bytes, PROT_NONE);
}

/* --- files ----------------------------------------------------------------------------------- */

static int open_high_at(int dir, const char *path, int flags)
{
	long fd = sys_call4(SYS_openat, dir, path,
			    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags, 0);

	return fd < 0 ? (int)fd : os_high_fd((int)fd);
}

static int open_high(const char *path, int flags)
{
	return open_high_at(AT_FDCWD, path, flags);
}

int os_open_at(int dir, const char *path)
{
	return open_high_at(dir, path, 0);
}

int os_open_read(const char *path)
{
	return open_high(path, 0);
}

int os_open_no_link(const char *path)
{
	return open_high(path, O_NOFOLLOW);
}

int os_open_dir(const char *path)
{
	return open_high(path, O_DIRECTORY);
}

long os_read(int fd, void *buf, size_t n)
{
	return sys_call3(SYS_read, fd, buf, n);
}

long os_pread(int fd, void *buf, size_t n, uint64_t offset)
{
	return sys_call4(SYS_pread64, fd, buf, n, offset);
}

int os_fstat(int fd, struct stat *st)
{
	return (int)sys_call2(SYS_fstat, fd, st);
}

int os_stat(const char *path, struct stat *st)
{
	return (int)sys_call4(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

int os_stat_no_link(const char *path, struct stat *st)
{
	return (int)sys_call4(SYS_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

long os_list(int fd, void *entries, size_t n)
{
	return sys_call3(SYS_getdents64, fd, entries, n);
}

/* --- sockets --------------------------------------------------------------------------------- */

int os_socket(int family)
{
	long fd = sys_call3(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? (int)fd : os_high_fd((int)fd);
}

int os_bind(int fd, const void *address, size_t len)
{
	int on = 1;

	/* As every server: a port whose last connections are still ending can be taken. */
	sys_call6(SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, SYS_ARG(&on), sizeof(on), 0);
	/* A unix socket's file gets the mode of its descriptor (unix(7)): the owner's alone. */
	sys_call2(SYS_fchmod, fd, 0600);
	return (int)sys_call3(SYS_bind, fd, address, len);
}

/* What a connection has from the socket that it came to, as in Go: a client that is gone without a
 * word is found out (after 15 s, by 9 questions 15 s apart), and the end of an answer waits for
 * nobody's acknowledgement. */
static void make_lively(int fd)
{
	int on = 1, seconds = 15;

	sys_call6(SYS_setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, SYS_ARG(&on), sizeof(on), 0);
	sys_call6(SYS_setsockopt, fd, IPPROTO_TCP, TCP_KEEPIDLE, SYS_ARG(&seconds),
		  sizeof(seconds), 0);
	sys_call6(SYS_setsockopt, fd, IPPROTO_TCP, TCP_KEEPINTVL, SYS_ARG(&seconds),
		  sizeof(seconds), 0);
	sys_call6(SYS_setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, SYS_ARG(&on), sizeof(on), 0);
}

int os_listen(int fd, int backlog)
{
	make_lively(fd);
	return (int)sys_call2(SYS_listen, fd, backlog);
}

int os_accept(int fd)
{
	long client = sys_call4(SYS_accept4, fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return client < 0 ? (int)client : os_high_fd((int)client);
}

int os_connect(int fd, const void *address, size_t len)
{
	return (int)sys_call3(SYS_connect, fd, address, len);
}

int os_local_address(int fd, void *address, size_t *len)
{
	socklen_t n = (socklen_t)*len;
	long err = sys_call3(SYS_getsockname, fd, address, &n);

	*len = n;
	return (int)err;
}

long os_send(int fd, const void *buf, size_t n)
{
	return sys_call6(SYS_sendto, fd, SYS_ARG(buf), SYS_ARG(n), MSG_NOSIGNAL, 0, 0);
}

int os_poll(struct pollfd *fds, size_t n, uint64_t timeout_ns)
{
	struct timespec t = { (time_t)(timeout_ns / 1000000000u),
			      (long)(timeout_ns % 1000000000u) };

	return (int)sys_call6(SYS_ppoll, SYS_ARG(fds), SYS_ARG(n), SYS_ARG(&t), 0, 0, 0);
}

int os_sleep(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	long err = sys_call2(SYS_nanosleep, &t, NULL);

	return err == -EINTR ? 0 : (int)err;
}

void os_cut(int fd)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	sys_call6(SYS_setsockopt, fd, SOL_SOCKET, SO_LINGER, SYS_ARG(&at_once), sizeof(at_once), 0);
}

bool os_thread_is_gone(int tid)
{
	return sys_call2(SYS_tkill, tid, 0) == -ESRCH;
}

/* --- the bell -------------------------------------------------------------------------------- */

#define BELL SIGURG     /* ignored by default, and never left pending at an exec for its program */

#define SETXID 33       /* glibc's __SIGRTMIN + 1, sysdeps/unix/sysv/linux/internal-signals.h */

int os_open_bell(void)
{
	uint64_t set = UINT64_C(1) << (BELL - 1) | UINT64_C(1) << (SETXID - 1);

	if (!os_has_own_files())
		return -EPERM;
	return (int)sys_call4(SYS_signalfd4, -1, &set, sizeof(set), SFD_CLOEXEC | SFD_NONBLOCK);
}

void os_ring_bell(int tid)
{
	if (os_has_own_files())
		sys_call3(SYS_tgkill, os_getpid(), tid, BELL);
}

bool os_still_bell(int fd)
{
	struct signalfd_siginfo info;
	bool setxid = false;

	while (os_read(fd, &info, sizeof(info)) == (long)sizeof(info))
		setxid |= info.ssi_signo == SETXID;
	return setxid;
}

/* --- clocks and timers ----------------------------------------------------------------------- */

int os_gettid(void)
{
	return (int)sys_call0(SYS_gettid);
}

int os_getpid(void)
{
	return (int)sys_call0(SYS_getpid);
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec t = { 0, 0 };

	clock_read(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

HOT uint64_t os_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

HOT uint64_t os_coarse_ns(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
}

uint64_t os_coarse_step_ns(void)
{
	struct timespec t = { 0, 10000000 };    /* of the slowest kernel (CONFIG_HZ_100) */

	sys_call2(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_nsec;
}

uint64_t os_realtime_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

/* The clock id of a thread's CPU time: ~tid << 3, plus CPUCLOCK_PERTHREAD (4) and CPUCLOCK_SCHED
 * (2); linux, include/linux/posix-timers_types.h. */
static clockid_t thread_clock(int tid)
{
	return (clockid_t)((~(unsigned)tid << 3) | 6u);
}

uint64_t os_thread_cpu_ns(int tid)
{
	struct timespec t;

	if (sys_call2(SYS_clock_gettime, thread_clock(tid), &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* As linux' struct sigevent, whose thread id libc's header hides. */
struct timer_event {
	const void *value;
	int         signal, notify, tid;
	int         unused[11];
};

int os_timer_create(int tid, const void *cookie)
{
	struct timer_event event;
	int timer = 0;
	long err;

	memset(&event, 0, sizeof(event));
	event.value = cookie;
	event.signal = SIGPROF;
	event.notify = tid != 0 ? SIGEV_THREAD_ID : SIGEV_SIGNAL;
	event.tid = tid;
	err = sys_call3(SYS_timer_create,
			tid != 0 ? thread_clock(tid) : CLOCK_PROCESS_CPUTIME_ID, &event, &timer);
	return err < 0 ? (int)err : timer;
}

int os_timer_set(int timer, uint64_t first_ns, uint64_t interval_ns)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(first_ns / 1000000000u), (long)(first_ns % 1000000000u) },
		.it_interval = { (time_t)(interval_ns / 1000000000u),
				 (long)(interval_ns % 1000000000u) },
	};

	return (int)sys_call4(SYS_timer_settime, timer, 0, &spec, NULL);
}

void os_timer_delete(int timer)
{
	sys_call1(SYS_timer_delete, timer);
}

long os_peek(void *to, uintptr_t from, size_t n)
{
	struct iovec local = { to, n };
	struct iovec remote = { (void *)from, n };

	/* By thread id: the process's id names its leader, which may have left (what-breaks.md
	 * C5). */
	return sys_call6(SYS_process_vm_readv, os_gettid(), SYS_ARG(&local), 1, SYS_ARG(&remote), 1,
			 0);
}

int os_readable(uintptr_t p)
{
	/* The kernel copies the set before it looks at `how`, which is invalid: EFAULT says
	 * unreadable, EINVAL readable, and nothing changes (gperftools' address check). */
	return p != 0 && sys_call4(SYS_rt_sigprocmask, -1, p, NULL, sizeof(uint64_t)) != -EFAULT;
}
