/* test/fake/os_walled.h -- stands in for the memory of sampler/os.c: each mapping ends at a page
 * that nobody may touch, is counted, and is refused when a test says so.  For tests of modules that
 * need nothing else of os.c: the linker takes the archive's whole file or none of it. */
#ifndef TEST_FAKE_OS_WALLED_H
#define TEST_FAKE_OS_WALLED_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sampler/os.h"

#define OS_WALLED_PAGE 4096u

static struct {
	unsigned calls;
	unsigned fail_at;       /* this call and all later ones are refused; 0: none */
	size_t   live_bytes;    /* as they were asked for */
} os_walled;

/* 64-aligned, as near to the wall as that allows. */
void *os_map(size_t bytes)
{
	size_t room = (bytes + OS_WALLED_PAGE - 1) / OS_WALLED_PAGE * OS_WALLED_PAGE;
	char *p;

	os_walled.calls++;
	if (os_walled.fail_at != 0 && os_walled.calls >= os_walled.fail_at)
		return NULL;
	p = mmap(NULL, room + OS_WALLED_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED || mprotect(p + room, OS_WALLED_PAGE, PROT_NONE) != 0)
		abort();
	os_walled.live_bytes += bytes;
	return p + ((room - bytes) & ~(size_t)63);
}

void *os_map_wiped(size_t bytes)
{
	return os_map(bytes);
}

void os_unmap(void *p, size_t bytes)
{
	size_t room = (bytes + OS_WALLED_PAGE - 1) / OS_WALLED_PAGE * OS_WALLED_PAGE;

	os_walled.live_bytes -= bytes;
	munmap((void *)((uintptr_t)p & ~(uintptr_t)(OS_WALLED_PAGE - 1)), room + OS_WALLED_PAGE);
}

void os_clear(void *p, size_t bytes)
{
	memset(p, 0, bytes);
}

#endif
