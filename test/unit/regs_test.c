/* The registers of the caller and of an interrupted place. */
#include "sampler/regs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sampler/compiler.h"

static struct regs seen;

/* Values into the registers that a called function preserves, then regs_here. */
static void call_with_known_registers(uintptr_t *sp, uintptr_t *pc)
{
	__asm__ volatile(
		"	leaq	-128(%%rsp), %%rsp\n"     /* the red zone */
		"	push	%%rbp\n"
		"	movq	%[sp], %%r14\n"
		"	movq	$0x5bb, %%rbx\n"
		"	movq	$0x5b6, %%rbp\n"
		"	movq	$0x5c2, %%r12\n"
		"	movq	$0x5c3, %%r13\n"
		"	movq	$0x5c5, %%r15\n"
		"	movq	%%rsp, (%%r14)\n"
		"	call	regs_here\n"
		"1:	pop	%%rbp\n"
		"	leaq	128(%%rsp), %%rsp\n"
		"	leaq	1b(%%rip), %%rax\n"
		: "=a"(*pc)
		: [sp] "S"(sp), "D"(&seen)
		: "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		  "memory", "cc");
}

static void the_callers_registers_are_as_they_were(void **state)
{
	uintptr_t sp, pc;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	call_with_known_registers(&sp, &pc);
	assert_int_equal(seen.r[3], 0x5bb);
	assert_int_equal(seen.r[REGS_BP], 0x5b6);
	assert_int_equal(seen.r[REGS_SP], sp);
	assert_int_equal(seen.r[12], 0x5c2);
	assert_int_equal(seen.r[13], 0x5c3);
	assert_int_equal(seen.r[14], (uintptr_t)&sp);
	assert_int_equal(seen.r[15], 0x5c5);
	assert_int_equal(seen.r[REGS_PC], pc);
}

static void what_a_call_may_change_is_not_known(void **state)
{
	uintptr_t sp, pc;

	(void)state;
	memset(&seen, 0xff, sizeof(seen));
	call_with_known_registers(&sp, &pc);
	assert_int_equal(seen.known, 1 << 3 | 1 << 6 | 1 << 7 | 0xf << 12 | 1 << 16);
}

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)info;
	regs_from_signal(&seen, uc);
}

/* A trap with a value of its own in every register. */
static void trap_with_known_registers(uintptr_t *sp, uintptr_t *pc)
{
	__asm__ volatile(
		"	leaq	-128(%%rsp), %%rsp\n"     /* the red zone */
		"	push	%%rbp\n"
		"	movq	$0x5b6, %%rbp\n"
		"	movq	$0x5bb, %%rbx\n"
		"	movq	$0x5d1, %%rdx\n"
		"	movq	$0x5c1, %%rcx\n"
		"	movq	$0x551, %%rsi\n"
		"	movq	$0x5d9, %%rdi\n"
		"	movq	$0x508, %%r8\n"
		"	movq	$0x509, %%r9\n"
		"	movq	$0x510, %%r10\n"
		"	movq	$0x511, %%r11\n"
		"	movq	$0x512, %%r12\n"
		"	movq	$0x513, %%r13\n"
		"	movq	$0x514, %%r14\n"
		"	movq	%%rsp, %%r15\n"
		"	int3\n"
		"1:	pop	%%rbp\n"
		"	leaq	128(%%rsp), %%rsp\n"
		"	leaq	1b(%%rip), %%rax\n"
		"	movq	%%r15, %%rcx\n"
		: "=a"(*pc), "=c"(*sp)
		: "a"(0x5aa)
		: "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		  "memory", "cc");
}

static void all_registers_of_an_interrupted_place_are_known(void **state)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	uintptr_t want[REGS_COUNT] = {
		0x5aa, 0x5d1, 0x5c1, 0x5bb, 0x551, 0x5d9, 0x5b6, 0, 0x508, 0x509, 0x510, 0x511,
		0x512, 0x513, 0x514,
	};

	(void)state;
	sigaction(SIGTRAP, &action, NULL);
	trap_with_known_registers(&want[REGS_SP], &want[REGS_PC]);
	signal(SIGTRAP, SIG_DFL);
	want[15] = want[REGS_SP];
	for (size_t n = 0; n < COUNT_OF(want); n++)
		assert_int_equal(seen.r[n], want[n]);
	assert_int_equal(seen.known, 0x1ffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_callers_registers_are_as_they_were),
		cmocka_unit_test(what_a_call_may_change_is_not_known),
		cmocka_unit_test(all_registers_of_an_interrupted_place_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
