/* preload/fork.h -- what a fork child must know: one list, in the order of its lines. */
#ifndef PRELOAD_FORK_H
#define PRELOAD_FORK_H

#include <stdbool.h>

/* Registers the child's handler.  follow: children sample and serve too.  has_desk: there is one
 * to start in them.  Context: the constructor. */
void fork_init(bool follow, bool has_desk);

#endif
