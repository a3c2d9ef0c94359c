/* httpd/desk.h -- our one thread: where it comes from and how it ends.
 *
 * Made by raw clone on a TLS block that ld.so allocated, so that libc's single-thread paths stay
 * with the host (DESIGN.md 9).  It shares nothing with the host but memory: it takes no lock of
 * libc or ld.so, touches no heap, has every signal blocked, and at birth drops every capability.
 *
 * Context   desk_init: the constructor, on the host's thread.  desk_start: the constructor, or the
 *           first tick of a fork child (inside the handler).  desk_after_fork: the child's only
 *           thread. */
#ifndef HTTPD_DESK_H
#define HTTPD_DESK_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/ground.h"

struct desk_options {
	const char *addr;               /* as PPROFSHIM_ADDR; the text stays */
	const char *default_addr;       /* where addr is not allowed; the text stays */
	unsigned    port_tries;
	bool        insecure;           /* other machines may reach it */
	bool        names;              /* functions by name; else addresses only */
	const struct ground *ground;
	/* ld.so's _dl_allocate_tls(NULL), and pthread_create for where that is not to be had. */
	void *(*allocate_tls)(void *);
	int (*create_thread)(void *(*run)(void *));
};

/* 0, -ENOMEM; -EINVAL: "off", there is nothing to start. */
MUST_CHECK int desk_init(const struct desk_options *options);

/* 0 or -errno. */
int desk_start(void);
/* False: the thread is made by pthread_create, which is nothing for a signal handler. */
bool desk_starts_anywhere(void);

/* The child has no desk: closes what it inherited of its parent's. */
void desk_after_fork(void);

#endif
