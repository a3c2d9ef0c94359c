/* httpd/go_text.h -- names from the host, as they may stand in a dump of goroutines: so that none
 * can pose as something else.
 *
 * Context   any; pure. */
#ifndef HTTPD_GO_TEXT_H
#define HTTPD_GO_TEXT_H

#include "encode/buf.h"

/* Of a function: what readers would take for a path, an escape or arguments is written
 * otherwise. */
void go_text_function(struct buf *b, const char *name);
/* Of a file. */
void go_text_path(struct buf *b, const char *path);
/* Within the brackets of a head. */
void go_text_word(struct buf *b, const char *text);
/* As Go's %q. */
void go_text_quoted(struct buf *b, const char *text);
/* A value of a label: quoted if there is anything special in it. */
void go_text_label(struct buf *b, const char *text);

#endif
