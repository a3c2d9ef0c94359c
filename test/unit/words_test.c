/* The library's own memory and string functions, beside libc's: those by dlsym, for a plain call
 * reaches ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <string.h>

#define LIBC(name) \
	__typeof__(&name) libc_##name = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Through pointers, so that the compiler does not know the answers. */
static void *(*volatile do_memcpy)(void *, const void *, size_t) = memcpy;
static void *(*volatile do_memmove)(void *, const void *, size_t) = memmove;
static void *(*volatile do_memset)(void *, int, size_t) = memset;
static int (*volatile do_memcmp)(const void *, const void *, size_t) = memcmp;
static void *(*volatile do_memchr)(const void *, int, size_t) = memchr;

enum { ROOM = 200 };

static void fill(unsigned char *a, unsigned char *b)
{
	for (unsigned i = 0; i < ROOM; i++)
		a[i] = b[i] = (unsigned char)(i * 37 + 1);
}

static void assert_same(const unsigned char *a, const unsigned char *b)
{
	for (unsigned i = 0; i < ROOM; i++)
		assert_int_equal(a[i], b[i]);
}

static void blocks_are_moved_whatever_their_places(void **state)
{
	unsigned char a[ROOM], b[ROOM];

	(void)state;
	for (unsigned n = 0; n < 70; n++)
		for (unsigned to = 0; to < 40; to++)
			for (unsigned from = 0; from < 40; from += 3) {
				fill(a, b);
				assert_ptr_equal(do_memmove(a + to, a + from, n), a + to);
				for (unsigned i = 0; i < n; i++)        /* the truth, from a copy */
					b[to + i] = (unsigned char)((from + i) * 37 + 1);
				assert_same(a, b);
			}
}

static void blocks_are_copied_and_set(void **state)
{
	unsigned char a[ROOM], b[ROOM];

	(void)state;
	for (unsigned n = 0; n < 90; n++)
		for (unsigned to = 0; to < 10; to++) {
			fill(a, b);
			do_memcpy(a + to, a + 100, n);
			for (unsigned i = 0; i < n; i++)
				b[to + i] = (unsigned char)((100 + i) * 37 + 1);
			assert_same(a, b);
			assert_ptr_equal(do_memset(a + to, 0x1f7, n), a + to);
			for (unsigned i = 0; i < n; i++)
				b[to + i] = 0xf7;
			assert_same(a, b);
		}
}

static int sign(int n) { return (n > 0) - (n < 0); }

static void blocks_are_compared_and_searched(void **state)
{
	static const char *const text[] = { "", "a", "ab", "abcdefgh", "abcdefgi", "\xff", "\x7f",
					    "abcdefghabcdefgh" };
	LIBC(memcmp);
	LIBC(memchr);

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		for (unsigned k = 0; k < 8; k++) {
			size_t n = strlen(text[i]) < strlen(text[k]) ? strlen(text[i])
								     : strlen(text[k]);

			assert_int_equal(sign(do_memcmp(text[i], text[k], n)),
					 sign(libc_memcmp(text[i], text[k], n)));
			for (size_t m = 0; m <= strlen(text[i]); m++)
				assert_ptr_equal(do_memchr(text[i], text[k][0], m),
						 libc_memchr(text[i], text[k][0], m));
		}
}

#define BOTH(name, ...)                                           \
	do {                                                      \
		LIBC(name);                                       \
		__typeof__(&name) volatile mine = name;           \
		assert_true(mine != libc_##name);                 \
		assert_true(mine(__VA_ARGS__) == libc_##name(__VA_ARGS__)); \
	} while (0)

static void texts_are_measured_and_searched(void **state)
{
	static const char *const text[] = { "", "a", "abc", "a/b/c", "//", "aaab", "aab", "\xc3\xa9",
					    "/debug/pprof/heap?seconds=1" };

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		BOTH(strlen, text[i]);
		for (size_t n = 0; n < 6; n++)
			BOTH(strnlen, text[i], n);
		for (const char *c = "a/b?\xc3"; ; c++) {
			BOTH(strchr, text[i], *c);
			BOTH(strrchr, text[i], *c);
			if (*c == '\0')
				break;
		}
		for (unsigned k = 0; k < 9; k++) {
			BOTH(strspn, text[i], text[k]);
			BOTH(strcspn, text[i], text[k]);
			BOTH(strstr, text[i], text[k]);
		}
	}
}

static void texts_are_compared(void **state)
{
	static const char *const text[] = { "", "a", "ab", "abc", "abd", "\xff", "A" };
	LIBC(strcmp);
	LIBC(strncmp);
	int (*volatile do_strcmp)(const char *, const char *) = strcmp;
	int (*volatile do_strncmp)(const char *, const char *, size_t) = strncmp;

	(void)state;
	for (unsigned i = 0; i < 7; i++)
		for (unsigned k = 0; k < 7; k++) {
			assert_int_equal(sign(do_strcmp(text[i], text[k])),
					 sign(libc_strcmp(text[i], text[k])));
			for (size_t n = 0; n < 5; n++)
				assert_int_equal(sign(do_strncmp(text[i], text[k], n)),
						 sign(libc_strncmp(text[i], text[k], n)));
		}
}

static void texts_are_put_together(void **state)
{
	char *(*volatile do_strcpy)(char *, const char *) = strcpy;
	char *(*volatile do_strcat)(char *, const char *) = strcat;
	char *(*volatile do_stpcpy)(char *, const char *) = stpcpy;
	char room[32];

	(void)state;
	assert_ptr_equal(do_strcpy(room, "one"), room);
	assert_ptr_equal(do_strcat(room, ", two"), room);
	assert_string_equal(room, "one, two");
	assert_ptr_equal(do_stpcpy(room + 3, ""), room + 3);
	assert_string_equal(room, "one");
	assert_ptr_equal(do_stpcpy(room, "three"), room + 5);
	assert_string_equal(room, "three");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_moved_whatever_their_places),
		cmocka_unit_test(blocks_are_copied_and_set),
		cmocka_unit_test(blocks_are_compared_and_searched),
		cmocka_unit_test(texts_are_measured_and_searched),
		cmocka_unit_test(texts_are_compared),
		cmocka_unit_test(texts_are_put_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
