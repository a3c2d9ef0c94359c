#include "httpd/token.h"

#include <errno.h>
#include <string.h>

#include "sampler/os.h"

/* --- the file -------------------------------------------------------------------------------- */

static const char *why_not_open(int err)
{
	switch (-err) {
	case ENOENT: return "there is no such file";
	case EACCES: return "it may not be read";
	case ENOTDIR: return "there is no such directory";
	default: return "it cannot be opened";
	}
}

/* NULL, or what is wrong with text[0..len), which ends at an end of line or of the file. */
static const char *take_line(const char *text, size_t len, struct token *out)
{
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (len == 0)
		return "its first line is empty";
	if (len < TOKEN_MIN)
		return "it is shorter than 16 characters";
	if (len > TOKEN_MAX)
		return "it is longer than 256 characters";
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return "only printable ASCII without blanks is allowed";
	memcpy(out->bytes, text, len);
	return NULL;
}

static const char *read_line(int fd, struct token *out)
{
	char text[TOKEN_MAX + 2];       /* and \r, \n */
	size_t len = 0;
	const char *end, *reason;
	long n = 1;

	while (len < sizeof(text) && n > 0) {
		n = os_read(fd, text + len, sizeof(text) - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return "it cannot be read";
	end = memchr(text, '\n', len);
	reason = take_line(text, end != NULL ? (size_t)(end - text) : len, out);
	memset(text, 0, sizeof(text));
	__asm__ volatile("" : : "r"(text) : "memory");
	return reason;
}

static const char *read_open(int fd, struct token *out)
{
	struct stat st;

	if (os_fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return "it is no file";
	if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		return "everybody may read or write it; chmod o-rw";
	return read_line(fd, out);
}

const char *token_read(const char *path, struct token *out)
{
	int fd = os_open_read(path);
	const char *reason;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return why_not_open(fd);
	reason = read_open(fd, out);
	os_close(fd);
	return reason;
}

/* --- the request ----------------------------------------------------------------------------- */

/* No step of it depends on the bytes; the compiler is kept from finding one that does. */
static bool is_equal(const struct token *token, const char candidate[static TOKEN_MAX])
{
	unsigned differs = token->bytes[0] == '\0';

	for (size_t i = 0; i < TOKEN_MAX; i++) {
		differs |= (unsigned char)(token->bytes[i] ^ candidate[i]);
		__asm__ volatile("" : "+r"(differs));
	}
	return differs == 0;
}

static bool is_token(const struct token *token, struct request_text text)
{
	char candidate[TOKEN_MAX] = { 0 };

	if (text.len > TOKEN_MAX)
		return false;
	memcpy(candidate, text.at, text.len);
	return is_equal(token, candidate);
}

/* The value of a digit of RFC 4648 4, or -1. */
static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* "user:password", encoded: user has no colon (RFC 7617 2). */
static bool is_password(const struct token *token, struct request_text encoded)
{
	char candidate[TOKEN_MAX] = { 0 };
	unsigned bits = 0, have = 0;
	bool behind_colon = false;
	size_t n = 0;

	while (encoded.len > 0 && encoded.at[encoded.len - 1] == '=')
		encoded.len--;
	for (size_t i = 0; i < encoded.len; i++) {
		int digit = sextet(encoded.at[i]);
		char c;

		if (digit < 0)
			return false;
		bits = bits << 6 | (unsigned)digit;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		c = (char)(bits >> have & 0xff);
		if (!behind_colon)
			behind_colon = c == ':';
		else if (n == TOKEN_MAX)
			return false;
		else
			candidate[n++] = c;
	}
	return is_equal(token, candidate);
}

/* The rest of text behind a scheme of this name and its blanks; at is NULL if it is another. */
static struct request_text behind_scheme(struct request_text text, const char *lower)
{
	struct request_text scheme = { text.at, 0 };

	while (scheme.len < text.len && text.at[scheme.len] != ' ')
		scheme.len++;
	text.at += scheme.len;
	text.len -= scheme.len;
	if (text.len == 0 || !request_text_is(scheme, lower))
		return (struct request_text){ NULL, 0 };
	for (; text.len > 0 && text.at[0] == ' '; text.len--)
		text.at++;
	return text;
}

bool token_is_in(const struct token *token, struct request_text authorization)
{
	struct request_text bearer, basic;

	if (authorization.at == NULL)
		return false;
	bearer = behind_scheme(authorization, "bearer");
	if (bearer.at != NULL)
		return is_token(token, bearer);
	basic = behind_scheme(authorization, "basic");
	return basic.at != NULL && is_password(token, basic);
}
