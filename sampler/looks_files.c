#include "sampler/looks_files.h"

#include <errno.h>
#include <string.h>

#include "sampler/os.h"

/* A number of a system call, seven of 64 bits as 0x and 16 digits, and blanks. */
#define CALL_BYTES  192
/* The name is within 64 bytes: the kernel writes a byte of it as four at most. */
#define STATE_BYTES 192

static struct {
	int     fd;
	int32_t pid;                    /* of which process; 0: none yet */
	int32_t owner;                  /* the thread that opened it */
	bool    no_waits;               /* there is no schedstat */
} files;

/* --- reading --------------------------------------------------------------------------------- */

/* Our thread may be another than at the last look, with descriptors of its own: a number of the old
 * one's means nothing then.  And a fork child has another directory. */
static bool has_directory(void)
{
	if (files.pid != os_getpid())
		return false;
	return os_has_own_files() ? files.owner == os_gettid() : os_is_ours(files.fd);
}

static int open_directory(void)
{
	if (!has_directory()) {
		files.fd = os_open_dir("/proc/thread-self/../");
		files.pid = files.fd >= 0 ? os_getpid() : 0;
		files.owner = os_gettid();
	}
	return files.fd;
}

static void make_name(int tid, const char *file, char name[static 32])
{
	char digits[12];
	size_t n = sizeof(digits), len;

	do
		digits[--n] = (char)('0' + tid % 10);
	while ((tid /= 10) != 0);
	len = sizeof(digits) - n;
	memcpy(name, digits + n, len);
	name[len] = '/';
	memcpy(name + len + 1, file, strlen(file) + 1);
}

int looks_files_open(int tid, const char *file)
{
	int dir = open_directory();
	char name[32];

	if (dir < 0)
		return dir;
	make_name(tid, file, name);
	return os_open_at(dir, name);
}

/* Returns how much of the file there was. */
static long read_file(int tid, const char *file, char *text, size_t max)
{
	int fd = looks_files_open(tid, file);
	long n;

	if (fd < 0)
		return fd;
	n = os_read(fd, text, max);
	os_close(fd);
	return n;
}

int looks_files_state(int tid, struct look *out)
{
	char text[STATE_BYTES];
	long n = read_file(tid, "stat", text, sizeof(text));

	return n < 0 ? (int)n : looks_files_parse_state(text, (size_t)n, out);
}

int looks_files_call(int tid, struct look *out)
{
	char text[CALL_BYTES];
	long n = read_file(tid, "syscall", text, sizeof(text));

	return n < 0 ? (int)n : looks_files_parse_call(text, (size_t)n, out);
}

/* --- parsing --------------------------------------------------------------------------------- */

struct text { const char *at, *end; };

static bool skip(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

static bool read_number(struct text *t, unsigned base, uint64_t *value)
{
	const char *begin = t->at;

	*value = 0;
	for (; t->at < t->end; t->at++) {
		char c = *t->at;
		unsigned digit = c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');

		if (digit >= base)
			break;
		*value = *value * base + digit;
	}
	return t->at != begin;
}

static bool read_hex(struct text *t, uint64_t *value)
{
	return skip(t, '0') && skip(t, 'x') && read_number(t, 16, value);
}

uint64_t looks_files_wait_ns(int tid)
{
	char buf[96];
	struct text t = { buf, buf };
	uint64_t ran, waited;
	long n;

	if (files.no_waits)
		return 0;
	n = read_file(tid, "schedstat", buf, sizeof(buf));
	/* Or the thread has just gone: our own is here. */
	if (n == -ENOENT && tid != os_gettid()) {
		(void)looks_files_wait_ns(os_gettid());
		return 0;
	}
	files.no_waits = n == -ENOENT;
	t.end += n > 0 ? n : 0;
	return read_number(&t, 10, &ran) && skip(&t, ' ') && read_number(&t, 10, &waited) ? waited
											 : 0;
}

/* TID (NAME) LETTER ...; the name may hold anything, also ") R ". */
int looks_files_parse_state(const char *text, size_t len, struct look *out)
{
	const char *name = memchr(text, '(', len), *end = text + len;
	size_t n;

	if (name == NULL)
		return -EINVAL;
	name++;
	while (end > name && end[-1] != ')')
		end--;
	if (end == name || text + len - end < 2 || end[0] != ' ')
		return -EINVAL;
	out->letter = end[1];
	n = (size_t)(end - 1 - name);
	if (n > sizeof(out->name) - 1)
		n = sizeof(out->name) - 1;
	memcpy(out->name, name, n);
	out->name[n] = '\0';
	return 0;
}

/* "running"; "-1 SP PC"; or "NR ARG0 ... ARG5 SP PC". */
int looks_files_parse_call(const char *text, size_t len, struct look *out)
{
	struct text t = { text, text + len };
	uint64_t nr, sp, pc;
	bool none = skip(&t, '-');

	if (len > 0 && text[0] == 'r')
		return 0;
	if (!read_number(&t, 10, &nr))
		return -EINVAL;
	out->nr = none ? -1 : (int64_t)nr;
	memset(out->arg, 0, sizeof(out->arg));
	for (unsigned i = 0; i < 6 && !none; i++)
		if (!skip(&t, ' ') || !read_hex(&t, &out->arg[i]))
			return -EINVAL;
	if (!skip(&t, ' ') || !read_hex(&t, &sp) || !skip(&t, ' ') || !read_hex(&t, &pc))
		return -EINVAL;
	out->sp = sp;
	out->pc = pc;
	return 1;
}

/* --- the list -------------------------------------------------------------------------------- */

/* From the directory that is open: a host that has left for another root (chroot) takes us along,
 * and has no /proc there. */
int looks_list_open(struct looks_list *l)
{
	int dir = open_directory();

	l->at = l->have = 0;
	l->owner = os_gettid();
	l->fd = dir < 0 ? dir : os_open_at(dir, ".");
	return l->fd < 0 ? l->fd : 0;
}

/* 0 for what is no thread: "." and "..". */
static int parse_tid(const char *name)
{
	int tid = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		tid = tid * 10 + (*name - '0');
	return *name == '\0' ? tid : 0;
}

static bool is_open(const struct looks_list *l)
{
	return l->fd >= 0 && l->owner == os_gettid() && os_is_ours(l->fd);
}

long looks_list_step(struct looks_list *l, int *tid, long max)
{
	long n = 0;

	if (!is_open(l))
		return -EBADF;
	while (n < max) {
		const struct os_entry *e;

		if (l->at >= l->have) {
			l->at = 0;
			l->have = os_list(l->fd, l->buf, sizeof(l->buf));
			if (l->have <= 0)
				return n > 0 || l->have == 0 ? n : l->have;
		}
		e = (const struct os_entry *)(const void *)(l->buf + l->at);
		l->at += e->bytes;
		tid[n] = parse_tid(e->name);
		n += tid[n] != 0;
	}
	return n;
}

void looks_list_close(struct looks_list *l)
{
	if (is_open(l))
		os_close(l->fd);
	l->fd = -1;
}
