/* sampler/ticks.h -- a clock for half the price of the time: of no known frequency, and not to be
 * compared between processors.
 *
 * Context   any. */
#ifndef SAMPLER_TICKS_H
#define SAMPLER_TICKS_H

#include <stdint.h>

/* --- of the processor: ticks_<arch>.c -------------------------------------------------------- */

/* Between one and four in a ns. */
uint64_t ticks_now(void);
/* clock_forbid_counter's: from now on these are ns. */
void ticks_forbid_counter(void);

#endif
