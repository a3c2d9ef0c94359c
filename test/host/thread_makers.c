/* thread_makers -- makes and ends threads as its input says, a line each; answers each with "done".
 *
 *   pthread N, c11 N, raw N   makes N more: by pthread_create, thrd_create, clone
 *   end HOW                   ends all: return, exit, cancel, syscall (raw ones always by that)
 *   churn N                   N by pthread_create, each ended before the next but seven is made
 *   fail                      one that cannot be made
 *   fork                      a child that lives on, and uses the CPU until it ends with its parent
 *   exec                      this program again
 *   names                     a thread that has one name after another, and allocates, waits and computes under each
 *   leave                     the first thread ends, another one goes on with this */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define MAX 4096
#define STACK (64 << 10)

static struct { char kind; pthread_t pthread; thrd_t thrd; volatile int tid; } made[MAX];
static unsigned count;
static int ends[2]; /* a byte for each that is to end: how */
static char *self_path;

/* --- those that are made -------------------------------------------------------------------- */

static char wait_for_end(void)
{
	char how = 0;

	while (read(ends[0], &how, 1) != 1)
		;
	return how;
}

static void *sits(void *unused)
{
	switch (wait_for_end()) {
	case 'e': pthread_exit(unused);
	case 's': syscall(SYS_exit, 0);
	}
	return unused;
}

static int sits_c11(void *unused)
{
	(void)unused;
	switch (wait_for_end()) {
	case 'e': thrd_exit(7);
	case 's': syscall(SYS_exit, 0);
	}
	return 7;
}

/* On the maker's thread-local data: nothing of libc's. */
static int sits_raw(void *unused)
{
	char how;

	(void)unused;
	syscall(SYS_read, ends[0], &how, 1);
	syscall(SYS_exit, 0);
	return 0;
}

static void *passes(void *arg)
{
	return arg;
}

/* --- makers --------------------------------------------------------------------------------- */

static __attribute__((noinline)) void make_by_pthread(void)
{
	made[count].kind = 'p';
	if (pthread_create(&made[count].pthread, NULL, sits, NULL) != 0)
		abort();
}

static __attribute__((noinline)) void make_by_c11(void)
{
	made[count].kind = 'c';
	if (thrd_create(&made[count].thrd, sits_c11, NULL) != thrd_success)
		abort();
}

static __attribute__((noinline)) void make_raw(void)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
		    CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID;

	made[count].kind = 'r';
	if (clone(sits_raw, stack + STACK, flags, NULL, &made[count].tid, NULL, &made[count].tid) < 0)
		abort();
}

static void make(void (*maker)(void), int n)
{
	for (; n > 0; n--, count++)
		maker();
}

static __attribute__((noinline)) void churn(int n)
{
	pthread_t t[8];

	for (int i = 0; i < n; i++) {
		if (i >= 8)
			pthread_join(t[i % 8], NULL);
		if (pthread_create(&t[i % 8], NULL, passes, NULL) != 0)
			abort();
	}
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
}

static void fail_to_make(void)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)1 << 46);
	if (pthread_create(&t, &attr, passes, NULL) == 0)
		abort();
}

static void end_all(const char *how)
{
	/* None of these may take a byte that is another's. */
	for (unsigned i = 0; i < count && strcmp(how, "cancel") == 0; i++)
		if (made[i].kind == 'p') {
			pthread_cancel(made[i].pthread);
			pthread_join(made[i].pthread, NULL);
			made[i].kind = 0;
		}
	for (unsigned i = 0; i < count; i++)
		if (made[i].kind != 0 && write(ends[1], how, 1) != 1)
			abort();
	for (unsigned i = 0; i < count; i++) {
		if (made[i].kind == 'p')
			pthread_join(made[i].pthread, NULL);
		if (made[i].kind == 'c')
			thrd_join(made[i].thrd, NULL);
		while (made[i].kind == 'r' && made[i].tid != 0)
			usleep(1000);
	}
	count = 0;
}

