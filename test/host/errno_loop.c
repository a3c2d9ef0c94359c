/* errno_loop -- nothing but a failing call of its own changes errno: not a signal handler of ours, not a
 * successful malloc, not free. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long spin_changed, free_changed;

int main(void)
{
	void *p[64] = { NULL };

	for (int i = 0; i < 400000000; i++) {
		if (__builtin_expect(errno != 0, 0)) {
			spin_changed++;
			errno = 0;
		}
		__asm__ volatile("" ::: "memory");
	}
	for (int i = 0; i < 2000000; i++) {
		errno = 4711;
		free(p[i % 64]);
		free_changed += errno != 4711;
		p[i % 64] = malloc((size_t)(i * 37 % 5000));
	}
	for (int i = 0; i < 64; i++)
		free(p[i]);
	printf("errno changed: %lu while spinning, %lu by free\n", spin_changed, free_changed);
	return 0;
}
