#include "httpd/ports.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "httpd/ending.h"
#include "httpd/kin.h"
#include "httpd/registry.h"
#include "httpd/yield.h"
#include "sampler/os.h"

/* What could not be opened is tried again after 1, 2, 4 and then each 8 looks (seconds, mostly). */
#define LOOKS_MAX 8

/* Number 0 is our own address, the told ones follow. */
static struct {
	const struct address_list  *list;
	const struct ports_options *options;
	bool             early;                 /* a child that has only just begun */
	bool             changed;               /* since the registry was told */
	struct listener  listener[PORTS_MAX];
	struct address   next[PORTS_MAX];       /* where to listen; len 0: as told */
	unsigned         pause[PORTS_MAX], left[PORTS_MAX];     /* looks until the next try */
	int              yield[PORTS_MAX];      /* who wants the port; < 0 none */
	int              beacon;
	_Atomic unsigned port[PORTS_MAX];       /* held, 0 none */
	_Atomic bool     file[PORTS_MAX];       /* there may be one, of a unix socket */
} ports;

void ports_after_fork(void)
{
	memset(&ports, 0, sizeof(ports));
	kin_after_fork();
}

/* --- opening --------------------------------------------------------------------------------- */

static size_t count(void)
{
	return 1 + ports.list->count;
}

static bool has_v4(void)
{
	for (size_t i = 0; i < ports.list->count; i++)
		if (ports.list->address[i].family == AF_INET)
			return true;
	return false;
}

static const char *text_instead(char *text, size_t size)
{
	static const char start[] = "; it answers on ";

	memcpy(text, start, sizeof(start));
	address_format(&ports.listener[0].address, text + sizeof(start) - 1,
		       size - sizeof(start) + 1);
	return text;
}

/* The same as 0.0.0.0 and [::] in Go: alone, [::] is both. */
static int open_at(size_t i)
{
	char text[16 + ADDRESS_TEXT_MAX];
	bool own = i == 0, others = ports.listener[0].fd >= 0 && !own;
	const struct listen_options options = {
		.tries = ports.options->tries,
		.v6_only = has_v4(),
		.said_at = own ? LOG_DEBUG : LOG_INFO,
		.refused_at = own || kin_is_child() ? LOG_INFO : LOG_ERROR,
		.instead = others ? text_instead(text, sizeof(text)) : "",
	};

	return listen_open(&ports.listener[i], &ports.next[i], &options);
}

/* The end of the process waits, and finds the file. */
static int open_while_it_lasts(size_t i)
{
	int err;

	if (!ending_enter())
		return -ESRCH;
	err = open_at(i);
	ports.file[i] = err == 0 && address_is_file(&ports.listener[i].address);
	ending_leave();
	return err;
}

static void open_one(size_t i)
{
	struct listener *l = &ports.listener[i];
	struct address *next = &ports.next[i];
	unsigned port;

	if (i == 0)
		address_discovery(next, kin_user(), os_getpid());
	else if (next->len == 0)
		*next = ports.list->address[i - 1];
	ports.port[i] = 0;
	ports.yield[i] = -1;
	if (open_while_it_lasts(i) < 0) {
		ports.pause[i] = ports.pause[i] == 0 ? 1 : 2 * ports.pause[i];
		if (ports.pause[i] > LOOKS_MAX)
			ports.pause[i] = LOOKS_MAX;
		ports.left[i] = ports.pause[i];
		return;
	}
	*next = l->address;
	ports.changed = true;
	ports.pause[i] = 0;
	if (i == 0)
		ports.beacon = listen_beacon(kin_user(), os_getpid());
	port = address_port(&l->address);
	ports.port[i] = port;
	if (port != 0)
		ports.yield[i] = yield_open(port);
}

static void close_one(size_t i)
{
	ports.changed |= ports.listener[i].fd >= 0;
	listen_close(&ports.listener[i]);
	ports.file[i] = false;
	if (i == 0) {
		os_close(ports.beacon);
		ports.beacon = -1;
	}
	os_close(ports.yield[i]);
	ports.yield[i] = -1;
	ports.port[i] = 0;
}

