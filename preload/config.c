#include "preload/config.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "encode/buf.h"
#include "sampler/compiler.h"
#include "sampler/ground.h"
#include "sampler/limits.h"
#include "sampler/units.h"

enum kind { TEXT, UINT, SIZE, TIME, CHOICE };

static const char *const log_levels[] = { "quiet", "error", "info", "debug", NULL };
static const char *const unwinders[] = { "auto", "fp", "libunwind", NULL };
static const char *const clocks[] = { "auto", "timer", "perf", NULL };
static const char *const symbols[] = { "none", "names", NULL };
static const char *const children[] = { "all", "socket", "none", NULL };
static const char *const switches[] = { "0", "1", NULL };
static const char *const cmdlines[] = { "full", "argv0", "off", NULL };

/* README's table is compared with this one by scripts/check-readme. */
static const struct option {
	const char        *name;        /* without PPROFSHIM_ */
	enum kind          kind;
	const char        *def;         /* NULL: not set */
	uint64_t           min, max;    /* UINT, SIZE, TIME */
	const char *const *choices;     /* CHOICE: the value is the index */
	size_t             at;          /* in struct config */
	const char        *allowed, *help;
} options[] = {
#define AT(field) .at = offsetof(struct config, field)
	{ "LOG", CHOICE, "error", .choices = log_levels, AT(log),
	  .allowed = "quiet, error, info or debug", .help = "how much is written to stderr" },
	{ "ADDR", TEXT, "127.0.0.1:6060", AT(addr), .allowed = "a text of less than 512 bytes",
	  .help = "where to listen: host:port, :port, [::1]:0, unix:/path/%p.sock, off; a list" },
	{ "PORT", UINT, NULL, 0, 65535, AT(port), .allowed = "0 to 65535",
	  .help = "shorthand for 127.0.0.1:PORT; 0 takes any free port" },
	{ "PORT_TRIES", UINT, "100", 1, 10000, AT(port_tries), .allowed = "1 to 10000",
	  .help = "how many following ports to try when one is taken" },
	{ "CPU_HZ", UINT, "100", 0, GROUND_CPU_HZ_MAX, AT(cpu_hz), .allowed = "0 to 1000",
	  .help = "samples per second of CPU time, for each thread; 0 off" },
	{ "CPU_CLOCK", CHOICE, "auto", .choices = clocks, AT(cpu_clock),
	  .allowed = "auto, timer or perf",
	  .help = "auto, timer: the kernel's CPU timers; perf: perf_event_open, for high rates" },
	{ "HEAP_RATE", SIZE, "512k", 0, GROUND_HEAP_RATE_MAX, AT(heap_rate),
	  .allowed = "0 to 1024g", .help = "mean bytes between heap samples; 1 all, 0 off" },
	{ "BLOCK_RATE", TIME, "10us", 0, GROUND_BLOCK_RATE_MAX, AT(block_rate),
	  .allowed = "0 to 3600s",
	  .help = "mean time of waiting between block samples; 1 all, 0 off" },
	{ "MUTEX_FRACTION", UINT, "1", 0, GROUND_MUTEX_FRACTION_MAX, AT(mutex_fraction),
	  .allowed = "0 to 1000000", .help = "one in n releases that made others wait; 0 off" },
	{ "DEPTH", UINT, "128", 1, STACK_DEPTH_MAX, AT(depth), .allowed = "1 to 1024",
	  .help = "frames of a stack" },
	{ "MEMORY", SIZE, "64m", 1u << 20, 1ull << 36, AT(memory), .allowed = "1m to 64g",
	  .help = "budget for stacks and counters; used as they come" },
	{ "UNWINDER", CHOICE, "auto", .choices = unwinders, AT(unwinder),
	  .allowed = "auto, fp or libunwind",
	  .help = "auto: unwind tables, then frame pointers; fp: those only; libunwind: not safe" },
	{ "SYMBOLS", CHOICE, "names", .choices = symbols, AT(symbols), .allowed = "none or names",
	  .help = "names: functions by name; none: addresses only" },
	{ "ONLY", TEXT, "", AT(only), .allowed = "a text of less than 512 bytes",
	  .help = "profile only programs whose name matches one of these globs" },
	{ "SKIP", TEXT, "", AT(skip), .allowed = "a text of less than 512 bytes",
	  .help = "never profile programs whose name matches one of these globs" },
	{ "CHILDREN", CHOICE, "all", .choices = children, AT(children),
	  .allowed = "all, socket or none",
	  .help = "socket: children serve on their abstract sockets only; none: forked ones not at "
		  "all" },
	{ "REGISTRY", TEXT, "", AT(registry), .allowed = "a text of less than 512 bytes",
	  .help = "directory in which each process has a file for scrapers, by Prometheus' "
		  "file_sd" },
	{ "INSECURE", CHOICE, "0", .choices = switches, AT(insecure), .allowed = "0 or 1",
	  .help = "1: allow an address that other machines can reach, without a token" },
	{ "TOKEN_FILE", TEXT, "", AT(token_file), .allowed = "a text of less than 512 bytes",
	  .help = "file with the token that every request by TCP needs" },
	{ "HOSTS", TEXT, "", AT(hosts), .allowed = "a text of less than 512 bytes",
	  .help = "names, beside localhost, that a request may ask: a.example, *.b.example, *" },
	{ "CORS", TEXT, "", AT(cors), .allowed = "a text of less than 512 bytes",
	  .help = "origins of web pages that may read profiles: https://www.speedscope.app" },
	{ "CMDLINE", CHOICE, "full", .choices = cmdlines, AT(cmdline),
	  .allowed = "full, argv0 or off",
	  .help = "how much is shown of the command line: full, argv0, off" },
#undef AT
};

