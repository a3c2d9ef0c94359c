/* httpd/places.h -- from recorded frames to what a profile says of them: module, function,
 * location.
 *
 * Each distinct frame is looked up once a request.
 *
 * Context   our thread, inside a job; memory of the request's arena. */
#ifndef HTTPD_PLACES_H
#define HTTPD_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/arena.h"
#include "encode/pprof.h"
#include "httpd/exchange.h"
#include "httpd/names.h"

struct place {
	frame_t              frame;     /* by_module: with the module's number for its epoch */
	bool                 by_module;
	struct place        *same;      /* this one, or that by the module */
	const struct module *module;    /* NULL: none */
	struct names_answer  function;
	uint64_t             location;  /* id in the profile; 0: not mentioned yet */
};

struct places;

/* pprof NULL: text is made, nobody needs ids.  NULL if the arena is full. */
struct places *places_new(struct arena *arena, const struct desk_view *desk, struct pprof *pprof);

/* One place for an address of a module, in whichever of its epochs it was met.  NULL only if the
 * arena is full.  With desk->names false function has no name. */
struct place *places_find(struct places *p, frame_t frame);

/* What a frame that is neither a pc nor code is called; NULL: it is one. */
const struct names_answer *places_no_code(frame_t frame);

/* The location's id in the profile, 0 if the arena is full. */
uint64_t places_location(struct places *p, frame_t frame);

/* Leaf frames of a heap stack that are the allocator's own (malloc, operator new ...): how many of
 * these to leave out.  Never all of them. */
unsigned places_allocator_frames(struct places *p, const frame_t *frame, unsigned depth);

#endif
