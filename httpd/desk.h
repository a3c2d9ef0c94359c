/* httpd/desk.h -- our one thread: where it comes from and how it ends.
 *
 * Made by raw clone on a TLS block that ld.so allocated, so that libc's single-thread paths stay
 * with the host (DESIGN.md 9).  It shares nothing with the host but memory: it takes no lock of
 * libc or ld.so, touches no heap, has every signal blocked, and at birth drops every capability.
 *
 * Some things a host can only do alone, or want every thread to be what it has become: then our
 * thread ends, cutting its clients, and is made again by whoever sent it away.
 *
 * Context   desk_init: the constructor, on the host's thread.  desk_start: any thread of the host,
 *           also inside a handler if desk_starts_anywhere.  desk_after_fork: the child's only
 *           thread.  The rest: any thread of the host, in a door. */
#ifndef HTTPD_DESK_H
#define HTTPD_DESK_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd/exchange.h"
#include "httpd/policy.h"
#include "httpd/ports.h"
#include "sampler/compiler.h"
#include "sampler/ground.h"

struct desk_options {
	const char *addr;               /* as PPROFSHIM_ADDR; the text stays */
	const char *default_addr;       /* where addr is not allowed; the text stays */
	struct ports_options ports;
	const char *registry;           /* a directory, or "" */
	struct policy_options policy;
	enum desk_cmdline cmdline;
	bool        names;              /* functions by name; else addresses only */
	const struct desk_option *option;       /* as they are in force; they stay */
	size_t      options;
	const struct ground *ground;
	/* ld.so's _dl_allocate_tls(NULL), and pthread_create for where that is not to be had. */
	void *(*allocate_tls)(void *);
	int (*create_thread)(void *(*run)(void *));
};

/* 0, -ENOMEM; -EINVAL: "off", there is nothing to start. */
MUST_CHECK int desk_init(const struct desk_options *options);

/* 0, also when it runs already or somebody holds it off; or -errno. */
int desk_start(void);
/* After desk_start, in the constructor, which nobody else waits for.  While our thread parts with
 * the host's descriptors it has a second copy of them, for some microseconds, in which what the
 * host closes would stay open: so this waits until that is over, some 25 us, DESK_PART_NS at most.
 * Our thread waits for nobody meanwhile.  (A desk that starts later has that moment.) */
#define DESK_PART_NS 200000000
void desk_wait_until_parted(void);
/* False: the thread is made by pthread_create, which is nothing for a signal handler. */
bool desk_starts_anywhere(void);

/* The process ends, by the calling thread: what it has put into the file system goes.  In a child
 * that came by a road of its own, and in a handler, too: some system calls, and 20 ms at most. */
void desk_end(void);

/* The child has no desk: closes what it inherited of its parent's. */
void desk_after_fork(void);

/* Our thread ends, and is not started until as many calls of desk_let_back as of this have been.
 * Waits until the kernel has no such thread: some 100 us (a pthread: up to 50 ms), DESK_LEAVE_NS at
 * most; then the log says so, and a tick starts it when the one before has ended.  Nothing happens
 * in a child that came without desk_after_fork. */
#define DESK_LEAVE_NS 2000000000ull
void desk_hold_off(void);
void desk_let_back(void);

/* The calling thread has changed its identity: if our thread could do now what this one can not
 * any more (identity.h), it is made again, as this one is. */
void desk_follow(void);

/* It is not started any more, in this process. */
void desk_stay_away(void);

/* True while nobody is connected. */
bool desk_is_idle(void);

/* The host wants this TCP port, which is taken.  True: it was ours; our thread is held off, and
 * desk_give_port says, before desk_let_back, that it shall come back at the next port. */
bool desk_holds_port(unsigned port);
void desk_give_port(unsigned port);
/* True: the desk of another process of this user held it, and moves on as soon as it reads that. */
bool desk_asks_for_port(unsigned port);

#endif