#define PREFIX "PPROFSHIM_"

static uint64_t given;          /* a bit for each option that was set, and allowed */

bool config_help_at(size_t i, struct config_help *out)
{
	if (i >= COUNT_OF(options))
		return false;
	*out = (struct config_help){ .name = options[i].name,
				     .def = options[i].def,
				     .allowed = options[i].allowed,
				     .help = options[i].help };
	return true;
}

static bool parse_choice(const struct option *o, const char *text, uint64_t *out)
{
	for (unsigned i = 0; o->choices[i] != NULL; i++)
		if (strcmp(o->choices[i], text) == 0) {
			*out = i;
			return true;
		}
	return false;
}

static bool parse_number(const struct option *o, const char *text, uint64_t *out)
{
	size_t len = strlen(text);
	int err = o->kind == SIZE   ? units_parse_size(text, len, out)
		  : o->kind == TIME ? units_parse_time(text, len, out)
				    : units_parse_uint(text, len, out);

	return err == 0 && *out >= o->min && *out <= o->max;
}

/* Writes the field only if text is allowed. */
static bool set_option(struct config *c, const struct option *o, const char *text)
{
	char *field = (char *)c + o->at;
	uint64_t n;

	if (o->kind == TEXT) {
		if (strlen(text) >= CONFIG_TEXT_MAX)
			return false;
		memcpy(field, text, strlen(text) + 1);
		return true;
	}
	if (o->kind == CHOICE ? !parse_choice(o, text, &n) : !parse_number(o, text, &n))
		return false;
	memcpy(field, &n, sizeof(n));
	return true;
}

/* How many letters have to be changed, added or left out (Levenshtein distance). */
static unsigned distance(const char *a, const char *b)
{
	unsigned char row[32];
	size_t n = strlen(b);

	if (n >= sizeof(row) || strlen(a) >= sizeof(row))
		return sizeof(row);
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned char)j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		unsigned char diagonal = row[0];

		row[0] = (unsigned char)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			best = row[j] + 1u < best ? row[j] + 1u : best;
			best = row[j - 1] + 1u < best ? row[j - 1] + 1u : best;
			row[j] = (unsigned char)best;
		}
	}
	return row[n];
}

static void warn_unknown(const char *name, size_t len)
{
	char copy[64];
	const struct option *nearest = &options[0];

	if (len >= sizeof(copy))
		len = sizeof(copy) - 1;
	memcpy(copy, name, len);
	copy[len] = '\0';
	for (size_t i = 1; i < COUNT_OF(options); i++)
		if (distance(copy, options[i].name) < distance(copy, nearest->name))
			nearest = &options[i];
	log_line(LOG_ERROR, PREFIX, copy, ": no such option; the nearest is " PREFIX, nearest->name,
		 "; ignored", NULL);
}

static const struct option *find_option(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
			return &options[i];
	return NULL;
}

