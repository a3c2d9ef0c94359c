#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake/single_step.h"
#include "httpd/token.h"
#include "sampler/compiler.h"

#define TOKEN "0123456789abcdef-._~+/="

static char directory[] = "/tmp/token-test-XXXXXX", path[64];

static int begin(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/token-test-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/token", directory);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void write_file(const char *text, size_t len, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

/* --- the file -------------------------------------------------------------------------------- */

static void the_token_is_the_first_line(void **state)
{
	static const char *const files[] = { TOKEN, TOKEN "\n", TOKEN "\r\n", TOKEN "\nmore\n",
					     TOKEN "\n\xff\n" };
	struct token token;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		memset(&token, 'x', sizeof(token));
		write_file(files[i], strlen(files[i]), 0600);
		assert_null(token_read(path, &token));
		assert_string_equal(token.bytes, TOKEN);
		for (size_t at = strlen(TOKEN); at < TOKEN_MAX; at++)
			assert_int_equal(token.bytes[at], 0);
	}
}

static void assert_unread(const char *reason)
{
	static const struct token none;
	struct token token;

	memset(&token, 'x', sizeof(token));
	assert_string_equal(token_read(path, &token), reason);
	assert_memory_equal(&token, &none, sizeof(none));
}

static void a_token_is_of_good_length_and_can_stand_in_a_header(void **state)
{
	static const struct { const char *text, *reason; } cases[] = {
		{ "", "its first line is empty" },
		{ "\n" TOKEN "\n", "its first line is empty" },
		{ "\r\n", "its first line is empty" },
		{ "0123456789abcde\n", "it is shorter than 16 characters" },
		{ TOKEN " \n", "only printable ASCII without blanks is allowed" },
		{ "\t" TOKEN, "only printable ASCII without blanks is allowed" },
		{ TOKEN "\x7f", "only printable ASCII without blanks is allowed" },
		{ TOKEN "\xc3\xa9", "only printable ASCII without blanks is allowed" },
		{ TOKEN "\r\r\n", "only printable ASCII without blanks is allowed" },
	};
	static char longest[TOKEN_MAX + 3];
	struct token token;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		write_file(cases[i].text, strlen(cases[i].text), 0600);
		assert_unread(cases[i].reason);
	}
	write_file(TOKEN "\0" TOKEN, 2 * sizeof(TOKEN) - 1, 0600);
	assert_unread("only printable ASCII without blanks is allowed");
	memset(longest, 'a', TOKEN_MAX);
	strcpy(longest + TOKEN_MAX, "\r\n");
	write_file(longest, TOKEN_MAX + 2, 0600);
	assert_null(token_read(path, &token));
	assert_memory_equal(token.bytes, longest, TOKEN_MAX);
	longest[TOKEN_MAX] = 'a';
	write_file(longest, TOKEN_MAX + 1, 0600);
	assert_unread("it is longer than 256 characters");
	longest[TOKEN_MAX + 1] = 'a';
	write_file(longest, TOKEN_MAX + 2, 0600);
	assert_unread("it is longer than 256 characters");
}

static void a_file_that_everybody_may_read_is_no_secret(void **state)
{
	static const mode_t modes[] = { 0604, 0644, 0602, 0406, 0666 };
	struct token token;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		write_file(TOKEN, strlen(TOKEN), modes[i]);
		assert_unread("everybody may read or write it; chmod o-rw");
	}
	/* A group may: so it is in a container that runs as a user of its own. */
	write_file(TOKEN, strlen(TOKEN), 0440);
	assert_null(token_read(path, &token));
	assert_int_equal(chmod(path, 0600), 0);
}

