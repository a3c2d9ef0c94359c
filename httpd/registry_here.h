/* httpd/registry_here.h -- what a file of the registry says of the process that writes it.
 *
 * Context   our thread. */
#ifndef HTTPD_REGISTRY_HERE_H
#define HTTPD_REGISTRY_HERE_H

#include <stddef.h>

#include "httpd/registry_text.h"

/* What the kernel does not tell is 0, "". */
void registry_here(struct registry_where *here);

/* The path of the program that runs, a 0 behind it; "": the kernel does not tell, or there is no
 * room. */
void registry_here_program(char *path, size_t size);

#endif
