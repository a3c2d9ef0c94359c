/* Stacks of threads that wait in the kernel, beside what the threads themselves have noted of their
 * callers: code with and without frame pointers, on stacks of every kind. */
#include "sampler/parked.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#include "sampler/looks.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/os.h"

#define FRAMES 64

/* --- threads that wait ----------------------------------------------------------------------- */

struct parked_thread {
	void (*wait)(struct parked_thread *p);
	void (*call)(struct parked_thread *p, unsigned depth);
	_Atomic int tid;
	int      pipe[2];               /* what ends it */
	sem_t    sem;
	pthread_mutex_t mutex;
	pthread_cond_t  cond;
	bool     over;
	int      word;
	/* Return addresses, innermost first: into who called the function that waits, and so on. */
	unsigned noted;
	uintptr_t pc[FRAMES];
	ucontext_t fiber, back;
	pthread_t thread;
};

static void end_by_byte(struct parked_thread *p)
{
	char c;

	while (read(p->pipe[0], &c, 1) < 0 && errno == EINTR)
		;
}

static void in_read(struct parked_thread *p) { end_by_byte(p); }

static void in_poll(struct parked_thread *p)
{
	struct pollfd fd = { .fd = p->pipe[0], .events = POLLIN };

	poll(&fd, 1, -1);
}

static void in_ppoll(struct parked_thread *p)
{
	struct pollfd fd = { .fd = p->pipe[0], .events = POLLIN };

	ppoll(&fd, 1, NULL, NULL);
}

static void in_select(struct parked_thread *p)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(p->pipe[0], &set);
	select(p->pipe[0] + 1, &set, NULL, NULL, NULL);
}

static void in_epoll_wait(struct parked_thread *p)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd = epoll_create1(0);

	epoll_ctl(fd, EPOLL_CTL_ADD, p->pipe[0], &e);
	epoll_wait(fd, &e, 1, -1);
	close(fd);
}

static void in_sem_wait(struct parked_thread *p)
{
	sem_wait(&p->sem);
}

static void in_cond_wait(struct parked_thread *p)
{
	pthread_mutex_lock(&p->mutex);
	while (!p->over)
		pthread_cond_wait(&p->cond, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
}

/* These end by a signal to the thread. */
static void in_nanosleep(struct parked_thread *p)
{
	struct timespec t = { 3600, 0 };

	(void)p;
	nanosleep(&t, NULL);
}

static void in_clock_nanosleep(struct parked_thread *p)
{
	struct timespec t = { 3600, 0 };

	(void)p;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void in_pause(struct parked_thread *p)
{
	(void)p;
	pause();
}

static void in_accept(struct parked_thread *p)
{
	struct sockaddr any = { .sa_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)p;
	bind(fd, &any, sizeof(any.sa_family));
	listen(fd, 1);
	accept(fd, NULL, NULL);
	close(fd);
}

static void in_recv(struct parked_thread *p)
{
	int fd[2];
	char c;

	(void)p;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0) {
		(void)!recv(fd[0], &c, 1, 0);
		close(fd[0]);
		close(fd[1]);
	}
}

static void in_sigtimedwait(struct parked_thread *p)
{
	struct timespec t = { 3600, 0 };
	sigset_t set;

	(void)p;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigtimedwait(&set, NULL, &t);
}

static void in_futex(struct parked_thread *p)
{
	syscall(SYS_futex, &p->word, 0, 0, NULL, NULL, 0);
}

/* --- the way there --------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) void note(struct parked_thread *p, void *pc)
{
	p->pc[p->noted++] = (uintptr_t)pc;
}

/* A function of this kind that calls itself so often, then waits.  Its return address is noted, and
 * something is left to do after each call. */
#define CALLER(name, how, locals)                                                                  \
	static __attribute__((noinline, how)) void name(struct parked_thread *p, unsigned depth)   \
	{                                                                                          \
		volatile char local[locals];                                                       \
		void *back = __builtin_return_address(0);                                          \
                                                                                                   \
		local[0] = (char)depth;                                                            \
		local[locals - 1] = 1;                                                             \
		if (depth > 0)                                                                     \
			name(p, depth - 1);                                                        \
		else                                                                               \
			p->wait(p);                                                                \
		note(p, back);                                                                     \
		local[0]++;                                                                        \
	}

CALLER(without_fp, optimize("omit-frame-pointer"), 24)
CALLER(with_fp, optimize("no-omit-frame-pointer"), 24)
CALLER(plain, optimize("O0", "no-omit-frame-pointer"), 24)
CALLER(large, optimize("O0", "no-omit-frame-pointer"), 9000)
CALLER(huge, optimize("omit-frame-pointer"), 120000)

/* rbp is the frame's, as its size is not known before. */
static __attribute__((noinline)) void variable(struct parked_thread *p, unsigned depth)
{
	volatile char *local = __builtin_alloca(depth * 16 + 16);
	void *back = __builtin_return_address(0);

	local[0] = 1;
	if (depth > 0)
		variable(p, depth - 1);
	else
		p->wait(p);
	note(p, back);
	local[0]++;
}

/* The stack below is full of frames that are gone. */
static __attribute__((noinline, optimize("O0", "no-omit-frame-pointer"))) unsigned
leave_frames(unsigned depth)
{
	volatile unsigned n = depth;

	return depth > 0 ? leave_frames(depth - 1) + n : n;
}

static __attribute__((noinline, optimize("O0", "no-omit-frame-pointer"))) void
over_old_frames(struct parked_thread *p, unsigned depth)
{
	volatile char local[2000];
	void *back = __builtin_return_address(0);

	local[1] = 2;
	if (depth > 0) {
		leave_frames(30);
		over_old_frames(p, depth - 1);
	} else {
		p->wait(p);
	}
	note(p, back);
	local[0] = local[1];
}

static __thread struct parked_thread *mine;

static void on_signal(int sig)
{
	(void)sig;
	mine->call(mine, 3);
}

static void do_nothing(int sig)
{
	(void)sig;
}

static void *run(void *arg)
{
	struct parked_thread *p = arg;

	mine = p;
	p->tid = os_gettid();
	p->call(p, 3);
	return NULL;
}

static struct parked_thread *begin_with(void (*wait)(struct parked_thread *),
					void (*call)(struct parked_thread *, unsigned),
					void *(*run_it)(void *))
{
	struct parked_thread *p = calloc(1, sizeof(*p));
	pthread_attr_t attr;

	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = do_nothing }, NULL);
	p->wait = wait;
	p->call = call;
	assert_int_equal(pipe(p->pipe), 0);
	sem_init(&p->sem, 0, 0);
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->cond, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 4 << 20);
	assert_int_equal(pthread_create(&p->thread, &attr, run_it, p), 0);
	pthread_attr_destroy(&attr);
	return p;
}

