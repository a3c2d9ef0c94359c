/* sampler/modules_scan.h -- reads the list of mappings into modules.h: at once, or in steps that
 * all who want one share.
 *
 * Context   one caller at a time (the constructor, then our thread).
 * Memory    one reader, and its descriptor, which is open between steps.  It is of the thread that
 *           opened it: who goes on in that one's place begins anew. */
#ifndef SAMPLER_MODULES_SCAN_H
#define SAMPLER_MODULES_SCAN_H

#include <stdbool.h>
#include <stdint.h>

/* Read the list of mappings.  With permanent (the constructor's call), what is found is permanent
 * if modules_permanent says so.  0 or -errno; on failure what was known stays. */
int modules_scan(bool permanent);
/* The same, not permanent, in steps of some 50 lines, shared by all who want one: *ticket is 0 at
 * first.  False: one that began after that is over, or failed. */
bool modules_scan_go_on(uint64_t *ticket);
/* A fork child: our thread's files are its parent's. */
void modules_scan_after_fork(void);

#endif
