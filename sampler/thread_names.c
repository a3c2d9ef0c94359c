#include "sampler/thread_names.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sampler/count.h"
#include "sampler/levels.h"
#include "sampler/limits.h"
#include "sampler/sys.h"

enum { FREE, FILLING, READY };

/* Open addressing; a row goes FREE -> FILLING -> READY once. */
static struct row {
	_Atomic uint32_t state;
	char             name[THREAD_NAME_BYTES];
} rows[THREAD_NAMES_MAX];       /* [0] is unused: id 0 is "no name" */

_Atomic uint32_t thread_names_changes = 1;

#define PROBES_MAX 64

static uint16_t intern(const char name[THREAD_NAME_BYTES])
{
	uint64_t half[2];
	uint64_t hash;

	if (name[0] == '\0')
		return 0;
	memcpy(half, name, sizeof(half));
	hash = levels_hash(half[0] ^ levels_hash(half[1]));
	for (unsigned i = 0; i < PROBES_MAX; i++) {
		uint16_t id = (uint16_t)(1 + (hash + i) % (THREAD_NAMES_MAX - 1));
		struct row *r = &rows[id];
		uint32_t state = atomic_load_explicit(&r->state, memory_order_acquire);

		if (state == FREE && atomic_compare_exchange_strong(&r->state, &state, FILLING)) {
			memcpy(r->name, name, THREAD_NAME_BYTES);
			atomic_store_explicit(&r->state, READY, memory_order_release);
			return id;
		}
		/* FILLING: somebody is writing it just now, perhaps the same name; the next row
		 * then holds it a second time, which costs a row and nothing else. */
		if (state == READY && memcmp(r->name, name, THREAD_NAME_BYTES) == 0)
			return id;
	}
	count_add(COUNT_THREAD_NO_NAME);
	return 0;
}

/* What changes after the count is read is another change. */
uint16_t thread_names_mine(void)
{
	char name[THREAD_NAME_BYTES] = "";
	uint32_t changes = atomic_load_explicit(&thread_names_changes, memory_order_relaxed);

	self.name = sys_call2(SYS_prctl, PR_GET_NAME, name) < 0 ? 0 : intern(name);
	self.name_seen = changes;
	return self.name;
}

uint16_t thread_names_of(const char *name)
{
	char padded[THREAD_NAME_BYTES] = "";
	size_t n = strlen(name);

	if (n == 0)
		return 0;
	memcpy(padded, name, n < sizeof(padded) ? n : sizeof(padded) - 1);
	return intern(padded);
}

const char *thread_names_get(uint16_t id)
{
	return id < THREAD_NAMES_MAX && atomic_load(&rows[id].state) == READY ? rows[id].name : "";
}
