#include "httpd/thread_calls.h"

#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "sampler/compiler.h"

#define IO_WAIT "IO wait"
#define SELECT  "select"
#define SLEEP   "sleep"
#define RECEIVE "chan receive"
#define SEND    "chan send"
#define ACQUIRE THREAD_CALLS_ACQUIRE

#define CALL(name, word) { SYS_##name, #name, word }

static const struct thread_call calls[] = {
	CALL(read, IO_WAIT), CALL(pread64, IO_WAIT), CALL(readv, IO_WAIT), CALL(preadv, IO_WAIT),
	CALL(preadv2, IO_WAIT), CALL(write, IO_WAIT), CALL(pwrite64, IO_WAIT),
	CALL(writev, IO_WAIT), CALL(pwritev, IO_WAIT), CALL(pwritev2, IO_WAIT),
	CALL(recvfrom, IO_WAIT), CALL(recvmsg, IO_WAIT), CALL(recvmmsg, IO_WAIT),
	CALL(sendto, IO_WAIT), CALL(sendmsg, IO_WAIT), CALL(sendmmsg, IO_WAIT),
	CALL(accept, IO_WAIT), CALL(accept4, IO_WAIT), CALL(connect, IO_WAIT),
	CALL(sendfile, IO_WAIT), CALL(splice, IO_WAIT), CALL(tee, IO_WAIT),
	CALL(vmsplice, IO_WAIT), CALL(copy_file_range, IO_WAIT),
	CALL(ppoll, SELECT), CALL(pselect6, SELECT), CALL(epoll_pwait, SELECT),
#ifdef SYS_poll
	CALL(poll, SELECT), CALL(select, SELECT), CALL(epoll_wait, SELECT), CALL(pause, NULL),
	CALL(open, NULL), CALL(unlink, NULL), CALL(rename, NULL), CALL(mkdir, NULL),
	CALL(rmdir, NULL), CALL(stat, NULL), CALL(lstat, NULL), CALL(getdents, NULL),
	CALL(fork, NULL), CALL(vfork, NULL),
#endif
#ifdef SYS_epoll_pwait2
	CALL(epoll_pwait2, SELECT),
#endif
#ifdef SYS_futex_waitv
	CALL(futex_waitv, ACQUIRE),
#endif
	CALL(io_getevents, SELECT), CALL(io_pgetevents, SELECT), CALL(io_uring_enter, SELECT),
	CALL(nanosleep, SLEEP), CALL(clock_nanosleep, SLEEP),
	CALL(msgrcv, RECEIVE), CALL(mq_timedreceive, RECEIVE), CALL(rt_sigtimedwait, RECEIVE),
	CALL(msgsnd, SEND), CALL(mq_timedsend, SEND),
	CALL(semop, ACQUIRE), CALL(semtimedop, ACQUIRE),
	CALL(restart_syscall, SLEEP),
	CALL(rt_sigsuspend, NULL), CALL(wait4, NULL), CALL(waitid, NULL), CALL(clone, NULL),
	CALL(execve, NULL), CALL(exit_group, NULL), CALL(ptrace, NULL), CALL(fcntl, NULL),
	CALL(flock, NULL), CALL(ioctl, NULL), CALL(fsync, NULL), CALL(fdatasync, NULL),
	CALL(sync, NULL), CALL(syncfs, NULL), CALL(sync_file_range, NULL), CALL(msync, NULL),
	CALL(openat, NULL), CALL(close, NULL), CALL(newfstatat, NULL), CALL(fstat, NULL),
	CALL(statx, NULL), CALL(getdents64, NULL), CALL(lseek, NULL), CALL(ftruncate, NULL),
	CALL(fallocate, NULL), CALL(fadvise64, NULL), CALL(readahead, NULL), CALL(unlinkat, NULL),
	CALL(renameat, NULL), CALL(renameat2, NULL), CALL(mkdirat, NULL), CALL(mount, NULL),
	CALL(umount2, NULL), CALL(mmap, NULL), CALL(munmap, NULL), CALL(mprotect, NULL),
	CALL(mremap, NULL), CALL(madvise, NULL), CALL(brk, NULL), CALL(mlock, NULL),
	CALL(mlockall, NULL), CALL(munlockall, NULL), CALL(process_vm_readv, NULL),
	CALL(membarrier, NULL), CALL(sched_yield, NULL), CALL(getrandom, NULL),
	CALL(userfaultfd, NULL), CALL(bpf, NULL), CALL(perf_event_open, NULL),
	CALL(finit_module, NULL), CALL(shutdown, NULL), CALL(socket, NULL), CALL(bind, NULL),
};

const struct thread_call *thread_calls_find(int64_t nr)
{
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		if (calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

const struct thread_call *thread_calls_named(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		if (strcmp(calls[i].name, name) == 0)
			return &calls[i];
	return NULL;
}
