#include "encode/text.h"

#include <string.h>

#include "encode/utf8.h"

#define TAB_WIDTH 8u

static unsigned hex_digits(uint64_t v)
{
	unsigned digits = 1;

	while (v >>= 4)
		digits++;
	return digits;
}

static void put_hex(struct buf *b, uint64_t v)
{
	buf_string(b, "0x");
	buf_hex(b, v, 1);
}

void text_name(struct buf *b, const char *s)
{
	text_name_without(b, s, '\0', '\0');
}

void text_name_without(struct buf *b, const char *s, char bad, char instead)
{
	size_t left = strlen(s), n;

	for (; left > 0; s += n, left -= n) {
		size_t length = utf8_character(s, left);

		n = length > 0 ? length : 1;
		if (length == 0)
			buf_string(b, UTF8_INSTEAD);
		else if (length > 1)
			buf_bytes(b, s, length);
		else if (*s == bad)
			buf_char(b, instead);
		else
			buf_char(b, (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
	}
}

/* How wide the columns of a frame are, in characters. */
static size_t address_width(const struct text_frame *f)
{
	return 2 + hex_digits(f->address);
}

static size_t name_width(const struct text_frame *f)
{
	return utf8_count(f->name, strlen(f->name)) + 3 + hex_digits(f->offset_in_function);
}

/* The tabs from the end of a cell to the next column, one character beyond the widest cell. */
static void put_tabs(struct buf *b, size_t width, size_t widest)
{
	size_t column = (widest + 1 + TAB_WIDTH - 1) / TAB_WIDTH;

	buf_repeat(b, '\t', column - width / TAB_WIDTH);
}

static void put_frame(struct buf *b, const struct text_frame *f, size_t addresses, size_t names)
{
	buf_string(b, "#\t");
	put_hex(b, f->address);
	put_tabs(b, address_width(f), addresses);
	text_name(b, f->name);
	buf_string(b, "+");
	put_hex(b, f->offset_in_function);
	put_tabs(b, name_width(f), names);
	text_name(b, f->file);
	buf_string(b, ":");
	buf_signed(b, f->line);
	buf_string(b, "\n");
}

/* Frames up to the first one without a name, aligned with each other.  Returns how many. */
static size_t put_named_frames(struct buf *b, const struct text_frame *frame, size_t frames)
{
	size_t addresses = 0, names = 0, n = 0;

	for (; n < frames && frame[n].name != NULL; n++) {
		size_t address = address_width(&frame[n]), name = name_width(&frame[n]);

		if (address > addresses)
			addresses = address;
		if (name > names)
			names = name;
	}
	for (size_t i = 0; i < n; i++)
		put_frame(b, &frame[i], addresses, names);
	return n;
}

void text_lines(struct buf *b, const struct text_frame *frame, size_t frames)
{
	size_t i = 0;

	while (i < frames) {
		i += put_named_frames(b, frame + i, frames - i);
		for (; i < frames && frame[i].name == NULL; i++) {
			buf_string(b, "#\t");
			put_hex(b, frame[i].address);
			buf_string(b, "\n");
		}
	}
}

void text_frames(struct buf *b, const struct text_frame *frame, size_t frames)
{
	text_lines(b, frame, frames);
	buf_string(b, "\n");
}

void text_addresses(struct buf *b, const uint64_t *address, size_t addresses)
{
	buf_string(b, addresses > 0 ? " @" : " @ 0x0");
	for (size_t i = 0; i < addresses; i++) {
		buf_string(b, " ");
		put_hex(b, address[i] + 1);
	}
	buf_string(b, "\n");
}

/* "1: 1024 [2: 2048]" */
void text_heap_values(struct buf *b, const struct text_heap *v)
{
	buf_signed(b, v->inuse_objects);
	buf_string(b, ": ");
	buf_signed(b, v->inuse_bytes);
	buf_string(b, " [");
	buf_signed(b, v->alloc_objects);
	buf_string(b, ": ");
	buf_signed(b, v->alloc_bytes);
	buf_string(b, "]");
}

void text_heap_total(struct buf *b, const struct text_heap *total)
{
	struct text_heap v = *total;

	if (v.alloc_bytes == v.inuse_bytes)
		v.alloc_bytes++;
	buf_string(b, "heap profile: ");
	text_heap_values(b, &v);
}

void text_heap_head(struct buf *b, const struct text_heap *total, uint64_t rate_bytes)
{
	text_heap_total(b, total);
	buf_string(b, " @ heap/");
	buf_unsigned(b, 2 * rate_bytes);
	buf_string(b, "\n");
}

void text_heap_row(struct buf *b, const struct text_heap *row)
{
	struct text_heap v = *row;

	if (v.inuse_objects == 0)
		v.inuse_bytes = 0;
	if (v.alloc_objects == 0)
		v.alloc_bytes = 0;
	text_heap_values(b, &v);
}

void text_stats(struct buf *b, const struct text_stat *stat, size_t stats)
{
	buf_string(b, "\n# runtime.MemStats\n");
	for (size_t i = 0; i < stats; i++) {
		buf_string(b, "# ");
		buf_string(b, stat[i].name);
		buf_string(b, " = ");
		buf_string(b, stat[i].value);
		buf_string(b, "\n");
	}
}
