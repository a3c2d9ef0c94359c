/* Whether notes are padded to 4 or to 8 bytes is said by the segment, which we are not given, and
 * some linkers say the wrong thing.  So both are tried.  The wrong one loses its way in the first
 * note that it takes for longer or shorter than it is, and finds nothing. */
#include "sampler/buildid.h"

#include <elf.h>
#include <string.h>

/* NT_GNU_BUILD_ID with the name "GNU". */
static const char gnu[] = ELF_NOTE_GNU;

/* n rounded up to a multiple of align, as long as it fits into len; else len + 1. */
static size_t padded(size_t n, size_t align, size_t len)
{
	if (n > len)
		return len + 1;
	n = (n + align - 1) & ~(align - 1);
	return n > len ? len : n;       /* the last note may lack its padding */
}

static size_t find(const uint8_t *notes, size_t len, size_t align, uint8_t out[BUILD_ID_MAX])
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr h;
		size_t desc, end;

		memcpy(&h, notes, sizeof(h));
		desc = padded(sizeof(h) + (size_t)h.n_namesz, align, len);
		if (desc > len || h.n_descsz > len - desc)
			return 0;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == sizeof(gnu) && h.n_descsz > 0 &&
		    memcmp(notes + sizeof(h), gnu, sizeof(gnu)) == 0) {
			end = h.n_descsz < BUILD_ID_MAX ? h.n_descsz : BUILD_ID_MAX;
			memcpy(out, notes + desc, end);
			return end;
		}
		end = padded(desc + h.n_descsz, align, len);
		notes += end;
		len -= end;
	}
	return 0;
}

size_t buildid_parse(const uint8_t *notes, size_t len, uint8_t out[BUILD_ID_MAX])
{
	size_t n = find(notes, len, 4, out);

	return n > 0 ? n : find(notes, len, 8, out);
}
