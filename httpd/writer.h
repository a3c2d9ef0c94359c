/* httpd/writer.h -- the samples of a profile on their way into one of the forms that are made
 * sample by sample: a file for pprof, folded lines, JSON.
 *
 * In this order: writer_new, drops and comments, samples, more comments, writer_end.
 *
 * Context   our thread, inside a job; memory of the request's arena.  Samples are written as they
 *           come: memory follows what is distinct.
 * When full the arena's failed flag; every call is then harmless. */
#ifndef HTTPD_WRITER_H
#define HTTPD_WRITER_H

#include "encode/pprof.h"
#include "httpd/formats.h"
#include "httpd/places.h"

struct writer_sample {
	const frame_t            *frame;        /* leaf first */
	unsigned                  depth;        /* what is beyond PROFILES_FRAMES_MAX is cut */
	const int64_t            *value;        /* as many as the head has sample types */
	const struct pprof_label *label;        /* ordered by their keys */
	size_t                    labels;
};

struct writer;

struct writer_form {
	/* So much was given up for this reason. */
	void (*drop)(struct writer *w, const char *reason, uint64_t n);
	void (*comment)(struct writer *w, const char *text);
	void (*sample)(struct writer *w, const struct writer_sample *s);
	void (*end)(struct writer *w);
};

/* What all of them begin with. */
struct writer {
	const struct writer_form *form;
	struct exchange          *x;
	struct places            *places;
};

/* name: of the profile.  NULL if the arena is full. */
struct writer *writer_new(struct exchange *x, const struct formats *f, const char *name,
			  const struct pprof_head *head);

/* --- by form --------------------------------------------------------------------------------- */

struct writer *writer_proto_new(struct exchange *x, const struct pprof_head *head);
struct writer *writer_folded_new(struct exchange *x, const struct formats *f);
struct writer *writer_json_new(struct exchange *x, const char *name,
			       const struct pprof_head *head);

#endif
