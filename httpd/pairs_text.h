/* httpd/pairs_text.h -- mutex?view=pairs: who waited for whom.
 *
 *     --- pairs: waiter <- holder
 *     cycles/second=1000000000
 *     81234567 123 reads <- writes
 *     # waiter @ 0x401235 0x401342
 *     #	0x401234	reads+0x14	app:0
 *     #	0x401341	main+0x21	app:0
 *     # holder @ 0x401500 0x401342
 *     #	0x4014ff	writes+0x1f	app:0
 *     #	0x401341	main+0x21	app:0
 *
 * A wait counts whole, for one of those who held the lock meanwhile, drawn by how long each did.
 * The most delay first.
 *
 * Context   our thread, inside a job. */
#ifndef HTTPD_PAIRS_TEXT_H
#define HTTPD_PAIRS_TEXT_H

#include "httpd/exchange.h"

void pairs_text_write(struct exchange *x);

#endif
