/* pool_server -- an event loop with a pool of memory for each request, as nginx has; and a leak.
 *
 * Listens at ./pool_server.sock.  A line "GET /item/N" is answered at once; of "GET /slow" the
 * answer comes when the client says something else: until then the request has its buffers.  Each
 * item's variant is remembered in a ring of the last ones; what falls out of it nobody frees.  At
 * the end of its input it says how many requests there were. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOINLINE    __attribute__((noinline))
#define CLIENTS_MAX 256
#define RING        16
#define SOCKET      "pool_server.sock"

/* --- pools ----------------------------------------------------------------------------------- */

struct pool_block {
	struct pool_block *next;
	size_t             used, size;
};

struct pool {
	struct pool_block *block;
};

NOINLINE void *pool_alloc(struct pool *pool, size_t n);
NOINLINE void *pool_alloc(struct pool *pool, size_t n)
{
	struct pool_block *b = pool->block;
	void *p;

	if (b == NULL || b->size - b->used < n) {
		size_t size = n > 4096 ? n : 4096;

		b = malloc(sizeof(*b) + size);
		if (b == NULL)
			abort();
		*b = (struct pool_block){ pool->block, 0, size };
		pool->block = b;
	}
	p = (char *)(b + 1) + b->used;
	b->used += n;
	return p;
}

static void pool_destroy(struct pool *pool)
{
	while (pool->block != NULL) {
		struct pool_block *next = pool->block->next;

		free(pool->block);
		pool->block = next;
	}
}

/* --- the leak -------------------------------------------------------------------------------- */

struct variant {
	int  item;
	char text[2000];
};

static struct variant *ring[RING];
static unsigned remembered;

NOINLINE struct variant *remember_variant(int item);
NOINLINE struct variant *remember_variant(int item)
{
	struct variant *v = malloc(sizeof(*v));

	if (v == NULL)
		abort();
	v->item = item;
	snprintf(v->text, sizeof(v->text), "variant of %d", item);
	ring[remembered++ % RING] = v;
	return v;
}

/* --- requests -------------------------------------------------------------------------------- */

static struct client {
	int         fd;
	struct pool connection, request;
	char       *line;
	size_t      len;
} client[CLIENTS_MAX];
static unsigned clients, requests;

static void answer(struct client *c, const char *text)
{
	if (write(c->fd, text, strlen(text)) < 0 && errno != EPIPE)
		perror("write");
	pool_destroy(&c->request);
}

static NOINLINE void handle_item(struct client *c, int item)
{
	char *page = pool_alloc(&c->request, 3000);

	snprintf(page, 3000, "200 %s\n", remember_variant(item)->text);
	answer(c, page);
}

static NOINLINE void handle_slow(struct client *c)
{
	char *buffer = pool_alloc(&c->request, 512 << 10);

	*(volatile char *)buffer = 1;
}

static NOINLINE void handle(struct client *c)
{
	int item;

	requests++;
	if (c->request.block != NULL)
		answer(c, "200 slow\n");
	if (sscanf(c->line, "GET /item/%d", &item) == 1)
		handle_item(c, item);
	else if (strcmp(c->line, "GET /slow") == 0)
		handle_slow(c);
	else
		answer(c, "404\n");
}

static void leave(unsigned i)
{
	close(client[i].fd);
	pool_destroy(&client[i].request);
	pool_destroy(&client[i].connection);
	client[i] = client[--clients];
}

/* False: it has left. */
static int serve(struct client *c)
{
	char bytes[4096];
	ssize_t n = read(c->fd, bytes, sizeof(bytes));

	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] != '\n') {
			if (c->len < 99)
				c->line[c->len++] = bytes[i];
			continue;
		}
		c->line[c->len] = '\0';
		c->len = 0;
		handle(c);
	}
	return n > 0;
}

static void welcome(int fd)
{
	struct client *c = &client[clients];

	if (fd < 0 || clients == CLIENTS_MAX) {
		close(fd);
		return;
	}
	clients++;
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->line = pool_alloc(&c->connection, 100);
}

static int listen_here(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(SOCKET);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 200) < 0) {
		perror(SOCKET);
		exit(1);
	}
	return fd;
}

/* What a server has from its start to its end. */
static NOINLINE void load_config(struct pool *config)
{
	for (int i = 0; i < 2000; i++)
		memset(pool_alloc(config, 1000), i, 1000);
}

int main(void)
{
	struct pollfd fds[CLIENTS_MAX + 2] = { { .fd = STDIN_FILENO, .events = POLLIN } };
	struct pool config = { NULL };
	char c;

	load_config(&config);
	fds[1] = (struct pollfd){ .fd = listen_here(), .events = POLLIN };
	puts("ready");
	fflush(stdout);
	for (;;) {
		unsigned had = clients;

		for (unsigned i = 0; i < had; i++)
			fds[2 + i] = (struct pollfd){ .fd = client[i].fd, .events = POLLIN };
		if (poll(fds, 2 + had, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents != 0 && read(STDIN_FILENO, &c, 1) <= 0)
			break;
		/* From the last one on, for the last one takes the place of one that leaves. */
		for (unsigned i = had; i-- > 0;)
			if (fds[2 + i].revents != 0 && !serve(&client[i]))
				leave(i);
		if (fds[1].revents != 0)
			welcome(accept(fds[1].fd, NULL, NULL));
	}
	while (clients > 0)
		leave(clients - 1);
	pool_destroy(&config);
	unlink(SOCKET);
	printf("%u requests\n", requests);
	return 0;
}
