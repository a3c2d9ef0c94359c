/* poison -- functions with the names of others' (names.h): whoever calls one without knowing the
 * word ends the program.  As libz.so.1 or libprotobuf-c.so.1, or inside of a program. */
#include <stdio.h>
#include <unistd.h>

#include "names.h"

#define WORD 424242

#define X(name)                                                 \
	long name(long word);                                   \
	long name(long word)                                    \
	{                                                       \
		if (word != WORD) {                             \
			dprintf(2, "%s was called\n", #name);   \
			_exit(99);                              \
		}                                               \
		return 1;                                       \
	}
NAMES(X)
#undef X

int poison_answer(void);
int poison_answer(void) { return 99; }
