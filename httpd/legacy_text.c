#include "httpd/legacy_text.h"

static void clean(int64_t *objects, int64_t *bytes)
{
	if (*objects <= 0 || *bytes <= 0)
		*objects = *bytes = 0;
}

bool legacy_text_clean(struct text_heap *v)
{
	clean(&v->inuse_objects, &v->inuse_bytes);
	clean(&v->alloc_objects, &v->alloc_bytes);
	return v->inuse_objects != 0 || v->alloc_objects != 0;
}

void legacy_text_heap(struct buf *b, const struct text_heap *total, uint64_t rate_bytes)
{
	text_heap_total(b, total);
	if (legacy_text_is_scaled(rate_bytes)) {
		buf_string(b, " @ heap_v2/");
		buf_unsigned(b, rate_bytes);
		buf_string(b, "\n");
	} else {
		buf_string(b, " @ heapprofile\n");
	}
}

void legacy_text_growth(struct buf *b, const struct text_heap *total)
{
	buf_string(b, "heap profile: ");
	text_heap_values(b, total);
	buf_string(b, " @ growth\n");
}

void legacy_text_contention(struct buf *b)
{
	/* Our nanoseconds are its cycles; all is scaled where it is recorded. */
	buf_string(b, "--- contention:\ncycles/second=1000000000\nsampling period=1\n");
}

bool legacy_text_delay(struct buf *b, int64_t delay_ns, int64_t waits)
{
	if (delay_ns <= 0)
		return false;
	buf_signed(b, delay_ns);
	buf_string(b, " ");
	/* A part of a wait: readers divide by it. */
	buf_signed(b, waits > 0 ? waits : 1);
	return true;
}

void legacy_text_mapping(struct buf *b, const struct module *m)
{
	buf_hex(b, m->start, 8);
	buf_string(b, "-");
	buf_hex(b, m->limit, 8);
	buf_string(b, " r-xp ");
	buf_hex(b, m->offset, 8);
	buf_string(b, " ");
	buf_hex(b, m->dev >> 32, 2);
	buf_string(b, ":");
	buf_hex(b, m->dev & 0xffffffff, 2);
	buf_string(b, " ");
	buf_unsigned(b, m->inode);
	buf_string(b, " ");
	buf_string(b, m->path);
	buf_string(b, m->deleted ? " (deleted)\n" : "\n");
}
