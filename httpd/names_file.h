/* httpd/names_file.h -- the file that a module was mapped from, if it is still to be had.
 *
 * Trust     the file must have the build id of the module; where the module has none, its dev and
 *           inode.  (On btrfs and some overlays maps and stat disagree about dev: then there are no
 *           names for objects without a build id.)
 * Where     the program itself by /proc/thread-self/exe, which reaches it when it was deleted or
 *           lies in another mount namespace; else by the path.  Regular files only: to open
 *           anything else could block, or have an effect. */
#ifndef HTTPD_NAMES_FILE_H
#define HTTPD_NAMES_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd/elf.h"
#include "sampler/compiler.h"
#include "sampler/modules.h"

/* A file, to be known again.  Not its ctime: a rename changes that. */
struct names_file {
	uint64_t dev, inode, bytes;     /* dev as in maps.h */
	int64_t  modified_s, modified_ns;
};

/* Opens what the module was mapped from: a file, or memory for "[vdso]".  0 or -errno; then nothing
 * is open, and *file is undefined. */
MUST_CHECK int names_file_open(const struct module *module, struct elf *e, struct names_file *file);
/* Opens this very file again: its descriptor or -errno. */
MUST_CHECK int names_file_reopen(const struct module *module, const struct names_file *file);
/* True if the descriptor is still this file, and unchanged. */
bool names_file_is(int fd, const struct names_file *file);
/* Closes it, if it is this file, changed or not: else the number may be another file of ours. */
void names_file_close(int fd, const struct names_file *file);

#endif
