/* httpd/symbols_sort.h -- heapsort, in steps.
 *
 * Symbol tables come in an order close to random.  Of the sorts that need no second copy, heapsort
 * is the one without a worst case and without a stack.  Begin with at = 0. */
#ifndef HTTPD_SYMBOLS_SORT_H
#define HTTPD_SYMBOLS_SORT_H

#include "httpd/symbols.h"

/* Goes on sorting entry[0..count) by key.  True while there is more to do. */
MUST_CHECK bool symbols_sort_step(struct symbols_entry *entry, uint32_t count, uint64_t *at);

#endif
