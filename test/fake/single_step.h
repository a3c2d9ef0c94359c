/* test/fake/single_step.h -- calls something and has a look after each instruction of it, by the
 * processor's trap flag.  Not under a thread sanitizer: its own locks would be held meanwhile. */
#ifndef TEST_FAKE_SINGLE_STEP_H
#define TEST_FAKE_SINGLE_STEP_H

#include <signal.h>
#include <string.h>

#ifdef __SANITIZE_THREAD__
#define SINGLE_STEP_WORKS 0
#else
#define SINGLE_STEP_WORKS 1
#endif

static struct {
	void   (*look)(void);
	unsigned steps;
} single_step;

static void single_step_trap(int sig)
{
	(void)sig;
	single_step.steps++;
	single_step.look();
}

static inline void single_step_flag(unsigned long flag)
{
	unsigned long flags = __builtin_ia32_readeflags_u64();

	__builtin_ia32_writeeflags_u64((flags & ~0x100ul) | flag);
}

/* Returns how many instructions it was. */
static inline unsigned single_step_through(void (*f)(void), void (*then)(void))
{
	struct sigaction trap, before;

	memset(&trap, 0, sizeof(trap));
	trap.sa_handler = single_step_trap;
	sigaction(SIGTRAP, &trap, &before);
	single_step.look = then;
	single_step.steps = 0;
	single_step_flag(0x100);
	f();
	single_step_flag(0);
	sigaction(SIGTRAP, &before, NULL);
	return single_step.steps;
}

#endif
