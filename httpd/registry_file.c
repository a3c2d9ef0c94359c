#include "httpd/registry_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "encode/buf.h"
#include "httpd/ending.h"
#include "httpd/registry_sweep.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define NAME_BYTES 64

/* Changed between ending_enter and ending_leave only. */
static struct {
	char     name[NAME_BYTES];      /* "": not chosen yet */
	uint64_t dev, ino;              /* 0: it was not written */
} file;

void registry_file_after_fork(void)
{
	memset(&file, 0, sizeof(file));
}

int registry_file_open(const char *directory)
{
	long fd = sys_call4(SYS_openat, AT_FDCWD, directory,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);

	return fd < 0 ? (int)fd : os_high_fd((int)fd);
}

/* --- its name -------------------------------------------------------------------------------- */

static bool is_of_other_pids(int dir, const struct registry_where *here)
{
	struct registry_where its;

	return registry_sweep_read(dir, file.name, &its) == 0 &&
	       strcmp(its.boot, here->boot) == 0 && its.pids != here->pids;
}

static void choose_name(int dir, const struct registry_where *here)
{
	struct buf b = buf_bounded(file.name, sizeof(file.name));
	size_t pid_len;

	buf_unsigned(&b, (uint64_t)os_getpid());
	pid_len = b.len;
	buf_string(&b, ".json");
	buf_end(&b);
	if (!is_of_other_pids(dir, here))
		return;
	b.len = pid_len;
	buf_char(&b, '.');
	buf_unsigned(&b, here->pids);
	buf_string(&b, ".json");
	buf_end(&b);
}

void registry_file_rename(void)
{
	if (!ending_enter())
		return;
	file.name[0] = '\0';
	ending_leave();
}

/* --- writing --------------------------------------------------------------------------------- */

static int create(int dir, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	long fd = sys_call4(SYS_openat, dir, name, flags, 0600);

	/* Of one that had our process id, and was killed. */
	if (fd == -EEXIST && sys_call3(SYS_unlinkat, dir, name, 0) == 0)
		fd = sys_call4(SYS_openat, dir, name, flags, 0600);
	return fd < 0 ? (int)fd : os_high_fd((int)fd);
}

static int fill(int fd, const char *text, size_t len, struct stat *st)
{
	long n = sys_call3(SYS_write, fd, text, len);

	if (n != (long)len)
		return n < 0 ? (int)n : -ENOSPC;
	n = sys_call2(SYS_fchmod, fd, 0644);
	return n < 0 ? (int)n : os_fstat(fd, st);
}

/* Who ends the process may have given up to wait. */
static int publish(int dir, const char *half, const struct stat *st)
{
	long err = ending_begun() ? -ESRCH : sys_call4(SYS_renameat, dir, half, dir, file.name);

	if (err < 0)
		return (int)err;
	file.dev = st->st_dev;
	file.ino = st->st_ino;
	return 0;
}

static int write_half_and_publish(int dir, const char *text, size_t len)
{
	char half[NAME_BYTES + 8];
	struct stat st;
	int fd, err;

	stpcpy(stpcpy(half, file.name), ".new");
	fd = create(dir, half);
	if (fd < 0)
		return fd;
	err = fill(fd, text, len, &st);
	os_close(fd);
	if (err == 0)
		err = publish(dir, half, &st);
	if (err < 0)
		sys_call3(SYS_unlinkat, dir, half, 0);
	return err;
}

int registry_file_write(int dir, const struct registry_where *here, const char *text, size_t len)
{
	int err;

	if (!ending_enter())
		return -ESRCH;
	if (file.name[0] == '\0')
		choose_name(dir, here);
	err = write_half_and_publish(dir, text, len);
	ending_leave();
	return err;
}

/* --- removing -------------------------------------------------------------------------------- */

static bool is_at(int dir, const char *path)
{
	struct stat st;

	return file.ino != 0 &&
	       sys_call4(SYS_newfstatat, dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == file.dev && st.st_ino == file.ino;
}

bool registry_file_is_there(int dir)
{
	return is_at(dir, file.name);
}

void registry_file_remove(int dir)
{
	if (!ending_enter())
		return;
	if (is_at(dir, file.name))
		sys_call3(SYS_unlinkat, dir, file.name, 0);
	file.dev = file.ino = 0;
	ending_leave();
}

void registry_file_end(const char *directory)
{
	char path[REGISTRY_DIRECTORY_MAX + NAME_BYTES];

	stpcpy(stpcpy(stpcpy(path, directory), "/"), file.name);
	if (is_at(AT_FDCWD, path))
		sys_call3(SYS_unlinkat, AT_FDCWD, path, 0);
}
