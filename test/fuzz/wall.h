/* test/fuzz/wall.h -- memory that ends at a page nobody may touch: one byte too far faults. */
#ifndef TEST_FUZZ_WALL_H
#define TEST_FUZZ_WALL_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WALL_ROOM  (1u << 20)
#define WALL_ROOMS 8

/* n bytes (<= WALL_ROOM), filled with 0xa5; they last until the WALL_ROOMS-th call from now. */
static inline char *wall_room(size_t n)
{
	static char *rooms[WALL_ROOMS];
	static unsigned next;
	char **room = &rooms[next++ % WALL_ROOMS];

	if (*room == NULL) {
		*room = mmap(NULL, WALL_ROOM + 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (*room == MAP_FAILED || mprotect(*room + WALL_ROOM, 4096, PROT_NONE) != 0)
			abort();
	}
	if (n > WALL_ROOM)
		abort();
	memset(*room + WALL_ROOM - n, 0xa5, n);
	return *room + WALL_ROOM - n;
}

static inline char *wall_copy(const void *bytes, size_t n)
{
	char *room = wall_room(n);

	if (n > 0)
		memcpy(room, bytes, n);
	return room;
}

#endif
