/* The ends of a process that can be seen: what our thread has put into the file system goes with
 * it.  exit() and the end of main come by our destructor, exit_group by syscall().
 *
 * A child that shares our memory (vfork) ends here, too: desk_end knows whose it is. */
#include <stdlib.h>
#include <unistd.h>

#include "httpd/desk.h"
#include "preload/export.h"
#include "preload/real.h"

#define EXIT_DOOR(name)                  \
	EXPORT void name(int status)     \
	{                                \
		desk_end();              \
		real.name(status);       \
		__builtin_unreachable(); \
	}

EXIT_DOOR(_exit)
EXIT_DOOR(_Exit)
EXIT_DOOR(quick_exit)

__attribute__((destructor)) static void end(void)
{
	desk_end();
}
