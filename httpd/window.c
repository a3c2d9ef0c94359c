#include "httpd/window.h"

#include "httpd/job.h"
#include "sampler/os.h"

void window_all(struct window *w, const struct ground *ground, enum ground_profile profile)
{
	*w = (struct window){
		.ground = ground,
		.profile = profile,
		.begin_ns = os_monotonic_ns(),
		.begin_real_ns = os_realtime_ns(),
	};
}

void window_open(struct window *w, struct arena *arena, const struct ground *ground,
		 enum ground_profile profile)
{
	uint32_t end = ground->end(profile);
	uint64_t *then = arena_alloc(arena, (size_t)end * SITES_VALUES * sizeof(*then));
	struct site_key key;

	/* What was loaded just now is unwound by its tables from the first sample on. */
	ground->refresh();
	window_all(w, ground, profile);
	for (uint32_t row = 1; then != NULL && row < end; row++) {
		if (!ground->read(profile, row, &key, &then[(size_t)row * SITES_VALUES]))
			continue;
		if (row % 256 == 0)
			job_breathe();
	}
	w->end = end;
	w->then = then;
}

bool window_read(const struct window *w, uint32_t row, struct site_key *key,
		 int64_t value[SITES_VALUES])
{
	uint64_t now[SITES_VALUES];

	if (!w->ground->read(w->profile, row, key, now))
		return false;
	for (unsigned i = 0; i < SITES_VALUES; i++) {
		uint64_t then = w->then != NULL && row < w->end
					? w->then[(size_t)row * SITES_VALUES + i] : 0;

		value[i] = (int64_t)(now[i] - then);
	}
	return true;
}
