/* test/fake/said.h -- what a part of the library says on stderr, in a process of its own. */
#ifndef TEST_FAKE_SAID_H
#define TEST_FAKE_SAID_H

#include <fcntl.h>

#include "fake/child.h"

static void (*said_by)(void);
static int said_fd;

static void said_run(void)
{
	CHILD_DEMAND(dup2(said_fd, 2) == 2);
	said_by();
}

/* f's child has an empty file for its descriptor 2.  Returns what is in it, until the next call; or
 * NULL, and *wrong says why. */
static inline const char *said(void (*f)(void), const char **wrong)
{
	static char text[65536];
	ssize_t n;

	said_by = f;
	said_fd = memfd_create("stderr", MFD_CLOEXEC);
	*wrong = said_fd < 0 ? "no file" : child_run(said_run);
	n = *wrong == NULL ? pread(said_fd, text, sizeof(text) - 1, 0) : -1;
	close(said_fd);
	text[n > 0 ? n : 0] = '\0';
	return n >= 0 ? text : NULL;
}

static inline unsigned said_lines(const char *text)
{
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

#endif
