/* Prints the options as `pprofshim --help` shows them: at build time, from the library's own table.
 * The first line is the version; a line that begins with two blanks and "--" is an option. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "preload/config.h"

#define COLUMN 30

static void print_option(const struct config_help *o)
{
	char flag[64];
	int n = snprintf(flag, sizeof(flag), "--%s", o->name);

	for (int i = 0; i < n; i++)
		flag[i] = flag[i] == '_' ? '-' : (char)tolower((unsigned char)flag[i]);
	n = printf("  %s=%s", flag, o->def != NULL ? o->def : "");
	printf("%*s%s\n", n < COLUMN ? COLUMN - n : 2, "", o->help);
	printf("%*s(PPROFSHIM_%s: %s)\n", COLUMN, "", o->name, o->allowed);
}

int main(void)
{
	struct config_help option;

	puts("libpprofshim " SHIM_VERSION);
	for (size_t i = 0; config_help_at(i, &option); i++)
		print_option(&option);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
