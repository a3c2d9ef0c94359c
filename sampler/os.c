#include "sampler/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sampler/count.h"
#include "sampler/sys.h"

void *os_map(size_t bytes)
{
	long p = sys_call6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p < 0 && p > -4096) {
		count_add(COUNT_MAP_REFUSED);
		return NULL;
	}
	return (void *)p;
}

void os_unmap(void *p, size_t bytes)
{
	sys_call2(SYS_munmap, p, bytes);
}

void os_guard(void *p, size_t bytes)
{
	sys_call3(SYS_mprotect, p, bytes, PROT_NONE);
}

/* --- descriptors ----------------------------------------------------------------------------- */

static struct file {
	_Atomic int used;
	int         fd;
	dev_t       dev;
	ino_t       ino;
} files[OS_FILES_MAX];

static struct file *find_file(int fd)
{
	for (unsigned i = 0; i < OS_FILES_MAX; i++)
		if (files[i].used && files[i].fd == fd)
			return &files[i];
	return NULL;
}

static int remember(int fd)
{
	struct file *before = find_file(fd);
	struct stat st;

	/* The host closed that one, or the kernel could not give us its number again. */
	if (before != NULL)
		before->used = 0;
	if (os_fstat(fd, &st) < 0)
		memset(&st, 0, sizeof(st));
	for (unsigned i = 0; i < OS_FILES_MAX; i++) {
		struct file *f = &files[i];

		if (f->used)
			continue;
		f->fd = fd;
		f->dev = st.st_dev;
		f->ino = st.st_ino;
		f->used = 1;
		return fd;
	}
	sys_call1(SYS_close, fd);
	return -EMFILE;
}

int os_high_fd(int fd)
{
	long high = sys_call3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OS_FD_MIN);

	/* The host's limit is lower, or all from there on is taken: as high as there is room. */
	for (int from = OS_FD_MIN / 2; from > 2 && (high == -EINVAL || high == -EMFILE); from /= 2)
		high = sys_call3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from);
	sys_call1(SYS_close, fd);
	return high < 0 ? (int)high : remember((int)high);
}

static int is_file(const struct file *f)
{
	struct stat st;

	return f != NULL && os_fstat(f->fd, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino;
}

int os_is_ours(int fd)
{
	return is_file(find_file(fd));
}

void os_close(int fd)
{
	struct file *f = find_file(fd);

	if (f == NULL)
		return;
	if (is_file(f))
		sys_call1(SYS_close, fd);
	f->used = 0;
}

static _Atomic int own_table;

void os_has_own_table(void)
{
	own_table = 1;
}

void os_after_fork(void)
{
	for (unsigned i = 0; i < OS_FILES_MAX; i++) {
		if (files[i].used && !own_table)
			os_close(files[i].fd);
		files[i].used = 0;
	}
}

static int open_high(const char *path, int flags)
{
	long fd = sys_call4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags, 0);

	return fd < 0 ? (int)fd : os_high_fd((int)fd);
}

int os_open_read(const char *path)
{
	return open_high(path, 0);
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

int os_listen(int fd, int backlog)
{
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

	/* The vDSO's, through libc: no lock, no errno on success. */
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t os_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
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
	event.notify = SIGEV_THREAD_ID;
	event.tid = tid;
	err = sys_call3(SYS_timer_create, thread_clock(tid), &event, &timer);
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