static void read_variable(struct config *c, const char *variable, bool only_log)
{
	const char *name = variable + sizeof(PREFIX) - 1, *equals;
	const struct option *o;

	if (strncmp(variable, PREFIX, sizeof(PREFIX) - 1) != 0)
		return;
	equals = strchr(name, '=');
	if (equals == NULL)
		return;
	o = find_option(name, (size_t)(equals - name));
	/* The log's own option comes first: it decides about the lines for the others. */
	if ((o != NULL && o->choices == log_levels) != only_log)
		return;
	if (o == NULL)
		warn_unknown(name, (size_t)(equals - name));
	else if (set_option(c, o, equals + 1))
		given |= UINT64_C(1) << (o - options);
	else
		log_line(LOG_ERROR, PREFIX, o->name, "=", equals + 1, ": not allowed; allowed: ",
			 o->allowed, "; using ", o->def != NULL ? o->def : "PPROFSHIM_ADDR", NULL);
}

void config_read(struct config *c, char *const *environ)
{
	memset(c, 0, sizeof(*c));
	c->port = CONFIG_NO_PORT;
	given = 0;
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (options[i].def != NULL)
			(void)set_option(c, &options[i], options[i].def);
	log_init((enum log_level)c->log);
	for (int only_log = 1; only_log >= 0; only_log--) {
		for (char *const *e = environ; e != NULL && *e != NULL; e++)
			read_variable(c, *e, only_log);
		log_init((enum log_level)c->log);
	}
}

/* --- as it is in force ----------------------------------------------------------------------- */

static_assert(COUNT_OF(options) <= CONFIG_OPTIONS_MAX, "given has a bit for each");

/* As it would be written: 512k, 10us. */
static const char *number_text(enum kind kind, uint64_t n, char *room, size_t size)
{
	static const struct { uint64_t of; const char *name; } sizes[] = {
		{ 1u << 30, "g" }, { 1u << 20, "m" }, { 1u << 10, "k" }, { 1, "" },
	}, times[] = {
		{ 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" }, { 1, "ns" },
	};
	struct buf b = buf_bounded(room, size);
	const char *unit = "";

	for (unsigned i = 0; kind != UINT && n != 0 && i < COUNT_OF(sizes); i++) {
		uint64_t of = kind == SIZE ? sizes[i].of : times[i].of;

		if (n % of != 0)
			continue;
		unit = kind == SIZE ? sizes[i].name : times[i].name;
		n /= of;
		break;
	}
	buf_unsigned(&b, n);
	buf_string(&b, unit);
	buf_end(&b);
	return room;
}

bool config_at(const struct config *c, size_t i, struct config_line *out)
{
	const struct option *o = &options[i];
	uint64_t n;

	if (i >= COUNT_OF(options))
		return false;
	out->name = o->name;
	out->is_set = (given >> i & 1) != 0;
	memcpy(&n, (const char *)c + o->at, sizeof(n));
	if (strncmp(o->name, "TOKEN", 5) == 0)
		out->value = out->is_set ? "(not shown)" : "";
	else if (!out->is_set && o->def == NULL)
		out->value = "";
	else if (o->kind == TEXT)
		out->value = (const char *)c + o->at;
	else if (o->kind == CHOICE)
		out->value = o->choices[n];
	else
		out->value = number_text(o->kind, n, out->room, sizeof(out->room));
	return true;
}

/* --- globs ----------------------------------------------------------------------------------- */

static bool match(const char *glob, const char *end, const char *text)
{
	const char *star = NULL, *from = text;

	while (*text != '\0') {
		if (glob < end && *glob == '*') {
			star = glob++;
			from = text;
		} else if (glob < end && (*glob == '?' || *glob == *text)) {
			glob++;
			text++;
		} else if (star != NULL) {
			glob = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	while (glob < end && *glob == '*')
		glob++;
	return glob == end;
}

bool config_matches(const char *globs, const char *text)
{
	while (*globs != '\0') {
		const char *comma = strchr(globs, ',');
		const char *end = comma != NULL ? comma : globs + strlen(globs);

		if (match(globs, end, text))
			return true;
		globs = comma != NULL ? comma + 1 : end;
	}
	return false;
}

bool config_wants(const struct config *c, const char *program)
{
	return (c->only[0] == '\0' || config_matches(c->only, program)) &&
	       !config_matches(c->skip, program);
}
