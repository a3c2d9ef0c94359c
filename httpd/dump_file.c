#include "httpd/dump_file.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "httpd/job.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define AT_ONCE (16u << 10)
#define NEWEST  2       /* the last one may be in the making */

/* Of a directory: a million entries or so.  What comes after is not there. */
#define PIECES_MAX 4096

/* --- names ----------------------------------------------------------------------------------- */

static const char *digits(const char *at, uint64_t *n)
{
	const char *first = at;

	for (*n = 0; *at >= '0' && *at <= '9' && at - first < 19; at++)
		*n = *n * 10 + (uint64_t)(*at - '0');
	return at > first ? at : NULL;
}

/* "jeprof.4242.7.i6.heap", "jeprof.4242.8.f.heap" */
bool dump_file_name(const char *name, const char *base, int pid, uint64_t *seq)
{
	size_t n = strlen(base);
	uint64_t number;

	if (strncmp(name, base, n) != 0 || name[n] != '.')
		return false;
	name = digits(name + n + 1, &number);
	if (name == NULL || number != (uint64_t)pid || *name != '.')
		return false;
	name = digits(name + 1, seq);
	if (name == NULL || name[0] != '.' || name[1] < 'a' || name[1] > 'z')
		return false;
	name += 2;
	while (*name >= '0' && *name <= '9')
		name++;
	return strcmp(name, ".heap") == 0;
}

/* --- the directory --------------------------------------------------------------------------- */

struct newest {
	const char *base;
	int         pid;
	int64_t     since_s;
	char       *path;               /* the directory, and room for a name */
	size_t      path_len;
	unsigned    count;
	uint64_t    seq[NEWEST];        /* from the newest on */
	char        name[NEWEST][DUMP_NAME_MAX];
};

static uid_t effective_user(void)
{
	return (uid_t)sys_call0(SYS_geteuid);
}

/* Regular files only: to open anything else could block, or have an effect. */
static bool is_readable(const char *path, struct stat *st)
{
	return os_stat_no_link(path, st) == 0 && S_ISREG(st->st_mode) &&
	       st->st_size <= DUMP_FILE_MAX && (st->st_uid == 0 || st->st_uid == effective_user());
}

/* The kernel's clock for files is a tick behind. */
static bool is_dump(const struct newest *w, const char *name)
{
	struct stat st;
	bool is;

	strcpy(w->path + w->path_len, name);
	is = is_readable(w->path, &st) && st.st_mtim.tv_sec + 1 >= w->since_s;
	w->path[w->path_len] = '\0';
	return is;
}

static void meet(struct newest *w, const char *name)
{
	uint64_t seq;
	unsigned at = 0;

	if (strlen(name) >= DUMP_NAME_MAX || !dump_file_name(name, w->base, w->pid, &seq) ||
	    !is_dump(w, name))
		return;
	while (at < w->count && w->seq[at] > seq)
		at++;
	if (at == NEWEST)
		return;
	for (unsigned i = NEWEST - 1; i > at; i--) {
		w->seq[i] = w->seq[i - 1];
		strcpy(w->name[i], w->name[i - 1]);
	}
	w->seq[at] = seq;
	strcpy(w->name[at], name);
	if (w->count < NEWEST)
		w->count++;
}

/* Goes on at *offset.  Opened again for each piece, as files are below.  False: at the end. */
static bool list_piece(struct newest *w, int64_t *offset)
{
	_Alignas(struct os_entry) char buf[AT_ONCE];
	int fd = os_open_dir(w->path);
	long n = -1;

	if (fd < 0)
		return false;
	if (*offset == 0 || sys_call3(SYS_lseek, fd, *offset, SEEK_SET) >= 0)
		n = os_list(fd, buf, sizeof(buf));
	os_close(fd);
	for (long at = 0; at < n;) {
		struct os_entry *e = (struct os_entry *)(void *)(buf + at);

		meet(w, e->name);
		*offset = e->offset;
		at += e->bytes;
	}
	return n > 0;
}

static void list(struct newest *w)
{
	int64_t offset = 0;

	for (unsigned i = 0; i < PIECES_MAX && list_piece(w, &offset); i++)
		job_breathe();
}

/* --- a file ---------------------------------------------------------------------------------- */

static bool is_same(int fd, const struct stat *st)
{
	struct stat now;

	return os_fstat(fd, &now) == 0 && now.st_ino == st->st_ino && now.st_dev == st->st_dev;
}

/* Nothing is left open by a job that is given up. */
static long read_piece(const char *path, const struct stat *st, char *buf, uint64_t at)
{
	int fd = os_open_no_link(path);
	long n = -1;

	if (fd < 0)
		return fd;
	if (is_same(fd, st))
		n = os_pread(fd, buf, AT_ONCE, at);
	os_close(fd);
	return n;
}

static void read_all(struct dump *d, const char *path, const struct stat *st)
{
	char buf[AT_ONCE];
	uint64_t at = 0;
	long n;

	while (!d->whole && at <= DUMP_FILE_MAX && (n = read_piece(path, st, buf, at)) > 0) {
		dump_feed(d, buf, (size_t)n);
		if (d->begun && d->rate == 0)
			return;
		at += (uint64_t)n;
		job_breathe();
	}
}

static bool is_whole(struct dump *d, struct dump_file *f)
{
	struct stat st;

	if (!is_readable(f->path, &st))
		return false;
	memset(d, 0, sizeof(*d));
	read_all(d, f->path, &st);
	f->written_s = st.st_mtim.tv_sec;
	f->rate = d->rate;
	return d->whole && d->rate != 0;
}

bool dump_file_find(struct arena *arena, const char *prefix, int64_t since_s,
		    struct dump_file *out)
{
	struct newest *w = arena_alloc(arena, sizeof(*w));
	struct dump *d = arena_alloc(arena, sizeof(*d));
	const char *slash = strrchr(prefix, '/');
	size_t n = slash != NULL ? (size_t)(slash + 1 - prefix) : 2;

	if (w == NULL || d == NULL || n > sizeof(out->path) - DUMP_NAME_MAX)
		return false;
	w->base = slash != NULL ? slash + 1 : prefix;
	w->pid = os_getpid();
	w->since_s = since_s;
	w->path = out->path;
	w->path_len = n;
	/* Our thread's working directory is the host's. */
	memcpy(out->path, slash != NULL ? prefix : "./", n);
	out->path[n] = '\0';
	list(w);
	for (unsigned i = 0; i < w->count; i++) {
		strcpy(out->path + n, w->name[i]);
		if (is_whole(d, out))
			return true;
	}
	return false;
}

void dump_file_read(struct arena *arena, const struct dump_file *f,
		    void (*row)(void *with, const struct dump_row *row), void *with)
{
	struct dump *d = arena_alloc(arena, sizeof(*d));
	struct stat st;

	if (d == NULL || !is_readable(f->path, &st))
		return;
	d->row = row;
	d->with = with;
	read_all(d, f->path, &st);
}
