#include "httpd/ports.h"

#include <string.h>

#include "httpd/yield.h"
#include "sampler/os.h"

static struct {
	const struct address_list *list;
	unsigned         tries;
	struct listener  listener[ADDRESS_MAX];
	struct address   next[ADDRESS_MAX];     /* where to listen; len 0: as told */
	int              yield[ADDRESS_MAX];    /* who wants the port; < 0 none */
	_Atomic unsigned port[ADDRESS_MAX];     /* held, 0 none */
} ports;

void ports_after_fork(void)
{
	memset(&ports, 0, sizeof(ports));
}

static void open_one(size_t i)
{
	struct listener *l = &ports.listener[i];
	struct address *next = &ports.next[i];
	unsigned port;

	if (next->len == 0)
		*next = ports.list->address[i];
	ports.port[i] = 0;
	ports.yield[i] = -1;
	if (listen_open(l, next, ports.tries) < 0)
		return;
	*next = l->address;
	port = address_port(&l->address);
	ports.port[i] = port;
	if (port != 0)
		ports.yield[i] = yield_open(port);
}

static void close_one(size_t i)
{
	os_close(ports.listener[i].fd);
	os_close(ports.yield[i]);
	ports.listener[i].fd = ports.yield[i] = -1;
	ports.port[i] = 0;
}

void ports_open(const struct address_list *list, unsigned tries)
{
	ports.list = list;
	ports.tries = tries;
	for (size_t i = 0; i < list->count; i++)
		open_one(i);
}

void ports_close(void)
{
	for (size_t i = 0; i < ports.list->count; i++)
		close_one(i);
}

void ports_reopen_lost(void)
{
	for (size_t i = 0; i < ports.list->count; i++)
		if (!os_is_ours(ports.listener[i].fd)) {
			close_one(i);
			open_one(i);
		}
}

/* --- poll ------------------------------------------------------------------------------------ */

size_t ports_poll(struct pollfd *fds, bool accepts)
{
	size_t count = ports.list->count;

	for (size_t i = 0; i < count; i++) {
		fds[i] = (struct pollfd){ .fd = accepts ? ports.listener[i].fd : -1,
					  .events = POLLIN };
		fds[count + i] = (struct pollfd){ .fd = ports.yield[i], .events = POLLIN };
	}
	return 2 * count;
}

const struct listener *ports_ready(const struct pollfd *fds, size_t *i)
{
	while (*i < ports.list->count) {
		size_t at = (*i)++;

		if (fds[at].revents != 0)
			return &ports.listener[at];
	}
	return NULL;
}

const struct address *ports_wanted(const struct pollfd *fds, size_t *i)
{
	size_t count = ports.list->count;

	while (*i < count) {
		size_t at = (*i)++;

		if (fds[count + at].revents != 0 && yield_is_asked(ports.yield[at]))
			return &ports.listener[at].address;
	}
	return NULL;
}

/* --- giving way ------------------------------------------------------------------------------ */

bool ports_hold(unsigned port)
{
	for (size_t i = 0; i < ADDRESS_MAX; i++)
		if (port != 0 && ports.port[i] == port)
			return true;
	return false;
}

void ports_give(unsigned port)
{
	for (size_t i = 0; i < ADDRESS_MAX; i++)
		if (ports.next[i].len != 0 && address_port(&ports.next[i]) == port)
			address_set_port(&ports.next[i], port < 65535 ? port + 1 : 0);
}

void ports_move(const struct address *address)
{
	unsigned port = address_port(address);

	for (size_t i = 0; i < ports.list->count; i++)
		if (ports.port[i] == port) {
			close_one(i);
			ports_give(port);
			open_one(i);
		}
}
