#include "sampler/parked_copy.h"

#include <string.h>

#include "sampler/os.h"

#define PAGE 4096u
#define WORD sizeof(uintptr_t)

/* A page for the red zone, and one more as the copy begins anywhere in its first. */
#define BUFFER_BYTES (2 * PAGE + PARKED_BYTES_MAX)

/* The first copy has a page more than what is left of sp's own: most threads that wait are less
 * deep.  Then so many times as much. */
#define FIRST_BYTES PAGE
#define GROWTH      8u

/* Below sp a leaf has a red zone, which the walk may look at (unwind_memory.h). */
#define RED_ZONE_BYTES 128u

struct parked_copy parked_copy;

static char *buffer;                    /* NULL: none yet */

/* Its place in a page is the stack's, so that the red zone's is, too. */
static char *place_of(uintptr_t sp)
{
	return buffer + PAGE + sp % PAGE;
}

static void move_pointers(uintptr_t *word, size_t n, uintptr_t sp, size_t bytes)
{
	for (size_t i = 0; i < n; i++)
		if (word[i] - sp <= bytes)
			word[i] += parked_copy.moved;
}

static bool copy(uintptr_t sp, size_t bytes)
{
	size_t below = sp % PAGE < RED_ZONE_BYTES ? sp % PAGE : RED_ZONE_BYTES;
	char *to = place_of(sp);
	long n = os_peek(to - below, sp - below, below + bytes);

	if (n <= (long)(below + WORD))
		return false;
	parked_copy.bytes = ((size_t)n - below) & ~(WORD - 1);
	parked_copy.ended = (size_t)n < below + bytes;
	parked_copy.moved = (uintptr_t)to - sp;
	parked_copy.sp = (uintptr_t)to;
	parked_copy.hi = parked_copy.sp + parked_copy.bytes;
	memset(to - RED_ZONE_BYTES, 0, RED_ZONE_BYTES - below);
	move_pointers((uintptr_t *)(void *)(to - below), (below + parked_copy.bytes) / WORD, sp,
		      parked_copy.bytes);
	return true;
}

bool parked_copy_has(uintptr_t at)
{
	return at - parked_copy.sp < parked_copy.bytes;
}

bool parked_copy_may_be(uintptr_t at)
{
	uintptr_t above = at - (parked_copy.hi - parked_copy.moved);

	return !parked_copy.ended && above < PARKED_BYTES_MAX - parked_copy.bytes;
}

bool parked_copy_may_grow(void)
{
	return !parked_copy.ended && parked_copy.bytes < PARKED_BYTES_MAX;
}

bool parked_copy_grow(uintptr_t sp)
{
	size_t bytes = parked_copy.bytes * GROWTH;

	return parked_copy_may_grow() &&
	       copy(sp, bytes < PARKED_BYTES_MAX ? bytes : PARKED_BYTES_MAX);
}

bool parked_copy_take(uintptr_t sp)
{
	return copy(sp, FIRST_BYTES + PAGE - sp % PAGE);
}

bool parked_copy_is_ready(void)
{
	if (buffer == NULL)
		buffer = os_map(BUFFER_BYTES);
	return buffer != NULL;
}

void parked_copy_give_back(void)
{
	os_clear(buffer, BUFFER_BYTES);
}
