#include "sampler/pace.h"

#include "sampler/compiler.h"
#include "sampler/random.h"

/* How far the last event may be in the future: the time in which so much is not many, but 2 to 4 s
 * at most. */
#define DEAR_MAX (1u << 23)

/* The last event may be as good as in the future: a dear one.  In one step of the clock there may
 * be no time at all. */
static void calm_down(struct self_pace *p, uint32_t now, uint32_t step, uint32_t unit)
{
	uint32_t quiet = now - p->last;

	if (p->last - now <= DEAR_MAX)
		return;
	p->last = now;
	if (likely(quiet <= step) || p->shift == 0)
		return;
	quiet /= unit;
	if (quiet == 0)
		return;
	p->shift = quiet < p->shift ? (uint8_t)(p->shift - quiet) : 0;
	p->taken = 0;
}

static void took(struct self_pace *p, uint32_t now, unsigned max)
{
	uint32_t many = (p->taken + 1u) * (PACE_MANY / PACE_TAKEN), passed;

	if (p->taken == 0)
		p->since = now;
	if (++p->taken <= PACE_TAKEN)
		return;
	passed = now - p->since;
	if (passed < many / 8)
		p->shift += 3;
	else if (passed < many)
		p->shift++;
	else if (passed > p->taken * (PACE_FEW / PACE_TAKEN) && p->shift > 0)
		p->shift--;
	if (p->shift > max)
		p->shift = (uint8_t)max;
	p->taken = 1;
	p->since = now;
}

void pace_was_dear(struct self_pace *p, struct crowd *all, uint32_t now, uint32_t times)
{
	uint64_t paid = (uint64_t)times * (PACE_MANY / PACE_TAKEN);

	p->last = now + (paid < DEAR_MAX ? (uint32_t)paid : DEAR_MAX);
	p->taken = p->taken + times < UINT16_MAX ? (uint16_t)(p->taken + times - 1)
						 : UINT16_MAX - 1;
	crowd_took(all, now, times - 1, PACE_CHOOSE_MAX);
}

static unsigned common_shift(const struct self_pace *p, const struct crowd *all, uint32_t now)
{
	unsigned shift = crowd_shift(all, now);

	return shift > p->shift ? shift : p->shift;
}

/* Not the first event of a thread: those may all be new.  A dear last one is in the future. */
static bool is_seldom(uint32_t last, uint32_t now)
{
	uint32_t quiet = now - last;

	return last != 0 && quiet >= PACE_SELDOM && quiet < UINT32_MAX / 2;
}

uint32_t pace_choose(struct self_pace *p, const struct crowd *all, uint32_t now, uint32_t step,
		     uint64_t *random)
{
	uint32_t last = p->last;
	uint64_t draw = 0;
	unsigned shift;

	calm_down(p, now, step, PACE_QUIET / 2);
	shift = p->shift;
	if (shift != 0) {
		draw = random_next(random);
		if (draw >> (64 - shift) != 0)
			return 0;
	}
	/* Only then the crowd's: all threads share its line.  Of the same draw, as if the
	 * greater of the two had been asked alone. */
	if (!is_seldom(last, now))
		shift = common_shift(p, all, now);
	if (shift > p->shift) {
		draw = p->shift != 0 ? draw : random_next(random);
		if (draw >> (64 - shift) != 0)
			return 0;
	}
	return UINT32_C(1) << shift;
}

void pace_chosen(struct self_pace *p, struct crowd *all, uint32_t now)
{
	took(p, now, PACE_CHOOSE_MAX);
	crowd_took(all, now, 1, PACE_CHOOSE_MAX);
}

bool pace_in_proportion(struct pace_amount *a, uint64_t rate, uint64_t *random)
{
	if (a->delay_ns >= rate)
		return true;
	if ((uint64_t)((unsigned __int128)random_next(random) * rate >> 64) >= a->delay_ns)
		return false;
	a->contentions = (uint64_t)((double)a->contentions * (double)rate / (double)a->delay_ns +
				    0.5);
	a->delay_ns = rate;
	return true;
}

bool pace_thin(struct self_pace *p, struct crowd *all, uint32_t now, struct pace_amount *a,
	       uint64_t *random)
{
	calm_down(p, now, 0, 4 * PACE_QUIET);
	if (!pace_in_proportion(a, UINT64_C(1) << common_shift(p, all, now), random))
		return false;
	took(p, now, PACE_THIN_MAX);
	crowd_took(all, now, 1, PACE_THIN_MAX);
	return true;
}
