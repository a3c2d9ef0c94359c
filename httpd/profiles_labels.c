/* labels=thread,lock: what keeps the samples of one stack apart. */
#include <string.h>

#include "encode/buf.h"
#include "httpd/profiles.h"
#include "httpd/query.h"

/* The longest value of all is "thread,state,lock". */
#define VALUE_MAX 64

/* How long the word at text is; what follows it is skipped in *text.  0: there is none. */
static size_t next_word(const char **text, const char **word)
{
	size_t n;

	*text += strspn(*text, ", ");
	*word = *text;
	n = strcspn(*text, ", ");
	*text += n;
	return n;
}

static bool has_word(const char *text, const char *label, size_t len)
{
	const char *word;
	size_t n;

	while ((n = next_word(&text, &word)) != 0)
		if (n == len && memcmp(word, label, n) == 0)
			return true;
	return false;
}

/* The parameter's value, "" without; false: it is too long. */
static bool read_value(const struct exchange *x, char value[VALUE_MAX])
{
	ssize_t n = query_find(x->request.query.at, x->request.query.len, "labels", value,
			       VALUE_MAX);

	if (n < 0)
		value[0] = '\0';
	/* A 0 in it ends the text, and so what is looked at. */
	return n < VALUE_MAX && (n < 0 || strlen(value) == (size_t)n);
}

bool profiles_check_labels(struct exchange *x, const char *allowed)
{
	char value[VALUE_MAX], says[128];
	struct buf b = buf_bounded(says, sizeof(says));
	const char *at = value, *word;
	bool good = read_value(x, value);
	size_t n;

	while (good && (n = next_word(&at, &word)) != 0)
		good = has_word(allowed, word, n);
	if (!good) {
		buf_string(&b, "invalid value for \"labels\" - allowed: ");
		buf_string(&b, allowed);
		buf_end(&b);
		exchange_error(x, 400, says);
	}
	return good;
}

bool profiles_wants_label(const struct exchange *x, const char *label)
{
	char value[VALUE_MAX];

	return read_value(x, value) && has_word(value, label, strlen(label));
}
