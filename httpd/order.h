/* httpd/order.h -- puts things in order: by the desk's own sort, for libc's allocates.
 *
 * Context   our thread, inside a job: it breathes. */
#ifndef HTTPD_ORDER_H
#define HTTPD_ORDER_H

#include <stdint.h>

/* at: which one it is.  Of equal keys the one that was first comes first. */
struct order {
	uint64_t key;
	uint32_t at;
};

/* Smallest key first. */
void order_sort(struct order *order, uint32_t count);

#endif
