/* Heapsort: no memory of its own, and no worst case. */
#include "httpd/order.h"

#include <stdbool.h>

#include "httpd/job.h"

static bool is_less(const struct order *a, const struct order *b)
{
	return a->key != b->key ? a->key < b->key : a->at < b->at;
}

/* Puts x where it belongs in the heap below the free place `root`: the greatest is at 0. */
static void sift(struct order *order, uint32_t count, uint32_t root, struct order x)
{
	for (;;) {
		uint64_t child = 2 * (uint64_t)root + 1;

		if (child >= count)
			break;
		if (child + 1 < count && is_less(&order[child], &order[child + 1]))
			child++;
		if (!is_less(&x, &order[child]))
			break;
		order[root] = order[child];
		root = (uint32_t)child;
	}
	order[root] = x;
}

void order_sort(struct order *order, uint32_t count)
{
	for (uint32_t root = count / 2; root-- > 0;) {
		sift(order, count, root, order[root]);
		job_breathe();
	}
	for (uint32_t last = count; last-- > 1;) {
		struct order x = order[last];

		order[last] = order[0];
		sift(order, last, 0, x);
		job_breathe();
	}
}
