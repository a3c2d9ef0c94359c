/* httpd/ending.h -- the process ends while our thread puts something into the file system.
 *
 * What is there of ours (files of unix sockets, of the registry) goes with the process.  Whoever
 * ends it waits until what is under way is done, and removes that; after it nothing is begun.
 *
 * When full  a file system that takes longer than ENDING_WAIT_NS holds up nobody's end: a file
 *            stays then, as after a kill. */
#ifndef HTTPD_ENDING_H
#define HTTPD_ENDING_H

#include <stdbool.h>

#include "sampler/compiler.h"

#define ENDING_WAIT_NS 20000000ull

/* Our thread, before it makes or removes a file.  False: no more of that.  On true ending_leave
 * follows; not one inside the other. */
MUST_CHECK bool ending_enter(void);
void ending_leave(void);

/* True when somebody ends the process. */
bool ending_begun(void);

/* Any thread of this process, also in a handler: it ends by it. */
void ending_wait(void);

/* A fork child lives on. */
void ending_after_fork(void);

#endif
