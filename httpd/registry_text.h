/* httpd/registry_text.h -- what is in a file of the registry, written and read again.
 *
 *     [
 *       {
 *         "targets": ["127.0.0.1:6060"],
 *         "labels": {
 *           "service_name": "redis-server",
 *           "__meta_pprofshim_pid": "4242",
 *           ...
 *
 * One target at most, the first TCP address, for each would be scraped; one that means every
 * interface is said as the loopback's.  Labels with __meta_ go away when a scraper has chosen its
 * targets: a process id that stayed would make a new series at each start.
 *
 * Context   pure.
 * Tests     test/unit/registry_text_test.c */
#ifndef HTTPD_REGISTRY_TEXT_H
#define HTTPD_REGISTRY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encode/buf.h"
#include "httpd/address.h"
#include "sampler/compiler.h"

#define REGISTRY_TEXT_BOOT 36           /* as /proc/sys/kernel/random/boot_id has it */

/* Where a process id and an abstract name mean something, and whose name it is (address_discovery):
 * the owner of the file may have another number in another user namespace.  0, "": not known. */
struct registry_where {
	char     boot[REGISTRY_TEXT_BOOT + 1];
	uint64_t pids, net;             /* the inodes of namespaces(7) */
	uint64_t uid;
};

struct registry_entry {
	const char *program;            /* its path; "": not known */
	int         pid;
	int64_t     started_s;
	struct registry_where where;
	const struct address *const *open;
	size_t      count;
};

void registry_text_write(struct buf *b, const struct registry_entry *e);

/* What such a text says; false: it is none of ours. */
MUST_CHECK bool registry_text_where(const char *text, size_t len, struct registry_where *out);

#endif