static void what_is_no_file_is_no_token(void **state)
{
	char longer[100];

	(void)state;
	assert_unread("there is no such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_unread("it is no file");         /* and nobody waited for a writer */
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_unread("it is no file");
	rmdir(path);
	write_file(TOKEN, strlen(TOKEN), 0600);
	snprintf(longer, sizeof(longer), "%s", path);
	snprintf(path, sizeof(path), "%.40s/x", longer);
	assert_unread("there is no such directory");
	strcpy(path, longer);
}

/* --- the header ------------------------------------------------------------------------------ */

static bool has(const struct token *token, const char *value)
{
	return token_is_in(token, (struct request_text){ value, strlen(value) });
}

/* Of "USER:PASSWORD". */
static const char *basic(const char *credentials)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static char out[1024];
	size_t len = strlen(credentials), n = (size_t)sprintf(out, "Basic ");

	for (size_t i = 0; i < len; i += 3) {
		unsigned bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < len ? (unsigned char)credentials[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			out[n++] = i + j > len ? '=' : digits[bits >> (18 - 6 * j) & 63];
	}
	out[n] = '\0';
	return out;
}

static void bearers_and_passwords_are_let_in(void **state)
{
	static const struct token token = { TOKEN };

	(void)state;
	assert_true(has(&token, "Bearer " TOKEN));
	assert_true(has(&token, "bearer   " TOKEN));
	assert_true(has(&token, "BEARER " TOKEN));
	assert_true(has(&token, basic(":" TOKEN)));
	assert_true(has(&token, basic("u:" TOKEN)));
	assert_true(has(&token, basic("us:" TOKEN)));
	assert_true(has(&token, basic("use:" TOKEN)));
	assert_string_equal(basic("Aladdin:open sesame"),
			    "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  /* RFC 7617 2 */
}

static void others_are_not(void **state)
{
	static const struct token token = { TOKEN }, none;
	static const char *const values[] = {
		"", " ", "Bearer", "Bearer ", TOKEN, "Bearer" TOKEN, "Token " TOKEN, "Basic " TOKEN,
		"Bearer " TOKEN "x", "Bearer x" TOKEN, "Bearer " TOKEN " ", "Bearer " TOKEN ",",
		"Bearer 0123456789abcdef-._~+/", "Bearer 0123456789ABCDEF-._~+/=", "Basic", "Basic ",
		"Basic ====", "Basic Og==", "Basic !!!!", "Basic Og=Og", "Basic Og", "Basic O",
	};
	char text[1100];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		assert_false(has(&token, values[i]));
		assert_false(has(&none, values[i]));
	}
	assert_false(token_is_in(&token, (struct request_text){ NULL, 0 }));
	assert_false(has(&token, basic(TOKEN)));
	assert_false(has(&token, basic(TOKEN ":")));
	assert_false(has(&token, basic("u:" TOKEN ":")));
	assert_false(has(&token, basic("u::" TOKEN)));
	assert_false(has(&token, basic("u:" TOKEN "x")));
	assert_false(has(&none, basic("u:")));
	/* Longer than any token; all zeros, which is no one's. */
	memset(text, 'a', sizeof(text));
	memcpy(text, "Bearer ", 7);
	strcpy(text + 1000, "");
	assert_false(has(&token, text));
	memcpy(text, "u:", 2);
	text[600] = '\0';
	assert_false(has(&token, basic(text)));
	memset(text, 'A', sizeof(text));
	memcpy(text, "Basic Og", 8);
	text[30] = '\0';
	assert_false(has(&none, text));
}

static void the_longest_one_is_compared_whole(void **state)
{
	static struct token token;
	char text[TOKEN_MAX + 8] = "Bearer ";

	(void)state;
	memset(token.bytes, 'a', TOKEN_MAX);
	memset(text + 7, 'a', TOKEN_MAX);
	assert_true(has(&token, text));
	for (size_t i = 0; i < TOKEN_MAX; i++) {
		text[7 + i] = 'b';
		assert_false(has(&token, text));
		text[7 + i] = 'a';
	}
}

/* --- what it takes --------------------------------------------------------------------------- */

static struct {
	const struct token *token;
	struct request_text value;
	volatile bool       found;
} asked;

static void ask(void) { asked.found = token_is_in(asked.token, asked.value); }
static void look(void) {}

static unsigned instructions(const struct token *token, const char *value)
{
	asked.token = token;
	asked.value = (struct request_text){ value, strlen(value) };
	ask();          /* what is bound at the first call is bound */
	return single_step_through(ask, look);
}

/* Neither how much of it is right nor how long the secret is can be told from the time. */
static void comparing_takes_as_many_instructions_whatever_is_compared(void **state)
{
	static const struct token secret = { "abcdefghijklmnop" }, other = { "abcdefghijklmnoq" },
				  longer = { "abcdefghijklmnopqrstuvwxyzabcdefghijklmn" };
	static const char *const words[] = { "abcdefghijklmnop", "xbcdefghijklmnop",
					     "abcdefghijklmnox", "abcdefghxxxxxxxx",
					     "xxxxxxxxxxxxxxxx", "0000000000000000" };
	char value[64];
	unsigned bearer = 0, password = 0;

	(void)state;
	if (!SINGLE_STEP_WORKS)
		return;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		const struct token *const tokens[] = { &secret, &other, &longer };

		for (size_t t = 0; t < COUNT_OF(tokens); t++) {
			unsigned n;

			snprintf(value, sizeof(value), "Bearer %s", words[i]);
			n = instructions(tokens[t], value);
			assert_int_equal(asked.found, i == 0 && t == 0);
			assert_true(n > TOKEN_MAX);
			if (bearer == 0)
				bearer = n;
			assert_int_equal(n, bearer);
			/* Decoding takes what the client's own digits take. */
			snprintf(value, sizeof(value), "%s", basic("u:abcdefghijklmnop"));
			n = instructions(tokens[t], value);
			if (password == 0)
				password = n;
			assert_int_equal(n, password);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_token_is_the_first_line),
		TEST(a_token_is_of_good_length_and_can_stand_in_a_header),
		TEST(a_file_that_everybody_may_read_is_no_secret),
		TEST(what_is_no_file_is_no_token),
		cmocka_unit_test(bearers_and_passwords_are_let_in),
		cmocka_unit_test(others_are_not),
		cmocka_unit_test(the_longest_one_is_compared_whole),
		cmocka_unit_test(comparing_takes_as_many_instructions_whatever_is_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
