/* A processor that cannot change two words as one. */
#include "sampler/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

bool pair_can_swap(void)
{
	return false;
}

bool pair_swap(_Atomic(uint64_t) pair[2], uint64_t was[2], const uint64_t now[2])
{
	(void)pair, (void)was, (void)now;
	abort();        /* there: SIGILL */
}

static void each_half_adds_up_by_itself(void **state)
{
	static _Alignas(PAIR_ALIGN) _Atomic(uint64_t) pair[2];
	uint64_t is[2];

	(void)state;
	pair_read(pair, is);
	assert_true(is[0] == 0 && is[1] == 0);
	pair_add(pair, 1, UINT64_C(1) << 63);
	pair_add(pair, 10, 7);
	pair_read(pair, is);
	assert_true(is[0] == 11 && is[1] == (UINT64_C(1) << 63) + 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_half_adds_up_by_itself) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
