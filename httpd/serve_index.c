/* The index page: Go's table and list, then what only we have to say. */
#include "encode/buf.h"
#include "httpd/foreign.h"
#include "httpd/routes.h"
#include "httpd/serve.h"
#include "httpd/unseen.h"

static uint64_t count_of(const struct exchange *x, const struct route *r)
{
	return r->profile < 0 ? 0 : x->desk->ground->sites((enum ground_profile)r->profile);
}

static void write_table(struct exchange *x, struct buf *b)
{
	const struct route *r;

	buf_string(b, "<table>\n<thead><td>Count</td><td>Profile</td></thead>\n");
	for (size_t i = 0; (r = routes_at(i)) != NULL; i++) {
		if (r->help == NULL)
			continue;
		buf_string(b, "<tr><td>");
		buf_unsigned(b, count_of(x, r));
		buf_string(b, "</td><td><a href='");
		buf_html(b, r->name);
		buf_string(b, "?debug=1'>");
		buf_html(b, r->name);
		buf_string(b, "</a></td></tr>\n");
	}
	buf_string(b, "</table>\n");
}

static void write_descriptions(struct buf *b)
{
	const struct route *r;

	buf_string(b, "<p>\nProfile Descriptions:\n<ul>\n");
	for (size_t i = 0; (r = routes_at(i)) != NULL; i++) {
		if (r->help == NULL)
			continue;
		buf_string(b, "<li><div class=profile-name>");
		buf_html(b, r->name);
		buf_string(b, ": </div> ");
		buf_html(b, r->help);
		buf_string(b, "</li>\n");
	}
	buf_string(b, "</ul>\n</p>\n");
}

/* Returns how many. */
static unsigned write_unseen(struct exchange *x, struct buf *b)
{
	char text[FOREIGN_LINE_MAX];
	struct buf line = buf_bounded(text, sizeof(text));
	const struct foreign *foreign;
	const struct unseen *u;
	unsigned n = 0;

	unseen_look(x->desk->ground);
	while ((u = unseen_at(n)) != NULL) {
		n++;
		buf_string(b, "<li>heap_unseen ");
		buf_html(b, u->symbol);
		buf_string(b, ": ");
		buf_html(b, u->says);
		buf_string(b, "</li>\n");
	}
	foreign = foreign_find(x);
	for (unsigned i = 0; foreign != NULL && foreign_says(foreign, i, &line); i++, n++) {
		buf_end(&line);
		buf_string(b, "<li>");
		buf_html(b, text);
		buf_string(b, "</li>\n");
		line.len = 0;
	}
	return n;
}

static void write_rate(struct buf *b, uint64_t rate, const char *next)
{
	buf_unsigned(b, rate);
	buf_string(b, rate == 0 ? " (off)" : "");
	buf_string(b, next);
}

static void write_ours(struct exchange *x, struct buf *b)
{
	struct ground_rates rates;
	unsigned lost = 0;

	x->desk->ground->get_rates(&rates);
	buf_string(b, "<p>\npprofshim " SHIM_VERSION ": cpu_hz ");
	write_rate(b, rates.cpu_hz, ", heap_rate ");
	write_rate(b, rates.heap_rate, ", block_rate ");
	write_rate(b, rates.block_rate, ", mutex_fraction ");
	write_rate(b, rates.mutex_fraction, "");
	buf_string(b, "\n<p>\nWhat was given up since the start:\n<ul>\n");
	for (unsigned i = 0; i < COUNT_REASONS; i++) {
		uint64_t n = x->desk->ground->dropped((enum count)i);

		if (n == 0)
			continue;
		lost++;
		buf_string(b, "<li>");
		buf_string(b, count_name((enum count)i));
		buf_string(b, " ");
		buf_unsigned(b, n);
		buf_string(b, ": ");
		buf_html(b, count_says((enum count)i));
		buf_string(b, "</li>\n");
	}
	lost += write_unseen(x, b);
	buf_string(b, lost == 0 ? "<li>nothing</li>\n</ul>\n" : "</ul>\n");
}

void serve_index(struct exchange *x)
{
	char bytes[1024];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	exchange_text(x);
	x->reply.content_type = "text/html; charset=utf-8";
	buf_string(&b, "<html>\n<head>\n<title>/debug/pprof/</title>\n<style>\n"
		       ".profile-name{\n\tdisplay:inline-block;\n\twidth:6rem;\n}\n"
		       "</style>\n</head>\n<body>\n/debug/pprof/\n<br>\n"
		       "<p>Add debug=1 to a profile's address for its text form.</p>\n<br>\n"
		       "Types of profiles available:\n");
	write_table(x, &b);
	write_descriptions(&b);
	write_ours(x, &b);
	buf_string(&b, "</body>\n</html>\n");
	buf_flush(&b);
}
