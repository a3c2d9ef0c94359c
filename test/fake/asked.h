/* test/fake/asked.h -- one request, and what the routes answer to it, without a connection or a
 * job: so nobody waits, and the made ground's on_refresh is what happens in a window. */
#ifndef TEST_FAKE_ASKED_H
#define TEST_FAKE_ASKED_H

#include "unit/pprof_kept.h"

#include <stdio.h>
#include <zlib.h>

#include "fake/made_ground.h"
#include "httpd/request_path.h"
#include "httpd/routes.h"

static struct {
	struct desk_view desk;
	struct exchange  x;
	char             head[REQUEST_HEAD_MAX], path[REQUEST_HEAD_MAX];
	char            *body;          /* of the answer, with a 0 behind it */
	size_t           len;
	size_t           budget_bytes;  /* of the arena; 0: enough for everything */
} asked = { .desk = { .ground = &made_ground, .names = true } };

static inline void asked_forget(void)
{
	free(asked.body);
	asked.body = NULL;
	asked.len = 0;
	window_close(&asked.x.window);
	if (asked.x.arena.map != NULL)
		arena_reset(&asked.x.arena);
	memset(&asked.x, 0, sizeof(asked.x));
}

static inline void asked_keep_body(void)
{
	const struct body_piece *piece = asked.x.reply.body.first;

	asked.body = malloc(asked.x.reply.body.len + 1);
	for (; piece != NULL; piece = piece->next) {
		memcpy(asked.body + asked.len, piece->bytes, piece->len);
		asked.len += piece->len;
	}
	asked.body[asked.len] = '\0';
	assert_int_equal(asked.len, asked.x.reply.body.len);
}

/* Asks, and keeps the answer until the next question.  Returns its status. */
static inline int ask_with(const char *method, const char *target, const char *type,
			   const char *body)
{
	struct exchange *x = &asked.x;
	bool moved;
	int n;

	asked_forget();
	n = snprintf(asked.head, sizeof(asked.head),
		     "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n",
		     method, target, type != NULL ? "Content-Type: " : "", type != NULL ? type : "",
		     type != NULL ? "\r\n" : "");
	assert_int_equal(request_parse(asked.head, (size_t)n, &x->request), n);
	x->desk = &asked.desk;
	x->arena = map_fail_arena(asked.budget_bytes != 0 ? asked.budget_bytes : 256u << 20);
	x->path = asked.path;
	x->path_len = request_path(&x->request, asked.path, &moved);
	assert_false(moved);
	x->data = body;
	x->data_len = body != NULL ? strlen(body) : 0;
	body_init(&x->reply.body, &x->arena);
	routes_serve(x);
	if (!x->arena.failed)
		asked_keep_body();
	return x->reply.status;
}

static inline int ask(const char *target)
{
	return ask_with("GET", target, NULL, NULL);
}

static inline int ask_head(const char *target)
{
	return ask_with("HEAD", target, NULL, NULL);
}

#define assert_answer(target, want_status, want_type, want_body)                     \
	do {                                                                         \
		assert_int_equal(ask(target), want_status);                          \
		assert_string_equal(asked.x.reply.content_type, want_type);          \
		assert_string_equal(asked.body, want_body);                          \
	} while (0)

static inline voidpf asked_lend(voidpf unused, uInt items, uInt size)
{
	(void)unused;
	return malloc((size_t)items * size);
}

static inline void asked_take_back(voidpf unused, voidpf p)
{
	(void)unused;
	free(p);
}

/* The answer as a profile: gzip, then profile.proto.  To be given to done_with. */
static inline Pprofshim__Profile *asked_profile(void)
{
	static uint8_t bytes[4u << 20];
	z_stream z = { .zalloc = asked_lend, .zfree = asked_take_back };
	Pprofshim__Profile *p;

	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (Bytef *)asked.body;
	z.avail_in = (uInt)asked.len;
	z.next_out = bytes;
	z.avail_out = sizeof(bytes);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	p = pprofshim__profile__unpack(&heap, z.total_out, bytes);
	inflateEnd(&z);
	assert_non_null(p);
	check_valid(p);
	return p;
}

#endif
