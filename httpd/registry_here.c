#include "httpd/registry_here.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "sampler/os.h"
#include "sampler/sys.h"

/* Its number is in the text of the link: pid:[4026531836]. */
static uint64_t namespace_of(const char *link)
{
	char text[64];
	long n = sys_call4(SYS_readlinkat, AT_FDCWD, link, text, sizeof(text));
	uint64_t inode = 0;

	for (long i = 0; i < n; i++)
		if (text[i] >= '0' && text[i] <= '9')
			inode = inode * 10 + (uint64_t)(text[i] - '0');
	return inode;
}

void registry_here(struct registry_where *here)
{
	int fd = os_open_read("/proc/sys/kernel/random/boot_id");
	long n = fd >= 0 ? os_read(fd, here->boot, REGISTRY_TEXT_BOOT) : -1;

	os_close(fd);
	here->boot[n == REGISTRY_TEXT_BOOT ? n : 0] = '\0';
	here->pids = namespace_of("/proc/thread-self/ns/pid");
	here->net = namespace_of("/proc/thread-self/ns/net");
	here->uid = (uint64_t)sys_call0(SYS_geteuid);
}

void registry_here_program(char *path, size_t size)
{
	static const char deleted[] = " (deleted)";
	size_t tail = sizeof(deleted) - 1;
	long n = sys_call4(SYS_readlinkat, AT_FDCWD, "/proc/thread-self/exe", path, size);

	if (n < 0 || n == (long)size)
		n = 0;
	if (n > (long)tail && memcmp(path + n - tail, deleted, tail) == 0)
		n -= (long)tail;
	path[n] = '\0';
}
