/* preload/fork.h -- what a fork child must know, when it has run for a moment; and what a parent
 * must not see. */
#ifndef PRELOAD_FORK_H
#define PRELOAD_FORK_H

#include <stdbool.h>

/* Registers the handlers.  follow: children sample and serve too.  has_desk: there is one to start
 * in them.  alone: this program looks how many threads it has when it forks, so our thread is gone
 * then, unless a client is there; the first tick ALONE_NS later brings it back.  Context: the
 * constructor. */
void fork_init(bool follow, bool has_desk, bool alone);

#endif
