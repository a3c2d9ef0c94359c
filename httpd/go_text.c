#include "httpd/go_text.h"

#include <string.h>

#include "encode/utf8.h"

/* What is not UTF-8 (a thread's name is cut after 15 bytes) has no bytes beyond ASCII: the answer
 * says that it is UTF-8. */
struct text { const char *at; bool valid; };

static struct text begin(const char *text)
{
	return (struct text){ text, utf8_valid(text, strlen(text)) };
}

/* 0: the end. */
static char next(struct text *t)
{
	char c = *t->at;

	if (c != '\0')
		t->at++;
	return (signed char)c < 0 && !t->valid ? '?' : c;
}

/* Parentheses that readers can count: in pairs, and none within another. */
static bool has_plain_parentheses(const char *name)
{
	int open = 0;

	for (; *name != '\0' && open >= 0 && open <= 1; name++)
		open += (*name == '(') - (*name == ')');
	return open == 0;
}

void go_text_function(struct buf *b, const char *name)
{
	bool plain = has_plain_parentheses(name);
	struct text t = begin(name);

	for (char c; (c = next(&t)) != '\0';) {
		if (c == '/' || c == '%' || (unsigned char)c < ' ' || c == 0x7f)
			c = '_';
		else if (!plain && (c == '(' || c == ')'))
			c = c == '(' ? '{' : '}';
		buf_char(b, c);
	}
}

/* Readers end it at the first colon before a digit. */
void go_text_path(struct buf *b, const char *path)
{
	struct text t = begin(path);

	for (char c; (c = next(&t)) != '\0';)
		buf_char(b, (unsigned char)c < ' ' || c == ':' ? '_' : c);
}

void go_text_word(struct buf *b, const char *text)
{
	struct text t = begin(text);

	for (char c; (c = next(&t)) != '\0';)
		buf_char(b, (unsigned char)c < ' ' || strchr(",[]()\x7f", c) != NULL ? '_' : c);
}

void go_text_quoted(struct buf *b, const char *text)
{
	struct text t = begin(text);

	buf_char(b, '"');
	for (char c; (c = next(&t)) != '\0';) {
		if (c == '"' || c == '\\')
			buf_char(b, '\\');
		buf_char(b, (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
	}
	buf_char(b, '"');
}

static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '.' || c == '/' || c == '_';
}

void go_text_label(struct buf *b, const char *text)
{
	bool plain = *text != '\0';

	for (const char *c = text; *c != '\0'; c++)
		plain = plain && is_plain(*c);
	if (plain)
		buf_string(b, text);
	else
		go_text_quoted(b, text);
}
