/* sampler/log.h -- what we tell the operator: one line, one write, to the stderr that the host was
 * given, and not more than LOG_LINES_MAX lines of a process.
 *
 * Context   the constructor and our thread; never a handler.
 * Format    pprofshim[PID]: TEXT
 * When descriptor 2 is no longer the file it was at log_init (a daemon may keep data there),
 * or the line cannot be written at once, the line is lost and adds to count.log_lost. */
#ifndef SAMPLER_LOG_H
#define SAMPLER_LOG_H

#include <stdint.h>

enum log_level { LOG_QUIET, LOG_ERROR, LOG_INFO, LOG_DEBUG };

void log_init(enum log_level max);

/* The parts are written one after the other, up to the NULL that ends them. */
void log_line(enum log_level level, const char *part, ...) __attribute__((sentinel));

#endif
