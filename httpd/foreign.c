#include "httpd/foreign.h"

#include <string.h>

#include "httpd/dump_file.h"
#include "httpd/job.h"
#include "httpd/unseen.h"
#include "sampler/os.h"

#define PREFIX_MAX 4096                 /* PROF_DUMP_FILENAME_LEN */

/* --- what there is --------------------------------------------------------------------------- */

enum state { NONE, NOT_KNOWN, OFF, NO_FILE, WRITTEN };

struct foreign {
	enum state             state;
	struct unseen_jemalloc jemalloc;
	char                   prefix[PREFIX_MAX];
	struct dump_file       file;
};

/* Its end may be at the end of what is mapped. */
static bool peek_string(char *to, size_t size, uintptr_t from)
{
	for (size_t n = 0; n < size; n += 64) {
		if (os_peek(to + n, from + n, 64) < 64)
			return false;
		if (memchr(to + n, '\0', 64) != NULL)
			return to[0] != '\0';
	}
	return false;
}

static enum state look(struct exchange *x, struct foreign *f)
{
	unsigned char prof;

	if (!unseen_jemalloc(&f->jemalloc))
		return NONE;
	if (f->jemalloc.prof == 0 || os_peek(&prof, f->jemalloc.prof, 1) != 1)
		return NOT_KNOWN;
	if (prof != 1)
		return OFF;
	if (f->jemalloc.prefix == 0 ||
	    !peek_string(f->prefix, sizeof(f->prefix), f->jemalloc.prefix))
		return NOT_KNOWN;
	return dump_file_find(&x->arena, f->prefix, x->desk->born_s, &f->file) ? WRITTEN : NO_FILE;
}

const struct foreign *foreign_find(struct exchange *x)
{
	struct foreign *f = arena_alloc(&x->arena, sizeof(*f));

	if (f != NULL)
		f->state = look(x, f);
	return f;
}

/* --- what is said ---------------------------------------------------------------------------- */

static void say_how(struct buf *b, const struct foreign *f)
{
	buf_string(b, f->jemalloc.conf);
	buf_string(b, "=prof:true,lg_prof_interval:30 makes it write one for each GiB that is "
		      "allocated, and the newest is served here");
}

static bool say(struct buf *b, const struct foreign *f)
{
	switch (f->state) {
	case NONE:
		return false;
	case NOT_KNOWN:
		buf_string(b, "heap_dump: none: the program is stripped, so where its jemalloc "
			      "writes them is not known");
		break;
	case OFF:
		buf_string(b, "heap_dump: none: jemalloc does not sample: ");
		say_how(b, f);
		break;
	case NO_FILE:
		buf_string(b, "heap_dump: none: jemalloc samples, but has written no ");
		buf_string(b, f->prefix);
		buf_string(b, ".");
		buf_unsigned(b, (uint64_t)os_getpid());
		buf_string(b, ".*.heap: ");
		say_how(b, f);
		break;
	case WRITTEN:
		buf_string(b, "heap_dump: ");
		buf_string(b, f->file.path);
		buf_string(b, ": jemalloc's own profile, one sample in ");
		buf_unsigned(b, f->file.rate);
		buf_string(b, " bytes, written ");
		buf_signed(b, (int64_t)(os_realtime_ns() / 1000000000u) - f->file.written_s);
		buf_string(b, " s ago; not in seconds=, min_age= and debug=1; what was freed is "
			      "not in it without prof_accum:true");
		break;
	}
	return true;
}

bool foreign_says(const struct foreign *f, unsigned i, struct buf *line)
{
	if (i == 0 && unseen_is_partial()) {
		buf_string(line, "heap_unseen_more: there may be other allocators: too many names "
				 "to look at");
		return true;
	}
	return i == (unseen_is_partial() ? 1u : 0u) && say(line, f);
}

/* --- its samples ----------------------------------------------------------------------------- */

struct adding {
	struct writer *writer;
	frame_t        frame[DUMP_FRAMES_MAX];
	bool           cut;
};

/* jemalloc's own functions come before the one that asked for memory. */
static bool is_jemallocs(const char *name)
{
	static const char *const starts[] = { "je_", "_rjem_", "prof_backtrace", "imalloc" };

	for (unsigned i = 0; name != NULL && i < COUNT_OF(starts); i++)
		if (strncmp(name, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static unsigned allocator_frames(struct adding *a, unsigned depth)
{
	unsigned n = 0;

	for (; n + 1 < depth; n++) {
		const struct place *place = places_find(a->writer->places, a->frame[n]);

		if (place == NULL || !is_jemallocs(place->function.name))
			break;
	}
	return n + places_allocator_frames(a->writer->places, a->frame + n, depth - n);
}

static void add_row(void *with, const struct dump_row *row)
{
	const int64_t value[] = { row->alloc_objects, row->alloc_bytes, row->inuse_objects,
				  row->inuse_bytes };
	struct adding *a = with;
	const struct arena *arena = &a->writer->x->arena;
	unsigned hidden;

	/* What our doors saw is in the answer already, and is not to be lost for this. */
	a->cut = a->cut || arena->mapped_bytes > arena->budget_bytes / 2;
	if (a->cut)
		return;
	for (unsigned i = 0; i < row->depth; i++)
		a->frame[i] = a->writer->x->desk->ground->frame((uintptr_t)row->frame[i]);
	hidden = allocator_frames(a, row->depth);
	a->writer->form->sample(a->writer, &(struct writer_sample){
		.frame = a->frame + hidden, .depth = row->depth - hidden, .value = value });
	job_breathe();
}

void foreign_add(const struct foreign *f, struct writer *w)
{
	struct adding *a = arena_alloc(&w->x->arena, sizeof(*a));

	if (a == NULL || f->state != WRITTEN)
		return;
	a->writer = w;
	dump_file_read(&w->x->arena, &f->file, add_row, a);
	if (a->cut)
		w->form->comment(w, "heap_dump_more: its other stacks are too many for one answer");
}
