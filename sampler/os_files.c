/* Which descriptors are ours.
 *
 * As a rule our thread has a table of descriptors to itself, and nothing of this is needed.  In the
 * constructor, and where the kernel refuses such a table, ours are among the host's: they are moved
 * out of its way, and each is known by the identity of its file, because a host may close any
 * number and put a file of its own there. */
#include "sampler/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "sampler/sys.h"

/* Where there is no close_range, numbers up to here are closed. */
#define OLD_FILES_MAX 65536

static _Atomic bool own_table;

/* Those of ours that are among the host's. */
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
	int err = os_fstat(fd, &st);

	/* The host closed that one, or the kernel could not give us its number again. */
	if (before != NULL)
		before->used = 0;
	for (unsigned i = 0; err == 0 && i < OS_FILES_MAX; i++) {
		struct file *f = &files[i];

		if (f->used)
			continue;
		f->fd = fd;
		f->dev = st.st_dev;
		f->ino = st.st_ino;
		f->used = 1;
		return fd;
	}
	/* Of a file that cannot be told from the host's, nothing good could come. */
	sys_call1(SYS_close, fd);
	return err < 0 ? err : -EMFILE;
}

bool os_has_own_files(void)
{
	return own_table;
}

int os_high_fd(int fd)
{
	long high;

	if (own_table)
		return fd;
	high = sys_call3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OS_FD_MIN);
	/* The host's limit is lower, or all from there on is taken: as high as there is room. */
	for (int from = OS_FD_MIN / 2; from > 2 && (high == -EINVAL || high == -EMFILE); from /= 2)
		high = sys_call3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from);
	sys_call1(SYS_close, fd);
	return high < 0 ? (int)high : remember((int)high);
}

static bool is_file(const struct file *f)
{
	struct stat st;

	return f != NULL && os_fstat(f->fd, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino;
}

int os_is_ours(int fd)
{
	return own_table ? fd >= 0 : is_file(find_file(fd));
}

void os_close(int fd)
{
	struct file *f;

	if (own_table) {
		if (fd >= 0)
			sys_call1(SYS_close, fd);
		return;
	}
	f = find_file(fd);
	if (f == NULL)
		return;
	if (is_file(f))
		sys_call1(SYS_close, fd);
	f->used = 0;
}

void os_own_files(void)
{
	own_table = false;
	if (sys_call3(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) == 0) {
		own_table = true;
		return;
	}
	/* Linux before 5.9.  Without a table of our own, nothing may be closed. */
	if (sys_call1(SYS_unshare, CLONE_FILES) < 0)
		return;
	own_table = true;
	for (int fd = 0; fd < OLD_FILES_MAX; fd++)
		sys_call1(SYS_close, fd);
}

void os_after_fork(void)
{
	/* A table of our own stayed with our thread: what the child has under those numbers is the
	 * host's. */
	own_table = false;
	for (unsigned i = 0; i < OS_FILES_MAX; i++)
		if (files[i].used)
			os_close(files[i].fd);
}
