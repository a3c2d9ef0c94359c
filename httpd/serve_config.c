/* /config: the rates at run time. */
#include <stddef.h>
#include <string.h>

#include "encode/buf.h"
#include "httpd/serve.h"
#include "httpd/settings.h"
#include "sampler/compiler.h"
#include "sampler/units.h"

#define RATE(field) offsetof(struct ground_rates, field)

/* What can be set, by the name of its option in lower case. */
static const struct setting {
	const char *name;
	int (*parse)(const char *text, size_t len, uint64_t *out);
	uint64_t    max;
	size_t      at;         /* in struct ground_rates: 8 bytes */
	const char *refusal;
} settings[] = {
	{ "cpu_hz", units_parse_uint, GROUND_CPU_HZ_MAX, RATE(cpu_hz),
	  "not allowed; allowed: 0 to 1000" },
	{ "heap_rate", units_parse_size, GROUND_HEAP_RATE_MAX, RATE(heap_rate),
	  "not allowed; allowed: 0 to 1024g" },
	{ "block_rate", units_parse_time, GROUND_BLOCK_RATE_MAX, RATE(block_rate),
	  "not allowed; allowed: 0 to 3600s" },
	{ "mutex_fraction", units_parse_uint, GROUND_MUTEX_FRACTION_MAX, RATE(mutex_fraction),
	  "not allowed; allowed: 0 to 1000000" },
};

static uint64_t *rate_at(struct ground_rates *rates, const struct setting *s)
{
	return (uint64_t *)(void *)((char *)rates + s->at);
}

static void write_rates(struct exchange *x)
{
	struct ground_rates rates;
	char bytes[512];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	x->desk->ground->get_rates(&rates);
	exchange_text(x);
	x->reply.content_type = "application/json";
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		buf_string(&b, i == 0 ? "{\"" : ", \"");
		buf_string(&b, settings[i].name);
		buf_string(&b, "\": ");
		buf_unsigned(&b, *rate_at(&rates, &settings[i]));
	}
	buf_string(&b, "}\n");
	buf_flush(&b);
}

static void add_text(struct buf *b, struct request_text text)
{
	/* The client's own bytes: only what can stand in a line. */
	for (size_t i = 0; i < text.len && i < 64; i++)
		buf_bytes(b, text.at[i] >= ' ' && text.at[i] < 127 ? &text.at[i] : "?", 1);
}

/* "WHAT: REASON; nothing was changed" */
static void refuse(struct exchange *x, struct buf *line, const char *reason)
{
	buf_string(line, reason);
	buf_string(line, "; nothing was changed");
	buf_end(line);
	exchange_error(x, 400, line->data);
}

static void refuse_body(struct exchange *x, const struct settings *parsed)
{
	char bytes[512];
	struct buf line = buf_bounded(bytes, sizeof(bytes));

	buf_string(&line, "byte ");
	buf_unsigned(&line, parsed->error_at);
	buf_string(&line, " of the body: ");
	refuse(x, &line, parsed->error);
}

static void refuse_pair(struct exchange *x, const struct settings_pair *pair, const char *reason)
{
	char bytes[512];
	struct buf line = buf_bounded(bytes, sizeof(bytes));

	add_text(&line, pair->key);
	buf_string(&line, "=");
	add_text(&line, pair->value);
	buf_string(&line, ": ");
	refuse(x, &line, reason);
}

/* NULL, or what is wrong with it. */
static const char *apply(const struct settings_pair *pair, struct ground_rates *rates)
{
	uint64_t n;

	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		const struct setting *s = &settings[i];

		if (strlen(s->name) != pair->key.len ||
		    memcmp(s->name, pair->key.at, pair->key.len) != 0)
			continue;
		if (s->parse(pair->value.at, pair->value.len, &n) < 0 || n > s->max)
			return s->refusal;
		*rate_at(rates, s) = n;
		return NULL;
	}
	return "no such setting; there are cpu_hz, heap_rate, block_rate and mutex_fraction";
}

static void change(struct exchange *x)
{
	struct ground_rates rates;
	struct settings *parsed = arena_alloc(&x->arena, sizeof(*parsed));
	char *scratch = arena_alloc(&x->arena, x->data_len + 1);
	int n;

	if (parsed == NULL || scratch == NULL)
		return;
	n = settings_parse(x->data, x->data_len, x->request.content_type, scratch, parsed);
	if (n < 0) {
		refuse_body(x, parsed);
		return;
	}
	x->desk->ground->get_rates(&rates);
	for (int i = 0; i < n; i++) {
		const char *wrong = apply(&parsed->pair[i], &rates);

		if (wrong != NULL) {
			refuse_pair(x, &parsed->pair[i], wrong);
			return;
		}
	}
	x->desk->ground->set_rates(&rates);
	write_rates(x);
}

void serve_config(struct exchange *x)
{
	if (x->request.method.at[0] == 'P')
		change(x);
	else
		write_rates(x);
}