static void end(struct parked_thread *p)
{
	struct timespec later;

	(void)!write(p->pipe[1], "x", 1);
	sem_post(&p->sem);
	pthread_mutex_lock(&p->mutex);
	p->over = true;
	pthread_cond_signal(&p->cond);
	pthread_mutex_unlock(&p->mutex);
	do {
		pthread_kill(p->thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &later);
		later.tv_nsec += 20000000;
		later.tv_sec += later.tv_nsec / 1000000000;
		later.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(p->thread, NULL, &later) != 0);
	close(p->pipe[0]);
	close(p->pipe[1]);
	sem_destroy(&p->sem);
}

/* --- looking --------------------------------------------------------------------------------- */

/* As often as it takes for the thread to get there: twice the same.  Looks leave out frames of our
 * own library, which is here the whole program; so the stack is walked once more. */
static enum look_how look_until_parked(struct parked_thread *p, struct look *l, uintptr_t *pc)
{
	struct timespec t = { 0, 1000000 };
	uint64_t cpu = UINT64_MAX;

	for (;;) {
		if (p->tid != 0) {
			enum look_how how = looks_at(p->tid, l, pc, FRAMES);

			if (how == LOOK_BLOCKED && l->cpu_ns == cpu) {
				l->depth = parked_walk(l->pc, l->sp, pc, FRAMES, &l->truncated);
				return how;
			}
			assert_int_not_equal(how, LOOK_GONE);
			cpu = l->cpu_ns;
		}
		nanosleep(&t, NULL);
	}
}

static void show(const struct parked_thread *p, const uintptr_t *pc, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		print_error("found %#lx\n", pc[i]);
	for (unsigned i = 0; i < p->noted; i++)
		print_error("noted %#lx\n", p->pc[i] - 1);
}

/* The callers, one after the other, somewhere above the leaf; below the last of them is the
 * thread's start. */
static void check(const struct parked_thread *p, const uintptr_t *pc, unsigned depth)
{
	unsigned at = 0;

	while (at < depth && pc[at] + 1 != p->pc[0])
		at++;
	if (at < 1 || at > 12)
		show(p, pc, depth);
	assert_in_range(at, 1, 12);
	for (unsigned i = 0; i < p->noted; i++, at++) {
		if (at == depth || pc[at] + 1 != p->pc[i])
			show(p, pc, depth);
		assert_true(at < depth);
		assert_int_equal(pc[at] + 1, p->pc[i]);
	}
}

