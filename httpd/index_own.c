#include "httpd/index_own.h"

#include "httpd/foreign.h"
#include "httpd/own.h"
#include "httpd/unseen.h"
#include "sampler/compiler.h"

/* --- where else to look ---------------------------------------------------------------------- */

static void write_links(struct buf *b)
{
	static const struct { const char *href, *says; } links[] = {
		{ "/metrics", "what it costs and has given up, for Prometheus" },
		{ "/healthz", "ok" },
		{ "config", "the rates, which a POST changes" },
		{ "wall?seconds=5", "where all threads are, for five seconds" },
		{ "mmap?debug=1", "anonymous memory by who mapped it" },
	};

	buf_string(b, "<hr>\n<p>pprofshim " SHIM_VERSION "</p>\n<ul>\n");
	for (size_t i = 0; i < COUNT_OF(links); i++) {
		buf_string(b, "<li><a href=\"");
		buf_html(b, links[i].href);
		buf_string(b, "\">");
		buf_html(b, links[i].href);
		buf_string(b, "</a> ");
		buf_html(b, links[i].says);
		buf_string(b, "</li>\n");
	}
	buf_string(b, "</ul>\n");
}

/* --- what is off ----------------------------------------------------------------------------- */

static void write_rate(struct buf *b, uint64_t rate, const char *next)
{
	buf_unsigned(b, rate);
	buf_string(b, rate == 0 ? " (off)" : "");
	buf_string(b, next);
}

static void write_rates(struct buf *b, const struct ground_rates *rates)
{
	buf_string(b, "<p>Rates: cpu_hz ");
	write_rate(b, rates->cpu_hz, ", heap_rate ");
	write_rate(b, rates->heap_rate, ", block_rate ");
	write_rate(b, rates->block_rate, ", mutex_fraction ");
	write_rate(b, rates->mutex_fraction, "</p>\n");
}

static void item(struct buf *b, const char *text)
{
	buf_string(b, "<li>");
	buf_html(b, text);
	buf_string(b, "</li>\n");
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
		item(b, text);
		line.len = 0;
	}
	return n;
}

static void write_off(struct exchange *x, struct buf *b)
{
	struct ground_rates rates;
	unsigned n = 0;

	x->desk->ground->get_rates(&rates);
	write_rates(b, &rates);
	const struct { bool is; const char *says; } off[] = {
		{ rates.cpu_hz == 0, "profile: cpu_hz is 0; profile?hz=100 samples all the same" },
		{ rates.heap_rate == 0, "heap, allocs: heap_rate is 0" },
		{ rates.block_rate == 0, "block: block_rate is 0" },
		{ rates.mutex_fraction == 0, "mutex: mutex_fraction is 0" },
		{ !x->desk->names, "names of functions: PPROFSHIM_SYMBOLS is none" },
	};

	buf_string(b, "<p>What is off, or cannot be seen here:</p>\n<ul>\n");
	for (size_t i = 0; i < COUNT_OF(off); i++)
		if (off[i].is) {
			n++;
			item(b, off[i].says);
		}
	n += write_unseen(x, b);
	if (n == 0)
		item(b, "all is on");
	buf_string(b, "</ul>\n");
}

static void write_drops(struct exchange *x, struct buf *b)
{
	unsigned lost = 0;

	buf_string(b, "<p>What was given up since the start:</p>\n<ul>\n");
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
	if (lost == 0)
		item(b, "nothing");
	buf_string(b, "</ul>\n");
}

/* --- what it costs --------------------------------------------------------------------------- */

static void row(struct buf *b, const char *what)
{
	buf_string(b, "<tr><td>");
	buf_string(b, what);
	buf_string(b, "</td><td>");
}

static void end_row(struct buf *b, const char *unit)
{
	buf_string(b, unit);
	buf_string(b, "</td></tr>\n");
}

/* Seconds, and the share of all CPU time of the process. */
static void time_row(struct buf *b, const char *what, uint64_t ns, uint64_t of_ns)
{
	uint64_t share = of_ns != 0 ? (uint64_t)(10000.0 * (double)ns / (double)of_ns) : 0;

	row(b, what);
	buf_unsigned(b, ns / 1000000000u);
	buf_string(b, ".");
	buf_padded(b, ns / 1000000u % 1000, 3);
	buf_string(b, " s</td><td>");
	buf_unsigned(b, share / 100);
	buf_string(b, ".");
	buf_padded(b, share % 100, 2);
	end_row(b, " %");
}

static void bytes_row(struct buf *b, const char *what, uint64_t bytes)
{
	row(b, what);
	buf_unsigned(b, bytes >> 10);
	buf_string(b, " KiB</td><td>");
	end_row(b, "");
}

static void write_cost(struct exchange *x, struct buf *b)
{
	struct own_cost c;

	own_cost(x, &c);
	buf_string(b, "<p>What it costs, of the CPU time of this process:</p>\n<table>\n");
	time_row(b, "the thread that serves this", c.desk_ns, c.process_ns);
	time_row(b, "CPU samples (estimated)", c.tick_ns, c.process_ns);
	time_row(b, "samples of malloc, locks, mmap (estimated)", c.door_ns, c.process_ns);
	time_row(b, "all together", c.desk_ns + c.tick_ns + c.door_ns, c.process_ns);
	bytes_row(b, "resident memory of stacks and counters", c.resident);
	bytes_row(b, "indexes of names", c.names);
	bytes_row(b, "unwind tables", c.tables);
	bytes_row(b, "address space", c.mapped);
	buf_string(b, "</table>\n");
}

static void write_options(struct exchange *x, struct buf *b)
{
	const struct desk_view *desk = x->desk;

	buf_string(b, "<p>Options at the start:</p>\n<table>\n");
	for (size_t i = 0; i < desk->options; i++) {
		buf_string(b, "<tr><td>PPROFSHIM_");
		buf_html(b, desk->option[i].name);
		buf_string(b, "</td><td>");
		buf_html(b, desk->option[i].value);
		buf_string(b, "</td><td>");
		end_row(b, desk->option[i].is_set ? "set" : "default");
	}
	buf_string(b, "</table>\n");
}

void index_own(struct exchange *x, struct buf *b)
{
	write_links(b);
	write_off(x, b);
	write_drops(x, b);
	write_cost(x, b);
	write_options(x, b);
}
