/* small_altstacks [spin] -- alternate signal stacks as small as the kernel allows, with work on and off
 * them, and each answer of sigaltstack.  spin: says how its stack is, and spins until its input ends,
 * with a small one (a line of input) and without (the next). */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

static char small[16384], large[65536];

static void burn(int n)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < n; i++)
		x = x * 3 + 1;
}

static size_t smallest(void)
{
	size_t n = getauxval(AT_MINSIGSTKSZ);

	return n > 2048 ? n : 2048;
}

static int set(void *sp, size_t size, int flags)
{
	stack_t ss = { .ss_sp = sp, .ss_size = size, .ss_flags = flags };

	return sigaltstack(&ss, NULL);
}

/* The kernel's frame alone fits: a handler of ours would have to be lucky. */
static void *works_with_a_small_one(void *unused)
{
	stack_t now;

	for (int i = 0; i < 20; i++) {
		set(small, smallest(), 0);
		burn(5000000);
		set(large, sizeof(large), 0);
		burn(500000);
		set(small, 2048, 0);    /* not even that */
		burn(5000000);
		set(NULL, 0, SS_DISABLE);
		burn(500000);
	}
	sigaltstack(NULL, &now);
	printf("after all: disabled %d\n", (now.ss_flags & SS_DISABLE) != 0);
	return unused;
}

static volatile sig_atomic_t handled;

/* What a handler changes is taken back when it ends. */
static void on_usr1(int signo)
{
	stack_t now;

	handled += signo == SIGUSR1;
	set(small, 2048, 0);
	sigaltstack(NULL, &now);
	handled += now.ss_sp == small;
	set(NULL, 0, SS_DISABLE);
}

static void say(const char *what, int result)
{
	printf("%s: %d %s\n", what, result, result == 0 ? "" : strerror(errno));
	errno = 0;
}

static void answers(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *edge = mmap(NULL, 3 * (size_t)page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t both = { .ss_sp = large, .ss_size = sizeof(large) };
	stack_t *volatile same = &both, *volatile nowhere = (stack_t *)16;

	munmap(edge + page, (size_t)page);
	errno = 0;
	say("a first one", sigaltstack(&both, NULL));
	both.ss_sp = small;
	both.ss_size = smallest();
	say("old is new", sigaltstack(&both, same));
	printf("old: large %d, size %zu, flags %x\n", both.ss_sp == large, both.ss_size,
	       (unsigned)both.ss_flags);
	say("too small", set(small, 1000, 0));
	say("strange flags", set(small, sizeof(small), 77));
	say("nowhere", sigaltstack(nowhere, NULL));
	say("its end not readable", sigaltstack((stack_t *)(uintptr_t)(edge + page - 8), NULL));
	say("its begin not readable", sigaltstack((stack_t *)(uintptr_t)(edge + 2 * page - 8), NULL));
	say("nowhere to write", sigaltstack(NULL, nowhere));
	say("both nowhere", sigaltstack(nowhere, nowhere));
	say("nothing at all", sigaltstack(NULL, NULL));
	say("disarms itself", set(large, sizeof(large), (int)(1u << 31)));
	sigaltstack(NULL, &both);
	printf("now: large %d, flags %x\n", both.ss_sp == large, (unsigned)both.ss_flags);
	say("off", set(NULL, 0, SS_DISABLE));
	munmap(edge, (size_t)page);
}

static __attribute__((noinline)) void spin_with_small(struct pollfd *input)
{
	while (poll(input, 1, 0) == 0)
		burn(1000000);
}

static __attribute__((noinline)) void spin_without(struct pollfd *input)
{
	while (poll(input, 1, 0) == 0)
		burn(1000000);
}

static void spin(void)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
	char line[80];

	set(small, smallest(), 0);
	puts("small");
	fflush(stdout);
	spin_with_small(&input);
	(void)!read(STDIN_FILENO, line, sizeof(line));
	set(large, sizeof(large), 0);
	puts("large");
	fflush(stdout);
	spin_without(&input);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	pthread_t t;

	if (argc > 1 && strcmp(argv[1], "spin") == 0) {
		spin();
		return 0;
	}
	answers();
	works_with_a_small_one(NULL);
	pthread_create(&t, NULL, works_with_a_small_one, NULL);
	pthread_join(t, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	set(small, smallest(), 0);
	for (int i = 0; i < 20; i++) {
		raise(SIGUSR1);
		burn(3000000);
	}
	printf("handled %d\n", (int)handled);
	return 0;
}
