#include "httpd/formats.h"

#include <string.h>

#include "encode/buf.h"
#include "httpd/profiles.h"
#include "httpd/query.h"

/* The longest word that any of them has is "alloc_objects". */
#define WORD_MAX 24

static const char *const names[] = {
	[FORMAT_PROTO] = "proto",
	[FORMAT_TEXT] = "text",
	[FORMAT_FOLDED] = "folded",
	[FORMAT_JSON] = "json",
};

/* 0: there is none; -1: it is too long, or has a 0 in it, to be any word of ours. */
static int read_word(const struct exchange *x, const char *key, char word[WORD_MAX])
{
	ssize_t n = query_find(x->request.query.at, x->request.query.len, key, word, WORD_MAX);

	if (n <= 0)
		return 0;
	return n < WORD_MAX && strlen(word) == (size_t)n ? 1 : -1;
}

static bool refuse(struct exchange *x, const char *key, const char *allowed)
{
	char text[192];
	struct buf b = buf_bounded(text, sizeof(text));

	buf_string(&b, "invalid value for \"");
	buf_string(&b, key);
	buf_string(&b, "\" - allowed: ");
	buf_string(&b, allowed);
	buf_end(&b);
	exchange_error(x, 400, text);
	return false;
}

/* *given: it was asked for in a word. */
static bool read_format(struct exchange *x, enum format *format, bool *given)
{
	char word[WORD_MAX];
	int found = read_word(x, "format", word);

	*format = FORMAT_PROTO;
	*given = found != 0;
	if (found == 0 || (found > 0 && strcmp(word, "pprof") == 0))
		return true;
	for (unsigned i = 0; found > 0 && i < COUNT_OF(names); i++)
		if (strcmp(word, names[i]) == 0) {
			*format = (enum format)i;
			return true;
		}
	return refuse(x, "format", "proto, text, folded, json");
}

/* --- debug= ---------------------------------------------------------------------------------- */

/* Where debug= means something it is Go's: 0 a file, else a text; below 0 that depends. */
static bool read_debug(struct exchange *x, const struct profile_kind *kind, struct formats *f,
		       bool given)
{
	struct request_text query = x->request.query;

	if (!kind->is_window)
		f->debug = query_int_or(query.at, query.len, "debug", 0);
	if (given && f->format != FORMAT_TEXT && f->debug != 0) {
		exchange_error(x, 400, "format and debug params are incompatible - allowed: "
				       "format=text with debug, the others without");
		return false;
	}
	if (!given && (f->debug > 0 || (f->debug < 0 && kind->any_debug_is_text)))
		f->format = FORMAT_TEXT;
	if (f->format == FORMAT_TEXT && f->debug < 1)
		f->debug = 1;
	return true;
}

/* --- value= ---------------------------------------------------------------------------------- */

static unsigned default_value(const struct profile_kind *kind)
{
	const char *name = kind->folded_value != NULL ? kind->folded_value
						      : kind->default_sample_type;
	unsigned i = kind->sample_types - 1;

	while (name != NULL && i > 0 && strcmp(kind->sample_type[i].type, name) != 0)
		i--;
	return i;
}

static bool refuse_value(struct exchange *x, const struct profile_kind *kind)
{
	char allowed[128];
	struct buf b = buf_bounded(allowed, sizeof(allowed));

	for (unsigned i = 0; i < kind->sample_types; i++) {
		buf_string(&b, i > 0 ? ", " : "");
		buf_string(&b, kind->sample_type[i].type);
	}
	buf_end(&b);
	return refuse(x, "value", allowed);
}

static bool read_value(struct exchange *x, const struct profile_kind *kind, struct formats *f)
{
	char word[WORD_MAX];
	int found = read_word(x, "value", word);

	f->value = default_value(kind);
	if (found == 0)
		return true;
	if (f->format != FORMAT_FOLDED) {
		exchange_error(x, 400, "\"value\" parameter is not supported for this format - "
				       "allowed: format=folded");
		return false;
	}
	for (f->value = 0; found > 0 && f->value < kind->sample_types; f->value++)
		if (strcmp(word, kind->sample_type[f->value].type) == 0)
			return true;
	return refuse_value(x, kind);
}

/* --- symbolize= ------------------------------------------------------------------------------ */

static bool read_symbolize(struct exchange *x)
{
	char word[WORD_MAX];
	int found = read_word(x, "symbolize", word);
	struct desk_view *view;
	bool with_names;

	if (found == 0)
		return true;
	with_names = found > 0 && strcmp(word, "names") == 0;
	if (!with_names && (found < 0 || strcmp(word, "none") != 0))
		return refuse(x, "symbolize", "none, names (lines is not there yet)");
	view = arena_alloc(&x->arena, sizeof(*view));
	if (view == NULL)
		return false;
	*view = *x->desk;
	view->names = with_names;
	x->desk = view;
	return true;
}

/* --- all ------------------------------------------------------------------------------------- */

bool formats_read(struct exchange *x, const struct profile_kind *kind, struct formats *f)
{
	bool given;

	*f = (struct formats){ .format = FORMAT_PROTO };
	return read_format(x, &f->format, &given) && read_debug(x, kind, f, given) &&
	       read_value(x, kind, f) && read_symbolize(x);
}

void formats_answer(struct exchange *x, const struct formats *f, const char *filename)
{
	/* A file that debug=-1 asked for is called a text, as Go does. */
	if (f->format == FORMAT_PROTO && f->debug == 0)
		exchange_file(x, filename);
	else
		exchange_text(x);
	if (f->format == FORMAT_JSON)
		x->reply.content_type = "application/json";
}
