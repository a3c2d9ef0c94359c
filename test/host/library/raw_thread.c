/* raw_thread -- a thread by clone without thread-local data of its own: it has those of its creator, and
 * libc does not know it.  It computes, makes system calls, and goes. */
#include <sched.h>
#include <sys/syscall.h>

#include "serve.h"

static _Alignas(16) char stack[1 << 18];
static volatile int done;
static volatile uint64_t result;

static int run(void *unused)
{
	(void)unused;
	for (int i = 0; i < 50; i++) {
		result = spin_here(result);
		syscall(SYS_sched_yield);
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	syscall(SYS_exit, 0);
	return 0;
}

int main(void)
{
	uint64_t x = 1;

	if (clone(run, stack + sizeof(stack), CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
		  CLONE_THREAD | CLONE_SYSVSEM, NULL) < 0)
		return 1;
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		char *volatile p = malloc(3000);

		x = spin_here(x);
		free(p);
	}
	puts("done");
	serve(NULL);
	return x == 0;
}
