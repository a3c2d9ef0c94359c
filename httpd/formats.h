/* httpd/formats.h -- in which form a profile is answered, and whether with names: the same for
 * all.
 *
 *     format=proto         a file for pprof: what is answered without it (also: pprof)
 *     format=text          what debug=1 gives
 *     format=folded        "main;serve;read 42", by value= (else what readers of the file open)
 *     format=json          writer_json.c says which
 *     debug=N              as Go: 0 is the file; what it means else is the profile's
 *     symbolize=none       addresses, mappings and build ids; readers look for names themselves
 *     symbolize=names      functions by name, whatever PPROFSHIM_SYMBOLS says
 *
 * Context   our thread, inside a job. */
#ifndef HTTPD_FORMATS_H
#define HTTPD_FORMATS_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"

struct exchange;
struct profile_kind;

enum format { FORMAT_PROTO, FORMAT_TEXT, FORMAT_FOLDED, FORMAT_JSON };

struct formats {
	enum format format;
	int64_t     debug;              /* as it was asked for; 1 at least for FORMAT_TEXT */
	unsigned    value;              /* of FORMAT_FOLDED: the number of its sample type */
};

/* From here on x->desk says whether there are names.  False: something cannot be, or not together,
 * and that is the answer. */
MUST_CHECK bool formats_read(struct exchange *x, const struct profile_kind *kind,
			     struct formats *f);

/* 200, and the headers of that form.  filename: of the file. */
void formats_answer(struct exchange *x, const struct formats *f, const char *filename);

#endif
