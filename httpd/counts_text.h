/* httpd/counts_text.h -- a window as text, of a profile that Go has no text of: for people, and in
 * the form that Go has for counts, which pprof reads.
 *
 *     profile profile: total 123
 *     # cpu 1.230000000 s in 5.001 s
 *     #
 *     #     flat   flat%      cum    cum%
 *     #    1.100   89.4%    1.100   89.4%  work
 *     #    0.130   10.5%    1.230  100.0%  main
 *
 *     110 @ 0x401235 0x401342
 *     # cpu 1.100000000 s, 89.4%
 *     #	0x401234	work+0x14	app:0
 *     #	0x401341	main+0x21	app:0
 *
 * The first value is what is counted, the second the time; the most time first.
 *
 * Context   our thread, inside a job; memory of the request's arena. */
#ifndef HTTPD_COUNTS_TEXT_H
#define HTTPD_COUNTS_TEXT_H

#include "httpd/profiles.h"

#define COUNTS_TEXT_TOP 20              /* functions of the table */

/* x->window is being read from then on. */
void counts_text_write(struct exchange *x, const struct profile_kind *kind);

#endif