static void park_and_look(void (*wait)(struct parked_thread *),
			  void (*call)(struct parked_thread *, unsigned))
{
	struct parked_thread *p = begin_with(wait, call, run);
	uintptr_t pc[FRAMES];
	struct look l;

	assert_int_equal(look_until_parked(p, &l, pc), LOOK_BLOCKED);
	assert_true(l.nr >= 0);
	assert_true(looks_is_same(&l));
	end(p);
	if (l.truncated)
		show(p, pc, l.depth);
	assert_false(l.truncated);
	assert_int_equal(p->noted, 4);
	check(p, pc, l.depth);
	/* run, start_thread, clone3: nothing is missing, nothing too much. */
	assert_in_range(l.depth, p->noted + 3, p->noted + 12);
	free(p);
}

static void (*const waits[])(struct parked_thread *) = {
	in_read, in_poll, in_ppoll, in_select, in_epoll_wait, in_sem_wait, in_cond_wait,
	in_nanosleep, in_clock_nanosleep, in_pause, in_accept, in_recv, in_sigtimedwait, in_futex,
};

static void (*const calls[])(struct parked_thread *, unsigned) = {
	without_fp, with_fp, plain, large, huge, variable, over_old_frames,
};

static void every_wait_in_every_kind_of_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		for (size_t j = 0; j < sizeof(calls) / sizeof(calls[0]); j++)
			park_and_look(waits[i], calls[j]);
}

/* --- stacks of other kinds ------------------------------------------------------------------- */

#define FIBER_BYTES 262144

static void fiber_main(void)
{
	mine->call(mine, 3);
}

