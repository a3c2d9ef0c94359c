/* preload/config.h -- the options, read once from the environment.
 *
 * Context   the constructor. */
#ifndef PRELOAD_CONFIG_H
#define PRELOAD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/log.h"

#define CONFIG_TEXT_MAX 512

enum config_unwinder { CONFIG_UNWINDER_AUTO, CONFIG_UNWINDER_FP, CONFIG_UNWINDER_LIBUNWIND };
enum config_clock { CONFIG_CLOCK_AUTO, CONFIG_CLOCK_TIMER, CONFIG_CLOCK_PERF };
enum config_symbols { CONFIG_SYMBOLS_NONE, CONFIG_SYMBOLS_NAMES };
enum config_children { CONFIG_CHILDREN_ALL, CONFIG_CHILDREN_SOCKET, CONFIG_CHILDREN_NONE };

struct config {
	char     addr[CONFIG_TEXT_MAX];
	char     only[CONFIG_TEXT_MAX], skip[CONFIG_TEXT_MAX];
	char     registry[CONFIG_TEXT_MAX];
	uint64_t port;                  /* CONFIG_NO_PORT: not given */
	uint64_t port_tries;
	uint64_t cpu_hz;
	uint64_t cpu_clock;             /* enum config_clock */
	uint64_t heap_rate;             /* bytes */
	uint64_t block_rate;            /* ns */
	uint64_t mutex_fraction;
	uint64_t depth;                 /* frames */
	uint64_t memory;                /* bytes */
	uint64_t unwinder;              /* enum config_unwinder */
	uint64_t symbols;               /* enum config_symbols */
	uint64_t children;              /* enum config_children */
	uint64_t log;                   /* enum log_level */
	uint64_t insecure;
	char     token_file[CONFIG_TEXT_MAX], hosts[CONFIG_TEXT_MAX], cors[CONFIG_TEXT_MAX];
	uint64_t cmdline;               /* enum desk_cmdline */
};

#define CONFIG_NO_PORT UINT64_MAX

/* Reads all PPROFSHIM_* variables of environ (NULL: none), and sets up the log.  A value that is
 * not allowed, and a name that is not known, gets one log line and the default. */
void config_read(struct config *config, char *const *environ);

/* What is said of option i where options are explained; false: there are no more. */
struct config_help {
	const char *name;               /* without PPROFSHIM_ */
	const char *def;                /* NULL: not set */
	const char *allowed, *help;
};

bool config_help_at(size_t i, struct config_help *out);

/* An option as the last config_read has found it.  value is a text of config's, a constant, or
 * room. */
struct config_line {
	const char *name, *value;
	bool        is_set;             /* else it is the default */
	char        room[24];
};
#define CONFIG_OPTIONS_MAX 64

/* Number i of them, in the order of README; *out stays where it is.  False: there are no more. */
bool config_at(const struct config *config, size_t i, struct config_line *out);

/* True if a program of this name is to be profiled: PPROFSHIM_ONLY and PPROFSHIM_SKIP. */
bool config_wants(const struct config *config, const char *program);

/* True if text matches one of the comma-separated globs (* and ?). */
bool config_matches(const char *globs, const char *text);

#endif
