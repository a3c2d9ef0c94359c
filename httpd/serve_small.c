/* /cmdline and /symbol. */
#include <string.h>

#include "encode/buf.h"
#include "encode/text.h"
#include "httpd/chores.h"
#include "httpd/job.h"
#include "httpd/legacy_address.h"
#include "httpd/query.h"
#include "httpd/serve.h"
#include "sampler/os.h"

/* --- cmdline --------------------------------------------------------------------------------- */

/* The name alone, up to a blank: setproctitle writes the arguments into it, too. */
static size_t name_of(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && bytes[n] != '\0' && bytes[n] != ' ')
		n++;
	return n;
}

/* Arguments with a NUL between two, none behind the last. */
void serve_cmdline(struct exchange *x)
{
	char bytes[4096];
	bool pending = false;   /* a NUL that is written when something follows */
	bool ends = false;
	long n;
	int fd;

	if (x->desk->cmdline == DESK_CMDLINE_OFF) {
		exchange_error(x, 403, "the command line is not shown: PPROFSHIM_CMDLINE=off");
		return;
	}
	fd = os_open_read("/proc/thread-self/cmdline");
	exchange_text(x);
	if (fd < 0)
		return;
	while (!ends && (n = os_read(fd, bytes, sizeof(bytes))) > 0) {
		size_t len = (size_t)n;

		ends = x->desk->cmdline == DESK_CMDLINE_ARGV0;
		if (ends)
			len = name_of(bytes, len);
		if (len == 0)
			break;
		if (pending)
			sink_write(&x->reply.body.sink, "", 1);
		pending = bytes[len - 1] == '\0';
		sink_write(&x->reply.body.sink, bytes, len - pending);
	}
	os_close(fd);
}

/* --- symbol ---------------------------------------------------------------------------------- */

/* A Go literal: 0x, 0b, 0o or a leading 0 for octal, else decimal.  0: not a number. */
static uint64_t parse_literal(const char *s, size_t len)
{
	uint64_t n = 0, base = 10;
	size_t i = 0;

	if (len > 1 && s[0] == '0') {
		char mark = s[1] | 0x20;

		base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
		i = mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
	}
	if (i == len)
		return 0;
	for (; i < len; i++) {
		int digit = query_hex(s[i]);

		if (digit < 0 || (uint64_t)digit >= base || n > (UINT64_MAX - 15) / base)
			return 0;
		n = n * base + (uint64_t)digit;
	}
	return n;
}

static void write_symbol(struct exchange *x, struct buf *b, uint64_t address)
{
	struct names_answer answer;

	if (!legacy_address_name(x, address, &answer))
		return;
	buf_string(b, "0x");
	buf_hex(b, address, 1);
	buf_string(b, " ");
	text_name(b, answer.name);
	buf_string(b, "\n");
}

/* Go takes the query as it is, without decoding; a POST has the same in its body. */
void serve_symbol(struct exchange *x)
{
	bool post = x->request.method.len == 4 && x->request.method.at[0] == 'P';
	const char *at = post ? x->data : x->request.query.at;
	const char *end = at + (post ? x->data_len : x->request.query.len);
	char bytes[4096];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	exchange_text(x);
	chores_refresh(x->desk->ground);
	buf_string(&b, "num_symbols: 1\n");
	while (at < end && !x->arena.failed) {
		const char *plus = memchr(at, '+', (size_t)(end - at));
		const char *stop = plus != NULL ? plus : end;
		uint64_t address = parse_literal(at, (size_t)(stop - at));

		if (address != 0)
			write_symbol(x, &b, address);
		at = stop + 1;
		job_breathe();
	}
	buf_flush(&b);
}