static void tell_registry(void)
{
	const struct address *open[PORTS_MAX];
	size_t n = 0;

	if (!ports.changed)
		return;
	ports.changed = false;
	for (size_t i = 0; i < count(); i++)
		if (ports.listener[i].fd >= 0)
			open[n++] = &ports.listener[i].address;
	if (n > 0)
		registry_tell(open, n, kin_is_child() ? LOG_INFO : LOG_ERROR);
	else
		registry_forget();
}

static void shut(size_t i)
{
	ports.listener[i].fd = ports.yield[i] = -1;
	ports.pause[i] = ports.left[i] = 0;
}

void ports_open(const struct address_list *list, const struct ports_options *options)
{
	ports.list = list;
	ports.options = options;
	ports.beacon = -1;
	for (size_t i = 0; i < count(); i++)
		shut(i);
	/* Before we have our own name, which a process of ours must not find as its parent's. */
	ports.early = kin_is_child() && ports.next[0].len == 0;
	open_one(0);
	for (size_t i = 1; i < count() && !ports.early; i++)
		if (!kin_is_child() || options->for_children)
			open_one(i);
	if (!ports.early)
		tell_registry();
}

void ports_close(void)
{
	registry_forget();
	for (size_t i = 0; i < count(); i++)
		close_one(i);
}

/* Our user id may have another name now: a user namespace was given its map. */
static bool has_its_name(void)
{
	struct address name;

	address_discovery(&name, kin_user(), os_getpid());
	return memcmp(&name, &ports.listener[0].address, sizeof(name)) == 0;
}

static void look_at(size_t i)
{
	bool lost = ports.pause[i] == 0;        /* it was open, or is not to be waited for */

	if (os_is_ours(ports.listener[i].fd) && (i > 0 || has_its_name()))
		return;
	if (!lost && --ports.left[i] > 0)
		return;
	close_one(i);
	open_one(i);
}

void ports_look(void)
{
	bool all = !kin_is_child() || ports.options->for_children;

	ports.early = false;
	for (size_t i = 0; i < (all ? count() : 1); i++)
		look_at(i);
	tell_registry();
	registry_look();
}

/* --- poll ------------------------------------------------------------------------------------ */

size_t ports_poll(struct pollfd *fds, bool accepts)
{
	size_t n = count();

	for (size_t i = 0; i < n; i++) {
		fds[i] = (struct pollfd){ .fd = accepts ? ports.listener[i].fd : -1,
					  .events = POLLIN };
		fds[n + i] = (struct pollfd){ .fd = ports.yield[i], .events = POLLIN };
	}
	return 2 * n;
}

const struct listener *ports_ready(const struct pollfd *fds, size_t *i)
{
	while (*i < count()) {
		size_t at = (*i)++;

		if (fds[at].revents != 0)
			return &ports.listener[at];
	}
	return NULL;
}

const struct address *ports_wanted(const struct pollfd *fds, size_t *i)
{
	size_t n = count();

	while (*i < n) {
		size_t at = (*i)++;

		if (fds[n + at].revents != 0 && yield_is_asked(ports.yield[at]))
			return &ports.listener[at].address;
	}
	return NULL;
}

/* --- giving way ------------------------------------------------------------------------------ */

bool ports_hold(unsigned port)
{
	for (size_t i = 0; i < PORTS_MAX; i++)
		if (port != 0 && ports.port[i] == port)
			return true;
	return false;
}

void ports_give(unsigned port)
{
	for (size_t i = 0; i < PORTS_MAX; i++)
		if (ports.next[i].len != 0 && address_port(&ports.next[i]) == port)
			address_set_port(&ports.next[i], port < 65535 ? port + 1 : 0);
}

void ports_move(const struct address *address)
{
	unsigned port = address_port(address);

	for (size_t i = 0; i < count(); i++)
		if (ports.port[i] == port) {
			close_one(i);
			ports_give(port);
			open_one(i);
		}
	tell_registry();
}

void ports_end(void)
{
	for (size_t i = 0; i < PORTS_MAX; i++)
		if (ports.file[i])
			listen_unlink(&ports.listener[i]);
}
