#include "sampler/objects.h"

#include <elf.h>
#include <string.h>

#include "sampler/buildid.h"
#include "sampler/os.h"

#define HEADERS_MAX 32
#define NOTE_BYTES  1024

static bool peek(void *to, uintptr_t from, size_t n)
{
	return os_peek(to, from, n) == (long)n;
}

static void read_build_id(uintptr_t at, size_t bytes, struct object *out)
{
	/* Of the constructor or our thread: not a handler's stack, but keep it off all the same. */
	static uint8_t notes[NOTE_BYTES];

	if (bytes > sizeof(notes))
		bytes = sizeof(notes);
	if (out->build_id_len != 0 || !peek(notes, at, bytes))
		return;
	out->build_id_len = (uint8_t)buildid_parse(notes, bytes, out->build_id);
	for (size_t i = 0; out->build_id_len > 0 && i + out->build_id_len <= bytes; i += 4)
		if (memcmp(notes + i, out->build_id, out->build_id_len) == 0)
			out->build_id_at = at + i;
}

/* The lower one of .eh_frame_hdr and .eh_frame: what is before them in the segment (read-only data,
 * often megabytes) is none of our business.  The header is version, three encodings and, in
 * every linker's output, the 4 bytes from there to .eh_frame (LSB Core 10.6.2). */
static uintptr_t tables_start(uintptr_t hdr, uintptr_t segment)
{
	struct { uint8_t version, frame_encoding, encodings[2]; int32_t to_frame; } head;
	uintptr_t frame;

	if (!peek(&head, hdr, sizeof(head)) || head.frame_encoding != 0x1b)
		return segment;
	frame = hdr + 4 + (uintptr_t)(intptr_t)head.to_frame;
	return frame < segment ? segment : frame < hdr ? frame : hdr;
}

static void find_segment(const Elf64_Phdr *ph, unsigned n, uintptr_t bias, struct object *out)
{
	for (unsigned i = 0; i < n; i++) {
		uintptr_t start = bias + ph[i].p_vaddr, end = start + ph[i].p_filesz;

		if (ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_R) && out->hdr >= start &&
		    out->hdr < end) {
			out->lo = tables_start(out->hdr, start);
			out->hi = end;
			return;
		}
	}
	out->hdr = 0;
}

/* What to add to an address of the file's to get one of the process's. */
static uintptr_t find_bias(const Elf64_Phdr *ph, unsigned n, uintptr_t image)
{
	for (unsigned i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset < 4096)
			return image - (ph[i].p_vaddr - ph[i].p_offset);
	return image;
}

/* The program headers of the object at image, in memory that the next call uses again.  0: none. */
static unsigned read_headers(uintptr_t image, const Elf64_Phdr **out)
{
	static Elf64_Phdr ph[HEADERS_MAX];
	Elf64_Ehdr eh;
	unsigned n;

	if (image == 0 || !peek(&eh, image, sizeof(eh)) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_phentsize != sizeof(ph[0]))
		return 0;
	n = eh.e_phnum < HEADERS_MAX ? eh.e_phnum : HEADERS_MAX;
	*out = ph;
	return peek(ph, image + eh.e_phoff, n * sizeof(ph[0])) ? n : 0;
}

bool objects_read(uintptr_t image, struct object *out)
{
	const Elf64_Phdr *ph;
	unsigned n = read_headers(image, &ph);
	uintptr_t bias;

	memset(out, 0, sizeof(*out));
	if (n == 0)
		return false;
	bias = find_bias(ph, n, image);
	for (unsigned i = 0; i < n; i++) {
		if (ph[i].p_type == PT_NOTE)
			read_build_id(bias + ph[i].p_vaddr, ph[i].p_memsz, out);
		if (ph[i].p_type == PT_GNU_EH_FRAME)
			out->hdr = bias + ph[i].p_vaddr;
	}
	if (out->hdr != 0)
		find_segment(ph, n, bias, out);
	return true;
}

bool objects_is_build(uintptr_t at, const uint8_t *build_id, size_t len)
{
	uint8_t id[BUILD_ID_MAX];

	return len <= sizeof(id) && peek(id, at, len) && memcmp(id, build_id, len) == 0;
}

bool objects_has_segment(uintptr_t image, uintptr_t start)
{
	const Elf64_Phdr *ph;
	unsigned n = read_headers(image, &ph);

	for (unsigned i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD &&
		    ((find_bias(ph, n, image) + ph[i].p_vaddr) & ~(uintptr_t)4095) == start)
			return true;
	return false;
}
