#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "httpd/order.h"
#include "sampler/random.h"

#define MAX 3000

static struct order order[MAX];

/* So few different keys that many are equal. */
static void keys_come_in_order_and_equal_ones_as_they_were(void **state)
{
	uint64_t random = random_seed(1);
	static const uint32_t counts[] = { 0, 1, 2, 3, 7, 64, MAX };
	static const uint64_t keys[] = { 1, 5, 300, UINT64_MAX };

	(void)state;
	for (unsigned k = 0; k < 4; k++)
		for (unsigned c = 0; c < 7; c++) {
			uint64_t sum = 0;

			for (uint32_t i = 0; i < counts[c]; i++) {
				order[i] = (struct order){ random_next(&random) % keys[k], i };
				sum += order[i].key * (i + 1);
			}
			order_sort(order, counts[c]);
			for (uint32_t i = 0; i < counts[c]; i++) {
				sum -= order[i].key * (order[i].at + 1);
				if (i == 0)
					continue;
				assert_true(order[i - 1].key <= order[i].key);
				if (order[i - 1].key == order[i].key)
					assert_true(order[i - 1].at < order[i].at);
			}
			assert_true(sum == 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_come_in_order_and_equal_ones_as_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
