/* errors -- what dlerror has to say before anything failed, and after; nothing of ours may be in it. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

int main(void)
{
	const char *said = dlerror();

	printf("errno %d, dlerror: %s\n", errno, said != NULL ? said : "nothing");
	if (dlsym(RTLD_DEFAULT, "there_is_no_such_function") == NULL)
		printf("dlerror: %s\n", dlerror());
	said = dlerror();
	printf("again: %s\n", said != NULL ? said : "nothing");
	return 0;
}
