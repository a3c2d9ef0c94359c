/* tables.c -- what compiling the unwind tables of programs and libraries takes.
 *
 *     tables [-r ROUNDS] FILE...
 *
 * Prints "tables PATH TEXT_BYTES TABLE_BYTES NS" for each file and round: what is mapped
 * executable, its rows with their index, and the CPU time of compiling them, copying what they are
 * made from included.  The first round, which reads the files, is not printed. */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sampler/modules_scan.h"
#include "test/bench/bench.h"
#include "test/bench/unwind/want.h"

#define PAGE     4096ul
#define SPAN_MAX (1ul << 30)

static void map_segment(int fd, char *at, const Elf64_Phdr *p)
{
	size_t skip = p->p_vaddr % PAGE;
	int how = (p->p_flags & PF_X) != 0 ? PROT_READ | PROT_EXEC : PROT_READ;

	if (p->p_filesz > 0 &&
	    mmap(at + p->p_vaddr - skip, p->p_filesz + skip, how, MAP_PRIVATE | MAP_FIXED, fd,
		 (off_t)(p->p_offset - skip)) == MAP_FAILED)
		die("mmap");
}

/* As the loader maps it, but not relocated: tables do not depend on that.  NULL: no ELF file. */
static char *map_object(const char *path)
{
	int fd = open(path, O_RDONLY);
	Elf64_Ehdr e;
	Elf64_Phdr p;
	char *at;
	uint64_t lowest = UINT64_MAX;

	if (fd < 0 || pread(fd, &e, sizeof(e), 0) != sizeof(e) ||
	    memcmp(e.e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	at = mmap(NULL, SPAN_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		die("mmap");
	for (unsigned i = 0; i < e.e_phnum; i++) {
		if (pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + i * sizeof(p))) != sizeof(p) ||
		    p.p_type != PT_LOAD)
			continue;
		if (lowest == UINT64_MAX)
			lowest = p.p_vaddr - p.p_vaddr % PAGE;
		p.p_vaddr -= lowest;
		map_segment(fd, at, &p);
	}
	close(fd);
	return at;
}

static double thread_ns(void)
{
	return clock_secs(CLOCK_THREAD_CPUTIME_ID) * 1e9;
}

/* The first module of the image, and how much of all its segments is executable. */
static const struct module *module_at(const char *image, uint64_t *text)
{
	const struct module *found = NULL;

	*text = 0;
	for (uint32_t i = modules_count(); i-- > 0;) {
		const struct module *m = modules_at(i);

		if (m->image == (uintptr_t)image) {
			found = m;
			*text += m->limit - m->start;
		}
	}
	return found;
}

/* False: it has none. */
static bool compile(const char *image, const char *path, bool quiet)
{
	uint64_t text;
	const struct module *m = module_at(image, &text);
	double began;

	if (m == NULL || m->tables == NULL)
		return false;
	tables_after_fork();                    /* what was compiled is forgotten */
	want(m->tables);
	began = thread_ns();
	while (tables_compile())
		;
	if (!quiet)
		printf("tables\t%s\t%lu\t%zu\t%.0f\n", path, text, m->tables->compiled_bytes,
		       thread_ns() - began);
	return m->tables->compiled_bytes != 0;
}

int main(int argc, char **argv)
{
	long rounds = opt_long(argc, argv, "-r", 21);
	char *image[64] = { NULL };

	for (int i = 1; i < argc && i < 64; i++)
		image[i] = map_object(argv[i]);
	if (modules_scan(true) != 0)
		die("the mappings");
	for (long round = 0; round <= rounds; round++) {
		for (int i = 1; i < argc && i < 64; i++) {
			if (image[i] != NULL && !compile(image[i], argv[i], round == 0)) {
				printf("wrong tables: %s has none\n", argv[i]);
				return 1;
			}
		}
	}
	return 0;
}
