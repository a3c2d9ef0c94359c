#include "httpd/last.h"

#include "sampler/os.h"

/* The links of /proc/PID/task are 2 and one for each thread (linux, fs/proc/base.c,
 * proc_task_getattr).  A first thread that has ended stays as a zombie. */
#define LINKS_OF_TWO 4

/* "PID (NAME) STATE ... EXIT_CODE": the state of a process is that of its first thread.  The name
 * may have parentheses, what follows it has none (proc(5)). */
static bool is_zombie(const char *stat, long n)
{
	while (n > 2 && stat[n - 3] != ')')
		n--;
	return n > 2 && stat[n - 1] == 'Z';
}

/* The last field, as wait(2) has it. */
static int exit_code(const char *stat, long n)
{
	int code = 0;

	while (n > 0 && stat[n - 1] != ' ')
		n--;
	for (; stat[n] >= '0' && stat[n] <= '9'; n++)
		code = code * 10 + (stat[n] - '0');
	return code >> 8 & 0xff;
}

bool last_is_alone(int *status)
{
	struct stat task;
	char text[1024];
	long n;
	int fd;

	if (os_stat("/proc/thread-self/..", &task) < 0 || task.st_nlink != LINKS_OF_TWO)
		return false;
	/* /proc/self is empty when main has left (what-breaks.md C5). */
	fd = os_open_read("/proc/thread-self/../../stat");
	if (fd < 0)
		return false;
	n = os_read(fd, text, sizeof(text) - 1);
	os_close(fd);
	if (n < 0 || !is_zombie(text, n))
		return false;
	text[n] = '\0';
	*status = exit_code(text, n);
	return true;
}
