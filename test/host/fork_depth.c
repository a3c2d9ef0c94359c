/* fork_depth [DEPTH] -- a child of a child of a child ..., DEPTH (6) of them, made by main, by a
 * thread and by a thread that libc does not know, in turn.  Each works, waits for its child, and
 * ends with one more than that.  They live until the end of the input. */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int depth = 6;

static int live(int level);

__attribute__((noinline)) static void spin_at_depth(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 3000000; i++)
		x = x * 3 + 1;
	free(malloc(1 << 20));
}

struct birth { int level, gone; pid_t pid; };

static void *give_birth(void *arg)
{
	struct birth *birth = arg;

	birth->pid = fork();
	if (birth->pid == 0)
		exit(live(birth->level + 1));
	return NULL;
}

static int give_birth_unknown(void *arg)
{
	give_birth(arg);
	return 0;
}

/* On the thread-local data of the caller, who waits. */
static void by_unknown_thread(struct birth *birth)
{
	size_t bytes = 1 << 18;
	char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	birth->gone = 1;
	if (clone(give_birth_unknown, stack + bytes,
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
			  CLONE_CHILD_CLEARTID, birth, NULL, NULL, &birth->gone) < 0)
		return;
	while (__atomic_load_n(&birth->gone, __ATOMIC_ACQUIRE) != 0)
		syscall(SYS_futex, &birth->gone, FUTEX_WAIT, 1, NULL, NULL, 0);
	munmap(stack, bytes);
}

static int live(int level)
{
	struct birth birth = { .level = level, .pid = -1 };
	struct pollfd input = { .fd = 0, .events = POLLIN };
	int status = 0;
	pthread_t t;

	if (level < depth && level % 3 == 0)
		give_birth(&birth);
	else if (level < depth && level % 3 == 1 && pthread_create(&t, NULL, give_birth, &birth) == 0)
		pthread_join(t, NULL);
	else if (level < depth)
		by_unknown_thread(&birth);
	do
		spin_at_depth();
	while (poll(&input, 1, 20) == 0);
	if (birth.pid <= 0)
		return 1;
	waitpid(birth.pid, &status, 0);
	return (status >> 8) + 1;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		depth = atoi(argv[1]);
	printf("%d processes\n", live(0));
	return 0;
}
