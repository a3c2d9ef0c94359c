/* test/unit/cfi_image.h -- builds .eh_frame_hdr and .eh_frame in memory, between two guard pages.
 *
 * The header comes first, with room for IMAGE_FDES_MAX entries; records follow.  Everything is as
 * if it lay at IMAGE_BASE in its object. */
#ifndef TEST_CFI_IMAGE_H
#define TEST_CFI_IMAGE_H

#include <string.h>
#include <sys/mman.h>

#include "sampler/cfi.h"

#define IMAGE_BASE     0x10000000u
#define IMAGE_CODE     0x10100000u      /* where the functions are */
#define IMAGE_FDES_MAX 8
#define IMAGE_MAX      4096
#define IMAGE_HEADER   (12 + 8 * IMAGE_FDES_MAX)

struct ops {
	const uint8_t *bytes;
	size_t         n;
};

#define OPS(...) ((struct ops){ (const uint8_t[]){ __VA_ARGS__ }, \
				sizeof((const uint8_t[]){ __VA_ARGS__ }) })
#define NO_OPS ((struct ops){ (const uint8_t[]){ 0 }, 0 })

/* A CIE's usual ones: CFA = rsp + 8, return address at CFA - 8. */
#define ENTRY_OPS OPS(0x0c, 7, 8, 0x90, 1)

struct image {
	uint8_t bytes[IMAGE_MAX];
	size_t  n;
	size_t  cie;                    /* the last one: FDEs refer to it */
	uint8_t encoding;               /* of its FDEs' addresses */
	bool    augmented;
	unsigned fdes;
	struct {
		int32_t start, fde;
	} table[IMAGE_FDES_MAX];
};

static inline void image_put(struct image *m, const void *p, size_t n)
{
	memcpy(m->bytes + m->n, p, n);
	m->n += n;
}

static inline void image_u8(struct image *m, uint8_t v) { image_put(m, &v, sizeof(v)); }
static inline void image_u32(struct image *m, uint32_t v) { image_put(m, &v, sizeof(v)); }

static inline void image_begin(struct image *m)
{
	*m = (struct image){ .n = IMAGE_HEADER, .encoding = 0x1b };
}

/* The length before the record at `start`. */
static inline void image_close(struct image *m, size_t start)
{
	uint32_t length = (uint32_t)(m->n - start - 4);

	memcpy(m->bytes + start, &length, sizeof(length));
}

/* A CIE with these letters; code and data alignment in one byte each. */
static inline void image_cie(struct image *m, const char *letters, uint8_t code_align,
			     uint8_t data_align, struct ops ops)
{
	m->cie = m->n;
	m->augmented = letters[0] == 'z';
	image_u32(m, 0);
	image_u32(m, 0);
	image_u8(m, 1);
	image_put(m, letters, strlen(letters) + 1);
	image_u8(m, code_align);
	image_u8(m, data_align);
	image_u8(m, 16);
	if (m->augmented) {
		size_t sizes = m->n;

		image_u8(m, 0);
		for (const char *c = letters + 1; *c != '\0'; c++) {
			if (*c == 'R')
				image_u8(m, m->encoding);
			else if (*c == 'L')
				image_u8(m, 0x1b);
			else if (*c == 'P')
				image_put(m, "\x9b\1\2\3\4", 5);
		}
		m->bytes[sizes] = (uint8_t)(m->n - sizes - 1);
	}
	image_put(m, ops.bytes, ops.n);
	image_close(m, m->cie);
}

static inline void image_entry(struct image *m, uint32_t start, size_t fde)
{
	m->table[m->fdes].start = (int32_t)(start - IMAGE_BASE);
	m->table[m->fdes++].fde = (int32_t)fde;
}

/* For [start, start + size); enters it in the table, which the caller keeps sorted. */
static inline void image_fde(struct image *m, uint32_t start, uint32_t size, struct ops ops)
{
	size_t fde = m->n;

	image_u32(m, 0);
	image_u32(m, (uint32_t)(m->n - m->cie));
	if (m->encoding == 0x1b) {
		image_u32(m, start - (IMAGE_BASE + (uint32_t)m->n));
		image_u32(m, size);
	} else {
		image_put(m, &(uint64_t){ start }, 8);
		image_put(m, &(uint64_t){ size }, 8);
	}
	if (m->augmented)
		image_u8(m, 0);
	image_put(m, ops.bytes, ops.n);
	image_close(m, fde);
	if (m->fdes < IMAGE_FDES_MAX)
		image_entry(m, start, fde);
}

/* The end mark, and the header in front. */
static inline void image_end(struct image *m)
{
	uint32_t fields[2] = { IMAGE_HEADER - 4, m->fdes };

	image_u32(m, 0);
	memcpy(m->bytes, "\x01\x1b\x03\x3b", 4);
	memcpy(m->bytes + 4, fields, sizeof(fields));
	memcpy(m->bytes + 12, m->table, 8 * m->fdes);
}

/* One page that may be read and written, guards on both sides. */
static inline uint8_t *image_page(void)
{
	static uint8_t *page;

	if (page == NULL) {
		page = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		page += 4096;
		mprotect(page, 4096, PROT_READ | PROT_WRITE);
	}
	return page;
}

/* The first n bytes of the image, right in front of the upper guard, or right behind the lower. */
static inline struct cfi_object image_place(const struct image *m, size_t n, bool at_end)
{
	uint8_t *at = image_page() + (at_end ? 4096 - n : 0);

	memset(image_page(), 0xee, 4096);
	memcpy(at, m->bytes, n);
	return (struct cfi_object){ .hdr = at, .lo = at, .hi = at + n,
				    .moved = IMAGE_BASE - (uintptr_t)at };
}

#endif
