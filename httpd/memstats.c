#include "httpd/memstats.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "encode/text.h"
#include "sampler/compiler.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define PAUSES 256

/* --- the kernel's numbers -------------------------------------------------------------------- */

/* "VmRSS:\t    1964 kB" */
static void parse_line(struct memstats_process *p)
{
	const struct { const char *key; uint64_t *value; } known[] = {
		{ "VmRSS:", &p->resident }, { "RssAnon:", &p->anonymous },
		{ "VmSwap:", &p->swapped }, { "VmStk:", &p->stack },
	};

	for (unsigned i = 0; i < COUNT_OF(known); i++) {
		size_t at = strlen(known[i].key);
		uint64_t kib = 0;

		if (at > p->line_len || memcmp(p->line, known[i].key, at) != 0)
			continue;
		for (; at < p->line_len; at++)
			if (p->line[at] >= '0' && p->line[at] <= '9')
				kib = kib * 10 + (uint64_t)(p->line[at] - '0');
		*known[i].value = kib * 1024;
	}
}

void memstats_parse(struct memstats_process *p, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n') {
			parse_line(p);
			p->line_len = 0;
		} else if (p->line_len < sizeof(p->line)) {
			p->line[p->line_len++] = text[i];
		}
	}
}

static void read_process(struct memstats_process *p)
{
	int fd = os_open_read("/proc/thread-self/status");
	char text[1024];
	long n;

	memset(p, 0, sizeof(*p));
	if (fd < 0)
		return;
	while ((n = os_read(fd, text, sizeof(text))) > 0)
		memstats_parse(p, text, (size_t)n);
	os_close(fd);
}

static int64_t max_resident(void)
{
	struct rusage usage;

	memset(&usage, 0, sizeof(usage));
	sys_call2(SYS_getrusage, RUSAGE_SELF, &usage);
	return usage.ru_maxrss * 1024;
}

/* --- the lines ------------------------------------------------------------------------------- */

#define LINES_MAX 32

struct lines {
	struct text_stat stat[LINES_MAX];
	char             digits[LINES_MAX][48];
	char             zeros[2 * PAUSES + 2];
	unsigned         n;
};

static void add(struct lines *l, const char *name, const char *value)
{
	l->stat[l->n++] = (struct text_stat){ name, value };
}

static void number(struct lines *l, const char *name, uint64_t n)
{
	struct buf text = buf_bounded(l->digits[l->n], sizeof(l->digits[l->n]));

	buf_unsigned(&text, n);
	buf_end(&text);
	add(l, name, text.data);
}

/* "in use / had from the system" */
static void both(struct lines *l, const char *name, uint64_t n)
{
	struct buf text = buf_bounded(l->digits[l->n], sizeof(l->digits[l->n]));

	buf_unsigned(&text, n);
	buf_string(&text, " / ");
	buf_unsigned(&text, n);
	buf_end(&text);
	add(l, name, text.data);
}

/* "[0 0 0 ... 0]" */
static void write_zeros(char zeros[2 * PAUSES + 2])
{
	for (unsigned i = 0; i < PAUSES; i++) {
		zeros[2 * i] = i == 0 ? '[' : ' ';
		zeros[2 * i + 1] = '0';
	}
	zeros[2 * PAUSES] = ']';
	zeros[2 * PAUSES + 1] = '\0';
}

static uint64_t beyond(uint64_t all, uint64_t part)
{
	return all > part ? all - part : 0;
}

static void add_heap(struct lines *l, const struct memstats_heap *h,
		     const struct memstats_process *p)
{
	uint64_t anonymous = p->anonymous + p->swapped, inuse = (uint64_t)h->inuse_bytes;

	number(l, "Alloc", inuse);
	number(l, "TotalAlloc", (uint64_t)h->alloc_bytes);
	number(l, "Sys", p->resident + p->swapped);
	number(l, "Lookups", 0);
	number(l, "Mallocs", (uint64_t)h->alloc_objects);
	number(l, "Frees", (uint64_t)(h->alloc_objects - h->inuse_objects));
	number(l, "HeapAlloc", inuse);
	number(l, "HeapSys", anonymous);
	number(l, "HeapIdle", beyond(anonymous, inuse));
	number(l, "HeapInuse", inuse);
	number(l, "HeapReleased", 0);
	number(l, "HeapObjects", (uint64_t)h->inuse_objects);
}

/* go-contract.md 3.2. */
void memstats_write(struct buf *b, const struct memstats_heap *h)
{
	struct memstats_process p;
	struct lines l;

	l.n = 0;
	write_zeros(l.zeros);
	read_process(&p);
	add_heap(&l, h, &p);
	both(&l, "Stack", p.stack);
	both(&l, "MSpan", 0);
	both(&l, "MCache", 0);
	number(&l, "BuckHashSys", 0);
	number(&l, "GCSys", 0);
	number(&l, "OtherSys", beyond(p.resident, p.anonymous));
	number(&l, "NextGC", 0);
	number(&l, "LastGC", 0);
	add(&l, "PauseNs", l.zeros);
	add(&l, "PauseEnd", l.zeros);
	number(&l, "NumGC", 0);
	number(&l, "NumForcedGC", 0);
	add(&l, "GCCPUFraction", "0");
	add(&l, "DebugGC", "false");
	number(&l, "MaxRSS", (uint64_t)max_resident());
	text_stats(b, l.stat, l.n);
}