/* --- names ---------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t step;
static void *volatile kept[8];

static void wait_here(void)
{
	pthread_barrier_wait(&step);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	pthread_barrier_wait(&step);
}

static void work_here(void)
{
	struct timespec t;
	double until = 0, now;

	do {
		for (volatile int i = 0; i < 100000; i++)
			;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
		until = until == 0 ? now + 0.2 : until;
	} while (now < until);
}

#define AS(who, n)                                            \
	static __attribute__((noinline)) void as_##who(void)  \
	{                                                     \
		kept[n] = malloc(5000 + n);                   \
		wait_here();                                  \
		work_here();                                  \
	}
AS(born, 0)
AS(alpha, 1)
AS(beta, 2)
AS(gamma, 3)
AS(nobody, 4)

static void *has_names(void *unused)
{
	as_born();
	prctl(PR_SET_NAME, "alpha");
	as_alpha();
	pthread_setname_np(pthread_self(), "b\xe9ta\x01\xff");
	as_beta();
	pthread_barrier_wait(&step); /* somebody else gives it the next one */
	pthread_barrier_wait(&step);
	as_gamma();
	prctl(PR_SET_NAME, "");
	as_nobody();
	return unused;
}

static __attribute__((noinline)) void hold_while_it_waits(void)
{
	pthread_mutex_lock(&lock);
	pthread_barrier_wait(&step);
	/* Until it waits: glibc has a 2 there then. */
	while (__atomic_load_n(&lock.__data.__lock, __ATOMIC_RELAXED) != 2)
		usleep(1000);
	usleep(10000);
	pthread_mutex_unlock(&lock);
	pthread_barrier_wait(&step);
}

static void give_names(void)
{
	pthread_t t;

	pthread_barrier_init(&step, NULL, 2);
	pthread_create(&t, NULL, has_names, NULL);
	for (int i = 0; i < 3; i++)
		hold_while_it_waits();
	pthread_barrier_wait(&step);
	pthread_setname_np(t, "gamma");
	pthread_barrier_wait(&step);
	hold_while_it_waits();
	hold_while_it_waits();
	pthread_join(t, NULL);
}

/* --- the input ------------------------------------------------------------------------------- */

static void have_child(void)
{
	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		work_here();
}

static void *listen(void *unused);

static __attribute__((noinline)) void leave(void)
{
	pthread_t t;

	pthread_create(&t, NULL, listen, "left");
	pthread_detach(t);
	pthread_exit(NULL);
}

static void obey(const char *line)
{
	char what[16] = "", how[16] = "";
	int n;

	if (sscanf(line, "%15s %15s", what, how) < 1)
		return;
	n = atoi(how);
	if (strcmp(what, "pthread") == 0)
		make(make_by_pthread, n);
	else if (strcmp(what, "c11") == 0)
		make(make_by_c11, n);
	else if (strcmp(what, "raw") == 0)
		make(make_raw, n);
	else if (strcmp(what, "churn") == 0)
		churn(n);
	else if (strcmp(what, "fail") == 0)
		fail_to_make();
	else if (strcmp(what, "end") == 0)
		end_all(how);
	else if (strcmp(what, "names") == 0)
		give_names();
	else if (strcmp(what, "fork") == 0)
		have_child();
	else if (strcmp(what, "leave") == 0)
		leave();
	else if (strcmp(what, "exec") == 0)
		execl(self_path, self_path, NULL);
	printf("done %s", line);
	fflush(stdout);
}

static void *listen(void *says)
{
	char line[64];

	puts(says);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		obey(line);
	exit(0);
}

int main(int argc, char **argv)
{
	(void)argc;
	self_path = argv[0];
	if (pipe(ends) != 0)
		return 1;
	setvbuf(stdin, NULL, _IONBF, 0); /* what is read is gone at an exec */
	listen("ready");
	return 0;
}
