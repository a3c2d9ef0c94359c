/* tls -- a plugin with TLS_BYTES of thread-local data; with -ftls-model=initial-exec they come out of
 * the loader's small reserve.  Each call looks at it on the calling thread and on a new one. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local unsigned char data[TLS_BYTES] = { 1, 2, 3 };

static void *look(void *first)
{
	unsigned sum = 0;

	if (first != NULL)
		memset(data, 0, sizeof(data));
	for (unsigned i = 0; i < sizeof(data); i++)
		sum += data[i];
	if (first == NULL)
		memset(data, 5, sizeof(data));
	return (void *)(uintptr_t)sum;
}

int plugin_run(void);
int plugin_run(void)
{
	void *fresh;
	pthread_t t;

	if (pthread_create(&t, NULL, look, NULL) != 0 || pthread_join(t, &fresh) != 0)
		return -1;
	return (int)(uintptr_t)fresh * 100 + (int)(uintptr_t)look(&t);
}
