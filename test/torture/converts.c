/* converts [SECONDS] -- two threads open and close converters of character sets, whose libraries libc loads
 * and unloads by itself; one asks for names, for which libc loads others.  Says whether every text came
 * back as it was. */
#include <iconv.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "until.h"

#define CALLED __attribute__((noinline, noclone))

enum { TEXT_BYTES = 4096 };

static int trouble;

/* Which of its libraries a text goes through, its converter's name says. */
#define SETS(X) X(0, "KOI8-R") X(1, "KOI8-U") X(2, "CP1251") X(3, "ISO-8859-5") X(4, "IBM866") \
	X(5, "CP1252") X(6, "ISO-8859-15") X(7, "MACINTOSH") X(8, "IBM437") X(9, "GBK")

static CALLED size_t convert(const char *to, const char *from, char *text, size_t n, char *out, size_t room)
{
	iconv_t c = iconv_open(to, from);
	char *start = out;

	if (c == (iconv_t)-1)
		return 0;
	if (iconv(c, &text, &n, &out, &room) == (size_t)-1)
		out = start;
	iconv_close(c);
	return (size_t)(out - start);
}

#define CONVERTER(n, name)                                                                      \
	static CALLED void convert_##n(char *text, char *there, char *back)                     \
	{                                                                                       \
		size_t bytes = convert("UTF-16LE", name, text, TEXT_BYTES, there, 4 * TEXT_BYTES); \
												\
		bytes = convert(name, "UTF-16LE", there, bytes, back, 4 * TEXT_BYTES);          \
		if (bytes != TEXT_BYTES || memcmp(text, back, bytes) != 0)                      \
			trouble = 1 + n;                                                        \
	}
SETS(CONVERTER)

#define NAME_OF(n, name) convert_##n,
static void (*const converters[])(char *, char *, char *) = { SETS(NAME_OF) };

static CALLED void ask(void)
{
	struct addrinfo *found = NULL;

	if (getaddrinfo("127.0.0.1", "http", NULL, &found) == 0)
		freeaddrinfo(found);
	if (getpwnam("root") == NULL)
		trouble = 100;
	getservbyname("http", "tcp");
}

static CALLED void *work(void *seed)
{
	static __thread char text[TEXT_BYTES], there[4 * TEXT_BYTES], back[4 * TEXT_BYTES];
	unsigned n = seed != NULL;

	for (unsigned i = 0; i < TEXT_BYTES; i++)
		text[i] = (char)(' ' + i % 90);
	do {
		for (int i = 0; i < 100; i++) {
			n = n * 1103515245 + 12345;
			converters[(n >> 16) % (sizeof(converters) / sizeof(converters[0]))](
				text, there, back);
		}
		ask();
	} while (!until_over());
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t other;

	until(argc > 1 ? argv[1] : NULL);
	pthread_create(&other, NULL, work, &trouble);
	work(NULL);
	pthread_join(other, NULL);
	printf("trouble %d\n", trouble);
	return 0;
}
