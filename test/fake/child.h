/* test/fake/child.h -- a part of a test in a process of its own: what it closes, changes or breaks
 * is gone with it.  cmocka's asserts belong to the parent: the child says CHILD_DEMAND. */
#ifndef TEST_FAKE_CHILD_H
#define TEST_FAKE_CHILD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Shared with the child: why it gave up. */
static char *child_wrong;

static inline void child_fail(const char *claim, const char *file, int line)
{
	snprintf(child_wrong, 256, "%s:%d: in the child: %s", file, line, claim);
	_exit(1);
}

#define CHILD_DEMAND(claim) ((claim) ? (void)0 : child_fail(#claim, __FILE__, __LINE__))

/* NULL, or what went wrong. */
static inline const char *child_run(void (*f)(void))
{
	static char died[64];
	int status = -1;
	pid_t pid;

	if (child_wrong == NULL)
		child_wrong = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				   -1, 0);
	if (child_wrong == MAP_FAILED)
		abort();
	child_wrong[0] = '\0';
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		f();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return "no child";
	if (child_wrong[0] != '\0')
		return child_wrong;
	snprintf(died, sizeof(died), "the child ended with status %#x", (unsigned)status);
	return status == 0 ? NULL : died;
}

#define assert_child(f)                              \
	do {                                         \
		const char *wrong_ = child_run(f);   \
		if (wrong_ != NULL)                  \
			fail_msg("%s", wrong_);      \
	} while (0)

#endif
