/* sampler/os.h -- every call of ours that acquires something from the kernel, behind names that a
 * test can replace at link time.
 *
 * Context   any: raw system calls, bounded, never a lock.
 * Result    >= 0 or -errno, unless said otherwise; errno is not touched.
 * Files     our thread has a table of descriptors to itself.  In the constructor, and on a kernel
 *           that refuses that, ours are CLOEXEC and OS_FD_MIN or higher; where the host's limit is
 *           lower, as high as it allows.  os_files.c */
#ifndef SAMPLER_OS_H
#define SAMPLER_OS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "sampler/compiler.h"

#define OS_FD_MIN 900

/* Zeroed private memory, not reserved in swap; NULL if refused (adds to count.map_refused). */
void *os_map(size_t bytes);
/* The same, and a fork child finds zeros there (Linux 4.14; before, what its parent had): a fork
 * then has no page tables to copy for it. */
void *os_map_wiped(size_t bytes);
/* One mapping for what os_map_wiped will be asked for: fewer calls at the start, fewer mappings at
 * a fork.  If the kernel refuses, each is mapped for itself.  Context: once, the constructor. */
void os_reserve_wiped(size_t bytes);
void os_unmap(void *p, size_t bytes);
/* Makes what os_map gave longer, to so many bytes, the new ones zero; it may be elsewhere then.
 * NULL if refused (adds to count.map_refused): then it is as it was. */
void *os_grow(void *p, size_t bytes, size_t to);
/* Of bytes at p, as mapped above, only the first keep are needed any more. */
void os_trim(void *p, size_t bytes, size_t keep);
/* All of it is zero again, and its pages the kernel's.  p as os_map gave it. */
void os_clear(void *p, size_t bytes);
/* Bytes of all that is mapped by the above now. */
uint64_t os_mapped_bytes(void);
/* What os_reserve_wiped has mapped, and how much there is; NULL: nothing. */
void *os_reserved(size_t *bytes);
/* Bytes of those at p, OS_RESIDENT_MAX at most, that are in memory. */
#define OS_RESIDENT_MAX (1u << 20)
size_t os_resident(void *p, size_t bytes);
/* Makes bytes at p inaccessible: a guard page.  p and bytes are page-aligned. */
void os_guard(void *p, size_t bytes);

/* Read-only.  Fails with -ENOENT, -EACCES, -EMFILE ...  Waits for no other end of a pipe and for
 * nobody's lease: O_NONBLOCK. */
MUST_CHECK int os_open_read(const char *path);
/* The same, but -ELOOP for a symbolic link. */
MUST_CHECK int os_open_no_link(const char *path);
/* The same, in the directory that dir is open on; a path of no more than that. */
MUST_CHECK int os_open_at(int dir, const char *path);
/* The same, for a directory. */
MUST_CHECK int os_open_dir(const char *path);
void os_close(int fd);
/* The calling thread leaves the host's descriptors and begins with none; where the kernel refuses,
 * it goes on among the host's. */
void os_own_files(void);
/* True if our thread has its own. */
bool os_has_own_files(void);
/* Moves fd out of the host's way and remembers which file it is; the old number is closed in any
 * case. -EMFILE when OS_FILES_MAX are open.  Context: the constructor, then our thread. */
#define OS_FILES_MAX 320
MUST_CHECK int os_high_fd(int fd);
/* True if the number is still the file that we opened: a host may close everything, or put a file
 * of its own there.  os_close asks this itself. */
int os_is_ours(int fd);
/* A fork child: closes what it inherited of ours. */
void os_after_fork(void);

/* Sockets: as the system calls of these names, with our rules for descriptors.  Non-blocking. */
MUST_CHECK int os_socket(int family);
MUST_CHECK int os_bind(int fd, const void *address, size_t len);
MUST_CHECK int os_listen(int fd, int backlog);
MUST_CHECK int os_accept(int fd);
MUST_CHECK int os_connect(int fd, const void *address, size_t len);
MUST_CHECK int os_local_address(int fd, void *address, size_t *len);
MUST_CHECK long os_send(int fd, const void *buf, size_t n);
/* Waits at most so many ns.  Returns how many are ready. */
struct pollfd;
MUST_CHECK int os_poll(struct pollfd *fds, size_t n, uint64_t timeout_ns);
/* 0, or -errno: at once. */
MUST_CHECK int os_sleep(uint64_t ns);
/* Closing fd will reset the connection; nothing of it is left behind. */
void os_cut(int fd);

/* A descriptor on which poll sees that somebody has rung for the calling thread, which has all
 * signals blocked; and what others do to ring.  No handler is involved: the signal waits in the
 * thread's own queue and is gone with it.  os_still_bell is true if libc's signal for set*id came:
 * a library sends it to every thread there is, and waits until each has done something or is gone
 * (libpsx, from 2.72 on).  -EPERM among the host's descriptors: there it could not
 * be told from theirs, all of its kind are one file. */
MUST_CHECK int os_open_bell(void);
void os_ring_bell(int tid);
bool os_still_bell(int fd);

MUST_CHECK long os_read(int fd, void *buf, size_t n);
MUST_CHECK long os_pread(int fd, void *buf, size_t n, uint64_t offset);
MUST_CHECK int os_fstat(int fd, struct stat *st);
/* The file behind a path, through its links: size, mode, identity. */
MUST_CHECK int os_stat(const char *path, struct stat *st);
/* Of a symbolic link itself. */
MUST_CHECK int os_stat_no_link(const char *path, struct stat *st);

/* What a directory has, as linux' getdents64 returns it; 0 at its end. */
struct os_entry {
	uint64_t       inode;
	int64_t        offset;  /* of the next */
	unsigned short bytes;   /* of this one */
	unsigned char  type;
	char           name[];
};
MUST_CHECK long os_list(int fd, void *entries, size_t n);

int os_gettid(void);
int os_getpid(void);
/* CLOCK_MONOTONIC and CLOCK_REALTIME, ns. */
uint64_t os_monotonic_ns(void);
/* The former as it was at the kernel's last tick, for a quarter of the price; and the time between
 * two of its ticks. */
uint64_t os_coarse_ns(void);
uint64_t os_coarse_step_ns(void);
uint64_t os_realtime_ns(void);
/* CPU time that thread tid of this process (0: the calling one) has used, ns; 0 when it is gone. */
uint64_t os_thread_cpu_ns(int tid);
/* What all threads of the process have used, ns; a fork child begins at 0.  0: no such clock. */
uint64_t os_process_cpu_ns(void);

/* True if there is no such thread any more, of no process: a vfork child is one of its own. */
bool os_thread_is_gone(int tid);

/* A timer on the CPU clock of thread tid that sends SIGPROF with this value to that thread; tid 0:
 * of the process, to any of its threads.  Returns its id. */
MUST_CHECK int os_timer_create(int tid, const void *cookie);
/* First expiry and interval in ns of CPU time; both 0 disarm. */
MUST_CHECK int os_timer_set(int timer, uint64_t first_ns, uint64_t interval_ns);
void os_timer_delete(int timer);

/* Copies n bytes at address `from` of this process; -EFAULT where it is not mapped. */
MUST_CHECK long os_peek(void *to, uintptr_t from, size_t n);
/* True if the 8 bytes at p are readable: asks the kernel, some 100 ns. */
int os_readable(uintptr_t p);

#endif