static void *run_fiber(void *arg)
{
	struct parked_thread *p = arg;
	/* What is above it is no stack. */
	char *memory = mmap(NULL, FIBER_BYTES + 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(memory + FIBER_BYTES, 4096, PROT_NONE);
	mine = p;
	getcontext(&p->fiber);
	p->fiber.uc_stack.ss_sp = memory;
	p->fiber.uc_stack.ss_size = FIBER_BYTES;
	p->fiber.uc_link = &p->back;
	makecontext(&p->fiber, fiber_main, 0);
	p->tid = os_gettid();
	swapcontext(&p->back, &p->fiber);
	munmap(memory, FIBER_BYTES + 4096);
	return NULL;
}

static void a_fiber(void **state)
{
	(void)state;
	for (size_t j = 0; j < sizeof(calls) / sizeof(calls[0]); j++) {
		struct parked_thread *p;
		uintptr_t pc[FRAMES];
		struct look l;

		if (calls[j] == huge)
			continue;
		p = begin_with(in_poll, calls[j], run_fiber);
		assert_int_equal(look_until_parked(p, &l, pc), LOOK_BLOCKED);
		end(p);
		assert_int_equal(p->noted, 4);
		check(p, pc, l.depth);
		free(p);
	}
}

static void *run_handler(void *arg)
{
	struct parked_thread *p = arg;
	stack_t ss = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	mine = p;
	sigaltstack(&ss, NULL);
	sigaction(SIGUSR2, &act, NULL);
	p->tid = os_gettid();
	p->call(p, 3);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
	free(ss.ss_sp);
	return NULL;
}

static void raise_once(struct parked_thread *p)
{
	p->wait = in_poll;
	raise(SIGUSR2);
}

/* The handler waits on its own stack; what it interrupted, raise, is on the thread's. */
static void a_handler_on_an_alternate_stack(void **state)
{
	(void)state;
	for (size_t j = 0; j < sizeof(calls) / sizeof(calls[0]); j++) {
		struct parked_thread *p;
		uintptr_t pc[FRAMES];
		struct look l;
		unsigned below;

		if (calls[j] == huge)
			continue;
		p = begin_with(raise_once, calls[j], run_handler);
		assert_int_equal(look_until_parked(p, &l, pc), LOOK_BLOCKED);
		assert_false(l.truncated);
		end(p);
		assert_int_equal(p->noted, 8);
		below = l.depth;
		/* The trampoline, and what raise is made of, are between the two. */
		while (below > 0 && pc[below - 1] + 1 != p->pc[7])
			below--;
		assert_in_range(below, 12, l.depth);
		for (unsigned i = 4; i < 8; i++)
			assert_int_equal(pc[below - 8 + i] + 1, p->pc[i]);
		p->noted = 3;           /* the fourth is the trampoline, which was not called */
		check(p, pc, l.depth);
		free(p);
	}
}

/* --- nothing that can be read ---------------------------------------------------------------- */

static void nonsense_is_refused(void **state)
{
	static const uintptr_t sps[] = { 0, 8, 1, 4096, (uintptr_t)1 << 47, UINTPTR_MAX - 7,
					 UINTPTR_MAX };
	uintptr_t pc[FRAMES];
	bool truncated;

	(void)state;
	for (size_t i = 0; i < sizeof(sps) / sizeof(sps[0]); i++) {
		truncated = false;
		assert_in_range(parked_walk((uintptr_t)nonsense_is_refused, sps[i], pc, FRAMES,
					    &truncated), 0, 1);
		assert_true(truncated);
	}
	assert_int_equal(parked_walk((uintptr_t)nonsense_is_refused, (uintptr_t)&pc, pc, 0,
				     &truncated), 0);
}

/* Stacks of noise, with pointers up the stack and return addresses among it: the walk ends, writes
 * no more than it may, and reads nothing that is not copied. */
static void noise_is_walked_to_an_end(void **state)
{
	size_t bytes = 1 << 16;
	char *memory = mmap(NULL, bytes + 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t *word = (void *)memory, pc[FRAMES + 1];
	uint64_t random = 1;

	(void)state;
	mprotect(memory + bytes, 4096, PROT_NONE);
	for (unsigned round = 0; round < 300; round++) {
		unsigned max = 1 + round % FRAMES;
		bool truncated;

		for (size_t i = 0; i < bytes / 8; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			word[i] = (uintptr_t)(random >> 33);
			if (random >> 62 == 1)
				word[i] = (uintptr_t)memory + ((random >> 20) % bytes & ~7ul);
			if (random >> 62 == 2)
				word[i] = (uintptr_t)&park_and_look + ((random >> 20) & 1023);
		}
		pc[max] = 0x1234;
		assert_in_range(parked_walk((uintptr_t)&plain + round,
					    (uintptr_t)memory + 8 * (round * 27 % 8000), pc, max,
					    &truncated), 1, max);
		assert_int_equal(pc[max], 0x1234);
	}
	munmap(memory, bytes + 4096);
}

/* --- a stack as large as the copy may be ------------------------------------------------------- */

#define FRAME_BYTES 4096

/* A frame of FRAME_BYTES for each call of itself, the innermost of which pauses; and a caller that
 * has its frame pointer alone to say where it came from. */
__asm__(".text\n"
	".type pauses_below, @function\n"
	"pauses_below:\n"
	".cfi_startproc\n"
	"sub $4088, %rsp\n"
	".cfi_adjust_cfa_offset 4088\n"
	"test %rdi, %rdi\n"
	"jz 1f\n"
	"dec %rdi\n"
	"call pauses_below\n"
	"jmp 2f\n"
	"1: mov $34, %eax\n"                   /* pause */
	"syscall\n"
	"2: add $4088, %rsp\n"
	".cfi_adjust_cfa_offset -4088\n"
	"ret\n"
	".cfi_endproc\n"
	".size pauses_below, . - pauses_below\n"
	".type by_frame_pointer, @function\n"
	"by_frame_pointer:\n"
	".cfi_startproc\n"
	"push %rbp\n"
	".cfi_def_cfa_offset 16\n"
	".cfi_offset 6, -16\n"
	"mov %rsp, %rbp\n"
	".cfi_def_cfa_register 6\n"
	"and $-4096, %rsp\n"
	"call pauses_below\n"
	"leave\n"
	".cfi_def_cfa 7, 8\n"
	"ret\n"
	".cfi_endproc\n"
	".size by_frame_pointer, . - by_frame_pointer\n");
void by_frame_pointer(long depth);

static long below;

static void pause_below(struct parked_thread *p)
{
	(void)p;
	by_frame_pointer(below);
}

/* The walk may end on any word of the copy, and right behind the last: there it must not look
 * further for rbp.  What is behind the buffer is no memory here. */
static void a_walk_that_ends_where_the_copy_ends(void **state)
{
	static uintptr_t pc[STACK_DEPTH_MAX];
	const long frames = PARKED_BYTES_MAX / FRAME_BYTES;

	(void)state;
	for (below = frames - 3; below <= frames + 2; below++) {
		struct parked_thread *p = begin_with(pause_below, plain, run);
		bool truncated;
		struct look l;
		unsigned n;

		assert_int_equal(look_until_parked(p, &l, pc), LOOK_BLOCKED);
		n = parked_walk(l.pc, l.sp, pc, STACK_DEPTH_MAX, &truncated);
		end(p);
		/* All that is in the copy; below that, the caller's rbp is found. */
		assert_in_range(n, frames - 2, frames + 16);
		if (below < frames - 1)
			assert_false(truncated);
		else
			assert_true(truncated);
		free(p);
	}
}

static int set_up(void **state)
{
	(void)state;
	return modules_scan(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wait_in_every_kind_of_code),
		cmocka_unit_test(a_fiber),
		cmocka_unit_test(a_handler_on_an_alternate_stack),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(noise_is_walked_to_an_end),
		cmocka_unit_test(a_walk_that_ends_where_the_copy_ends),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
