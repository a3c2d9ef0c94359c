/* bit_of_all [threads|heap|fork|exec|files|signals]... -- a little of what hosts do, each part in some
 * milliseconds; without arguments all of them in turn.
 * bit_of_all wait -- keeps a hundred blocks until the end of its input.
 *
 * Says what came out, and whether errno, the signal mask and the descriptors were left alone. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static __attribute__((noinline)) uint64_t spin(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 3000000; i++)
		x = x * 3 + 1;
	return x;
}

static __attribute__((noinline)) unsigned take_blocks(void)
{
	unsigned char *block[200];
	unsigned sum = 0;

	for (int i = 0; i < 200; i++) {
		block[i] = i % 3 == 0 ? calloc(1, (size_t)i * 700 + 1) : malloc((size_t)i * 700 + 1);
		block[i][i] = (unsigned char)i;
	}
	for (int i = 0; i < 200; i += 2)
		block[i] = realloc(block[i], (size_t)i * 1400 + 1);
	for (int i = 0; i < 200; i++) {
		sum += block[i][i];
		free(block[i]);
	}
	return sum;
}

static void *on_a_thread(void *unused)
{
	uintptr_t got = take_blocks();

	(void)unused;
	return (void *)(got + spin() % 2);
}

static int threads(void)
{
	pthread_t t[3];
	uintptr_t sum = 0;
	void *got;

	for (int i = 0; i < 3; i++)
		if (pthread_create(&t[i], NULL, on_a_thread, NULL) != 0)
			return 1;
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &got);
		sum += (uintptr_t)got;
	}
	printf("threads %lu\n", (unsigned long)sum);
	return 0;
}

static int heap(void)
{
	errno = 77;
	printf("heap %u", take_blocks());
	printf(" spin %d errno %d\n", (int)(spin() % 10), errno);
	return 0;
}

static int forks(void)
{
	for (int i = 0; i < 2; i++) {
		int status = -1;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			take_blocks();
			spin();
			spin();
			_exit(10 + i);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 1;
		printf("child %d\n", WEXITSTATUS(status));
	}
	return 0;
}

static int execs(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = vfork();
	if (pid == 0) {
		execl("/proc/self/exe", "bit_of_all", "heap", (char *)NULL);
		_exit(99);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	printf("program %d\n", WEXITSTATUS(status));
	return system("exit 3") != 3 << 8;
}

static int files(void)
{
	int fd[5], out = open("bit_of_all.out", O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (int i = 0; i < 5; i++)
		fd[i] = open("/dev/null", O_RDONLY);
	printf("files %d, %d to %d", out, fd[0], fd[4]);
	spin();
	if (write(out, "written\n", 8) != 8)
		return 1;
	for (int i = 0; i < 5; i++)
		if (close(fd[i]) != 0)
			return 1;
	printf(", again %d\n", dup(out));
	return 0;
}

static volatile sig_atomic_t caught;

static void catch(int sig)
{
	caught += sig;
}

static int signals(void)
{
	struct sigaction act = { .sa_handler = catch }, was;
	sigset_t mask;

	sigaction(SIGPROF, NULL, &was);
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGPROF, &act, NULL);
	spin();
	raise(SIGUSR1);
	raise(SIGPROF);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	printf("signals %d, was default %d", (int)caught, was.sa_handler == SIG_DFL);
	for (int i = 1; i < 65; i++)
		if (sigismember(&mask, i) == 1)
			printf(", %d blocked", i);
	signal(SIGPROF, SIG_DFL);
	puts("");
	return 0;
}

static int wait_for_end(void)
{
	static char *kept[100];
	char byte;

	for (int i = 0; i < 100; i++)
		kept[i] = malloc(10000);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) == 1)
		spin();
	for (int i = 0; i < 100; i++)
		free(kept[i]);
	puts("done");
	return 0;
}

static const struct {
	const char *name;
	int       (*run)(void);
} parts[] = {
	{ "threads", threads }, { "heap", heap },       { "fork", forks },
	{ "exec", execs },      { "files", files },     { "signals", signals },
	{ "wait", wait_for_end },
};

int main(int argc, char **argv)
{
	int bad = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int wanted = argc == 1 && parts[i].run != wait_for_end;

		for (int k = 1; k < argc; k++)
			wanted |= strcmp(argv[k], parts[i].name) == 0;
		if (wanted)
			bad += parts[i].run();
	}
	return bad;
}
