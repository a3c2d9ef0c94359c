#include "httpd/registry_sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "httpd/listen.h"
#include "sampler/os.h"
#include "sampler/sys.h"

/* What nobody has renamed for so long nobody will. */
#define HALF_FILE_S 60

/* The mark is in the first half of this, whatever the program is called. */
#define READ_BYTES 4096

int registry_sweep_read(int dir, const char *name, struct registry_where *out)
{
	long fd = sys_call4(SYS_openat, dir, name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	char text[READ_BYTES];
	struct stat st;
	long n;

	if (fd < 0)
		return (int)fd;
	fd = os_high_fd((int)fd);
	if (fd < 0)
		return (int)fd;
	n = os_fstat((int)fd, &st);
	if (n == 0)
		n = S_ISREG(st.st_mode) ? os_read((int)fd, text, sizeof(text)) : -EINVAL;
	os_close((int)fd);
	if (n < 0)
		return (int)n;
	return registry_text_where(text, (size_t)n, out) ? 0 : -EINVAL;
}

/* PID.json, PID.NAMESPACE.json; *half with .new behind it.  0: another name. */
static int pid_of(const char *name, bool *half)
{
	size_t digits = strspn(name, "0123456789");
	uint64_t pid = 0;

	if (digits == 0 || digits > 9)
		return 0;
	for (size_t i = 0; i < digits; i++)
		pid = pid * 10 + (uint64_t)(name[i] - '0');
	name += digits;
	if (name[0] == '.' && name[1] >= '0' && name[1] <= '9')
		name += 1 + strspn(name + 1, "0123456789");
	*half = strcmp(name, ".json.new") == 0;
	return *half || strcmp(name, ".json") == 0 ? (int)pid : 0;
}

static bool is_old(int dir, const char *name)
{
	int64_t now_s = (int64_t)(os_realtime_ns() / 1000000000u);
	struct stat st;

	return sys_call4(SYS_newfstatat, dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && now_s - st.st_mtime > HALF_FILE_S;
}

static bool is_dead(int dir, const char *name, int pid, const struct registry_where *here)
{
	struct registry_where its;

	if (registry_sweep_read(dir, name, &its) < 0 || its.boot[0] == '\0' ||
	    here->boot[0] == '\0')
		return false;
	if (strcmp(its.boot, here->boot) != 0)
		return true;
	if (its.pids == 0 || its.pids != here->pids)
		return false;
	if (sys_call2(SYS_kill, pid, 0) == -ESRCH)
		return true;
	return its.net != 0 && its.net == here->net && !listen_finds((unsigned)its.uid, pid);
}

static void look_at(int dir, const char *name, const struct registry_where *here)
{
	bool half = false;
	int pid = pid_of(name, &half);

	if (pid > 0 && (half ? is_old(dir, name) : is_dead(dir, name, pid, here)))
		sys_call3(SYS_unlinkat, dir, name, 0);
}

bool registry_sweep(int dir, const struct registry_where *here, int64_t *at)
{
	/* An entry of a short name takes 32 bytes. */
	char entries[REGISTRY_SWEEP_STEP * 32] __attribute__((aligned(8)));
	long n;

	if (sys_call3(SYS_lseek, dir, *at, 0 /* SEEK_SET */) < 0)
		return false;
	n = os_list(dir, entries, sizeof(entries));
	for (long i = 0; i < n;) {
		const struct os_entry *entry = (const void *)(entries + i);

		look_at(dir, entry->name, here);
		*at = entry->offset;
		i += entry->bytes;
	}
	return n > 0;
}
