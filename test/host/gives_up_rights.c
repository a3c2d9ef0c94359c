/* gives_up_rights [ROAD] -- a server that starts as root, does what only root can, and then becomes
 * somebody else: by libc's calls, by raw ones, keeping capabilities at first, or for a while only.
 * After each step it compares its threads, whoever has made them: the same ids, and none with a
 * right that the main thread has not. */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The value behind "KEY:" in /proc/thread-self/../TID/status. */
static void field(const char *tid, const char *key, char *out, size_t size)
{
	char path[300], line[4096];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	f = fopen(path, "r");
	out[0] = '\0';
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			snprintf(out, size, "%s", line + strlen(key));
	if (f != NULL)
		fclose(f);
}

static int same(const char *a, const char *b, const char *key)
{
	char of_a[2048], of_b[2048];

	field(a, key, of_a, sizeof(of_a));
	field(b, key, of_b, sizeof(of_b));
	if (strcmp(of_a, of_b) != 0)
		printf("  thread %s has %s %s", a, key, of_a);
	return strcmp(of_a, of_b) == 0;
}

static unsigned long long mask(const char *tid, const char *key)
{
	char text[64];

	field(tid, key, text, sizeof(text));
	return strtoull(text, NULL, 16);
}

static void compare(const char *when)
{
	DIR *d = opendir("/proc/self/task");
	char main_tid[16];
	struct dirent *e;
	int ok = 1;

	snprintf(main_tid, sizeof(main_tid), "%d", getpid());
	while ((e = readdir(d)) != NULL) {
		char name[64];

		if (e->d_name[0] == '.' || strcmp(e->d_name, main_tid) == 0)
			continue;
		field(e->d_name, "Name:\t", name, sizeof(name));
		if (name[0] == '\0')
			continue;       /* it has ended meanwhile */
		ok &= same(e->d_name, main_tid, "Uid:");
		ok &= same(e->d_name, main_tid, "Gid:");
		ok &= same(e->d_name, main_tid, "Groups:");
		ok &= (mask(e->d_name, "CapEff:") & ~mask(main_tid, "CapEff:")) == 0;
		ok &= (mask(e->d_name, "CapPrm:") & ~mask(main_tid, "CapPrm:")) == 0;
		ok &= mask(e->d_name, "NoNewPrivs:") >= mask(main_tid, "NoNewPrivs:");
	}
	closedir(d);
	printf("%s: %s\n", when, ok ? "all threads alike" : "THEY DIFFER");
}

static void check(const char *what, long result)
{
	if (result != 0)
		printf("%s: %s\n", what, strerror(errno));
}

static void by_libc(void)
{
	gid_t groups[] = { 4, 5, 6 };

	check("setgroups", setgroups(3, groups));
	check("setgid", setgid(65534));
	check("setuid", setuid(65534));
}

static void by_raw_calls(void)
{
	check("setgroups", syscall(SYS_setgroups, 0, NULL));
	check("setresgid", syscall(SYS_setresgid, 65534, 65534, 65534));
	check("setresuid", syscall(SYS_setresuid, 65534, 65534, 65534));
}

static void keeping_capabilities(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 } };
	gid_t groups[] = { 7 };

	check("keepcaps", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	check("setresgid", setresgid(65534, 65534, 65534));
	check("setresuid", setresuid(65534, 65534, 65534));
	/* The effective ones went with the user id, the permitted ones are still there. */
	none[0].permitted = none[0].effective = 1u << CAP_SETGID;
	check("capset", syscall(SYS_capset, &head, none));
	check("setgroups", setgroups(1, groups));
	none[0].permitted = none[0].effective = 0;
	check("capset", syscall(SYS_capset, &head, none));
}

static void for_a_while(void)
{
	for (int i = 0; i < 200; i++) {
		check("seteuid", seteuid(65534));
		check("seteuid", seteuid(0));
	}
	check("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	check("setegid", setegid(65534));
	check("setreuid", setreuid(65534, 65534));
	check("setregid back", setregid(65534, 65534));
}

static __attribute__((noreturn)) void *wait_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*go)(void); int threads; } roads[] = {
		{ "libc", by_libc, 1 }, { "raw", by_raw_calls, 0 },
		{ "capabilities", keeping_capabilities, 0 }, { "while", for_a_while, 0 },
	};
	pthread_t t;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < sizeof(roads) / sizeof(*roads); i++) {
		if (argc < 2 ? i != 0 : strcmp(argv[1], roads[i].name) != 0)
			continue;
		if (geteuid() != 0) {
			puts("not root: nothing to give up");
			return 0;
		}
		if (roads[i].threads)
			pthread_create(&t, NULL, wait_for_ever, NULL);
		usleep(50000);  /* for whoever else begins at the start */
		roads[i].go();
		compare(roads[i].name);
		if (argc > 2 && strcmp(argv[2], "wait") == 0)
			getchar();
	}
	return 0;
}
