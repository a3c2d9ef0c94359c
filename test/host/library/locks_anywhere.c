/* locks_anywhere -- needs liblocks.so (locks.c), and uses every lock wherever code of a program may run. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void use_locks(const char *where);

static _Alignas(16) char stack[1 << 18];
static volatile int done;

__attribute__((constructor)) static void early(void) { use_locks("the program's constructor"); }
__attribute__((destructor)) static void late(void) { use_locks("the program's destructor"); }
static void at_exit(void) { use_locks("a handler of exit"); }
static void on_thread_exit(void *unused) { (void)unused; use_locks("a key's destructor"); }

static int raw(void *unused)
{
	(void)unused;
	use_locks("a raw clone");
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	syscall(SYS_exit, 0);
	return 0;
}

static void *run(void *unused)
{
	pthread_key_t key;

	pthread_key_create(&key, on_thread_exit);
	pthread_setspecific(key, "anything");
	use_locks("a thread");
	return unused;
}

static void start(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, run, NULL) != 0 || pthread_join(t, NULL) != 0)
		abort();
}

/* It has its creator's thread-local data, so that waits for it without them. */
static void clone_raw(void)
{
	if (clone(raw, stack + sizeof(stack), CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
		  CLONE_THREAD | CLONE_SYSVSEM, NULL) < 0)
		abort();
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		__asm__ volatile("");
}

static void fork_one(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		use_locks("a fork child");
		start();
		exit(3);
	}
	waitpid(pid, &status, 0);
	printf("it ended with %d\n", WEXITSTATUS(status));
	fflush(stdout);
}

static void vfork_one(void)
{
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		use_locks("a vfork child");
		_exit(4);
	}
	waitpid(pid, &status, 0);
	printf("it ended with %d\n", WEXITSTATUS(status));
	fflush(stdout);
}

int main(void)
{
	atexit(at_exit);
	for (int i = 0; i < 2; i++) {
		use_locks("main");
		vfork_one();
		fork_one();
		start();
	}
	clone_raw();
	return 0;
}
