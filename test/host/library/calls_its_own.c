/* calls_its_own -- a program with its own functions of these names (poison.c), exported: it calls
 * each, then serves. */
#include "names.h"
#include "serve.h"

#define X(name) long name(long word);
NAMES(X)
#undef X

int main(void)
{
	long calls = 0, names = 0;

#define X(name) calls += name(424242), names++;
	NAMES(X)
#undef X
	printf("%ld of %ld are its own\n", calls, names);
	serve(NULL);
	return 0;
}
