/* preload/config.h -- the options, read once from the environment.
 *
 * Context   the constructor. */
#ifndef PRELOAD_CONFIG_H
#define PRELOAD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/log.h"

#define CONFIG_TEXT_MAX 512

enum config_unwinder { CONFIG_UNWINDER_AUTO, CONFIG_UNWINDER_FP, CONFIG_UNWINDER_LIBUNWIND };
enum config_symbols { CONFIG_SYMBOLS_NONE, CONFIG_SYMBOLS_NAMES };
enum config_children { CONFIG_CHILDREN_ALL, CONFIG_CHILDREN_NONE };

struct config {
	char     addr[CONFIG_TEXT_MAX];
	char     only[CONFIG_TEXT_MAX], skip[CONFIG_TEXT_MAX];
	uint64_t port;                  /* CONFIG_NO_PORT: not given */
	uint64_t port_tries;
	uint64_t cpu_hz;
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
};

#define CONFIG_NO_PORT UINT64_MAX

/* Reads all PPROFSHIM_* variables of environ (NULL: none), and sets up the log.  A value that is
 * not allowed, and a name that is not known, gets one log line and the default. */
void config_read(struct config *config, char *const *environ);

/* True if a program of this name is to be profiled: PPROFSHIM_ONLY and PPROFSHIM_SKIP. */
bool config_wants(const struct config *config, const char *program);

/* True if text matches one of the comma-separated globs (* and ?). */
bool config_matches(const char *globs, const char *text);

#endif
