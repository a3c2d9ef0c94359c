#include "httpd/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "encode/buf.h"
#include "httpd/registry_file.h"
#include "httpd/registry_here.h"
#include "httpd/registry_sweep.h"
#include "httpd/registry_text.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define PROGRAM_MAX 4096                /* PATH_MAX */
/* A path, its name, nine addresses, and room for what has to be escaped. */
#define TEXT_MAX 16384

/* In looks: seconds, mostly. */
#define RETRY_MAX   32
#define STILL_THERE 4

static char directory[REGISTRY_DIRECTORY_MAX];  /* "": none */

static struct {
	char           text[TEXT_MAX];
	size_t         len;                     /* of text; 0: nothing to be said */
	bool           wanted;                  /* text is not in the file yet */
	bool           written;
	unsigned       pause, left;             /* looks until it is tried again */
	unsigned       looks;
	enum log_level level;
	int            refused;                 /* the last error that the log named */
	int64_t        started_s;
	struct registry_where here;
	bool           swept;
	int64_t        sweep_at;
} registry;

static void begin(void)
{
	registry.started_s = (int64_t)(os_realtime_ns() / 1000000000u);
}

void registry_init(const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;            /* behind a slash the kernel follows a link */
	if (n == 0)
		return;
	if (path[0] != '/' || n >= sizeof(directory)) {
		log_line(LOG_ERROR, "PPROFSHIM_REGISTRY=", path,
			 ": not allowed; allowed: an absolute path; using none", NULL);
		return;
	}
	memcpy(directory, path, n);
	directory[n] = '\0';
	begin();
}

void registry_after_fork(void)
{
	memset(&registry, 0, sizeof(registry));
	registry_file_after_fork();
	begin();
}

/* --- the file -------------------------------------------------------------------------------- */

static void sweep(int dir)
{
	if (!registry.swept)
		registry.swept = !registry_sweep(dir, &registry.here, &registry.sweep_at);
}

static int write_file(void)
{
	int dir = registry.len < TEXT_MAX ? registry_file_open(directory) : -E2BIG, err;

	if (dir < 0)
		return dir;
	err = registry_file_write(dir, &registry.here, registry.text, registry.len);
	registry.written |= err == 0;
	if (err == 0)
		sweep(dir);
	os_close(dir);
	return err;
}

/* --- errors ---------------------------------------------------------------------------------- */

static const char *error_text(int err)
{
	switch (-err) {
	case EACCES:
	case EPERM: return "permission denied";
	case ENOENT: return "no such directory";
	case ENOTDIR:
	case ELOOP: return "not a directory, or only a link to one";
	case ENOSPC:
	case EDQUOT: return "no space left";
	case EFBIG: return "a limit of the size of files";
	case EROFS: return "a read-only file system";
	case EMFILE: return "no descriptor left";
	case EEXIST: return "another user's file is in the way";
	case E2BIG: return "too many addresses of too many bytes";
	default: return "refused by the kernel";
	}
}

/* By its mode we may write there: a security module says no, and its administrator knows. */
static bool is_forbidden_by_policy(int err)
{
	return err == -EPERM ||
	       (err == -EACCES && sys_call4(SYS_faccessat2, AT_FDCWD, directory, W_OK | X_OK,
					    AT_EACCESS) == 0);
}

static void say(int err)
{
	enum log_level level = is_forbidden_by_policy(err) ? LOG_INFO : registry.level;

	if (err != registry.refused)
		log_line(level, "PPROFSHIM_REGISTRY=", directory, ": ", error_text(err),
			 "; this process is not in it", NULL);
	registry.refused = err;
}

static void try(void)
{
	int err = write_file();

	if (err == -ESRCH)
		return;         /* the process ends */
	registry.wanted = err < 0;
	if (err == 0) {
		registry.refused = 0;
		registry.pause = 0;
		return;
	}
	say(err);
	registry.pause = registry.pause == 0 ? 1 : 2 * registry.pause;
	if (registry.pause > RETRY_MAX)
		registry.pause = RETRY_MAX;
	registry.left = registry.pause;
}

/* --- from outside ---------------------------------------------------------------------------- */

void registry_tell(const struct address *const *open, size_t count, enum log_level level)
{
	struct buf b = buf_bounded(registry.text, sizeof(registry.text));
	char program[PROGRAM_MAX];
	struct registry_entry e = { .program = program, .pid = os_getpid(),
				    .started_s = registry.started_s, .open = open,
				    .count = count };

	if (directory[0] == '\0')
		return;
	registry_here(&registry.here);
	registry_here_program(program, sizeof(program));
	e.where = registry.here;
	registry_text_write(&b, &e);
	registry.len = b.len;
	registry.level = level;
	registry.wanted = true;
	try();
}

void registry_forget(void)
{
	int dir;

	registry.wanted = false;
	if (!registry.written)
		return;
	registry.written = false;
	dir = registry_file_open(directory);
	if (dir < 0)
		return;
	registry_file_remove(dir);
	os_close(dir);
}

static void look(void)
{
	int dir = registry_file_open(directory);

	if (dir < 0)
		return;
	sweep(dir);
	if (registry.looks % STILL_THERE == 0 && !registry_file_is_there(dir)) {
		registry_file_rename();         /* it is another namespace's, perhaps */
		registry.wanted = true;
		registry.left = 0;
	}
	os_close(dir);
}

void registry_look(void)
{
	if (directory[0] == '\0' || registry.len == 0)
		return;
	registry.looks++;
	if (registry.written && (!registry.swept || registry.looks % STILL_THERE == 0))
		look();
	if (registry.wanted && (registry.left == 0 || --registry.left == 0))
		try();
}

void registry_end(void)
{
	if (directory[0] != '\0')
		registry_file_end(directory);
}
