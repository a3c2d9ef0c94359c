/* httpd/address.h -- where to listen: the text of PPROFSHIM_ADDR <-> socket addresses.
 *
 * Context   pure: no name service, no system call.
 * Text      items with commas between, blanks around them ignored:
 *
 *   127.0.0.1:6060   [::1]:6060     a literal address; dotted quads without leading zeros; no %zone
 *   localhost:6060                  127.0.0.1
 *   :6060                           127.0.0.1 too.  In Go it would mean every interface; who wants
 *                                   that here writes 0.0.0.0:6060 or [::]:6060
 *   any of these with :0            a free port, chosen by the kernel
 *   unix:/run/app.%p.sock           %p the process id, %% a percent sign; an absolute path
 *   unix:@app.%p, @app.%p           a name of the network namespace's (abstract, unix(7)), no file
 *   off                             alone: nowhere
 *
 * Tests     test/unit/address_test.c, test/fuzz/address_fuzz.c */
#ifndef HTTPD_ADDRESS_H
#define HTTPD_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sampler/compiler.h"

#define ADDRESS_MAX 8
/* "unix:", a path or @ and a name, a 0: the longest text that address_format makes. */
#define ADDRESS_TEXT_MAX (5 + sizeof(((struct sockaddr_un *)0)->sun_path) + 1)

struct address {
	int    family;                  /* AF_INET, AF_INET6, AF_UNIX; as in the socket address */
	bool   loopback;                /* only this machine can reach it; true for unix */
	size_t len;                     /* of the socket address, for bind */
	union {
		struct sockaddr     any;
		struct sockaddr_in  in;
		struct sockaddr_in6 in6;
		struct sockaddr_un  un;
	} to;
};

struct address_list {
	size_t         count;
	struct address address[ADDRESS_MAX];
	const char    *error;           /* after -EINVAL: what is wrong (static text) */
	size_t         error_at;        /* and where: an offset into the text, <= len */
};

/* Returns how many: 0 (off) to ADDRESS_MAX; or -EINVAL and an empty list. */
MUST_CHECK int address_parse(const char *text, size_t len, int pid, struct address_list *out);

/* Where a process of ours is found without knowing its ports: the abstract name pprofshim.UID.PID
 * (effective user id, process id). */
void address_discovery(struct address *a, unsigned uid, int pid);
/* The datagram socket that is there with it: abstract names of datagrams and of streams are apart,
 * and only a datagram socket can be asked for without its owner being woken (ports.h). */
void address_beacon(struct address *a, unsigned uid, int pid);

/* Writes "127.0.0.1:6060", "[::1]:6060" (RFC 5952), "unix:/path" or "unix:@name", as much as there
 * is room for, and a 0 behind it (cap >= 1).  Returns the whole length, < ADDRESS_TEXT_MAX. */
size_t address_format(const struct address *a, char *out, size_t cap);

/* True for a unix socket that is a file. */
bool address_is_file(const struct address *a);

/* 0 for unix. */
unsigned address_port(const struct address *a);
/* Nothing for unix. */
void address_set_port(struct address *a, unsigned port);

#endif
