/* prefixed_user -- loads its library's allocator (prefixed.c), and serves. */
#include "serve.h"

void *_rjem_malloc(size_t n);

int main(void)
{
	if (_rjem_malloc(1) == NULL)
		return 1;
	serve(NULL);
	return 0;
}
