/* Any bytes as an ELF object: no read outside of them, no promise of symbols.h broken.  The source
 * is memory, read by the os_peek below, which ends the run on the first byte outside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/elf.h"
#include "httpd/elf_frames.h"
#include "httpd/elf_tables.h"
#include "httpd/symbols.h"
#include "sampler/os.h"

#define STEPS_MAX 100000        /* of one index: a build that takes more does not end */

static const uint8_t *input;
static size_t input_bytes;
static size_t mapped_bytes;

static void check(int promise)
{
	if (!promise)
		abort();
}

long os_peek(void *to, uintptr_t from, size_t n)
{
	size_t at = from - (uintptr_t)input;

	check(at <= input_bytes && n <= input_bytes - at);
	if (n > 0)
		memcpy(to, input + at, n);
	return (long)n;
}

long os_pread(int fd, void *buf, size_t n, uint64_t offset)
{
	(void)fd;
	(void)buf;
	(void)n;
	(void)offset;
	abort();
}

void *os_map(size_t bytes)
{
	/* No more than 16 bytes for each 24 of the input, and a page. */
	check(bytes <= input_bytes + 4096);
	mapped_bytes += bytes;
	return calloc(1, bytes);
}

void os_unmap(void *p, size_t bytes)
{
	mapped_bytes -= bytes;
	free(p);
}

static void look_up(const struct elf *e, const struct symbols *s, uint64_t address)
{
	const struct symbols_entry *entry = symbols_find(s, address);
	struct elf_frame frame;
	char name[300];

	if (entry != NULL) {
		check(address - symbols_address(entry) < entry->size);
		check(symbols_name(s, e, entry, name, sizeof(name)) == strlen(name));
	}
	if (elf_frames_find(e, address, &frame))
		check(frame.start <= address && address < frame.end);
}

static void build(const struct elf *e, const struct elf_table *table)
{
	struct symbols s = { 0 };
	enum symbols_state state;
	unsigned steps = 0;

	symbols_begin(&s, table);
	do {
		state = symbols_step(&s, e);
		if (state == SYMBOLS_COUNTED)
			symbols_map(&s);
		check(++steps < STEPS_MAX);
	} while (state == SYMBOLS_MORE || state == SYMBOLS_COUNTED);
	for (uint32_t i = 0; state == SYMBOLS_READY && i < s.count; i++) {
		check(s.entry[i].size > 0);
		check(i == 0 || symbols_address(&s.entry[i - 1]) < symbols_address(&s.entry[i]));
		if (i < 100) {
			look_up(e, &s, symbols_address(&s.entry[i]));
			look_up(e, &s, symbols_address(&s.entry[i]) + s.entry[i].size);
		}
	}
	look_up(e, &s, 0);
	look_up(e, &s, UINT64_MAX);
	symbols_free(&s);
	check(mapped_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct elf_source source = { .fd = -1, .memory = (uintptr_t)copy, .bytes = size };
	struct elf_tables tables;
	struct elf e;
	uint64_t there;

	if (size > 0)
		memcpy(copy, data, size);
	input = copy;
	input_bytes = size;
	if (elf_open(&e, &source) == 0) {
		elf_tables_find(&e, &tables);
		build(&e, &tables.full);
		build(&e, &tables.dynamic);
		for (uint32_t i = 0; i < e.load_count; i++)
			check(!elf_address(&e, e.load[i].offset, &there) ||
			      there < 2 * ELF_ADDRESS_MAX);
	}
	free(copy);
	return 0;
}
