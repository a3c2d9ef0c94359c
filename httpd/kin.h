/* httpd/kin.h -- is this process a child of one of ours?
 *
 * True for what was forked, and for a program whose parent shows a beacon (listen.h) when it is
 * asked first: before we have a name of our own, which must not be taken for the parent's.
 *
 * Context   our thread. */
#ifndef HTTPD_KIN_H
#define HTTPD_KIN_H

#include <stdbool.h>

/* Our effective user id. */
unsigned kin_user(void);

bool kin_is_child(void);

void kin_after_fork(void);

#endif
