/* needs_early -- needs libearly.so (early.c); says what became of it and of its own environment. */
#include "serve.h"

extern char **environ;
int early_end(void);

int main(void)
{
	int n = 0;

	serve(NULL);
	while (environ != NULL && environ[n] != NULL)
		n++;
	printf("%d blocks; environment: %d, %s\n", early_end(), environ != NULL,
	       getenv("ONLY") != NULL ? getenv("ONLY") : getenv("Z") != NULL ? getenv("Z") : "-");
	printf("empty: %d\n", n == 0);
	return 3;
}
