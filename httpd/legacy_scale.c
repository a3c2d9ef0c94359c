#include "httpd/legacy_scale.h"

#include "sampler/random.h"

/* A mean size is no whole number. */
#define SIZE_PARTS 256
/* What was sampled says it: parts of bytes were cut where they were counted. */
#define SAME       1000

static bool is_near(double value, double wanted, double one_in)
{
	double off = value > wanted ? value - wanted : wanted - value;

	return off * one_in <= wanted;
}

/* What a reader multiplies by. */
static double scale_of(double mean_size, uint64_t rate)
{
	uint64_t parts = (uint64_t)(mean_size * SIZE_PARTS + 0.5);

	return (double)random_weight(parts > 0 ? parts : 1, rate * SIZE_PARTS) / RANDOM_WEIGHT_ONE;
}

static bool says(const struct legacy_scale *row, double objects, double bytes, uint64_t rate,
		 double one_in)
{
	double scale;

	if (row->objects <= 0 || row->bytes <= 0)
		return false;
	scale = scale_of((double)row->bytes / (double)row->objects, rate);
	return is_near((double)row->objects * scale, objects, one_in) &&
	       is_near((double)row->bytes * scale, bytes, one_in);
}

bool legacy_scale(struct legacy_scale *row, int64_t weight, int64_t bytes, uint64_t rate)
{
	double objects = (double)weight / RANDOM_WEIGHT_ONE, size;

	if (weight <= 0 || bytes <= 0) {
		*row = (struct legacy_scale){ 0, 0 };
		return true;
	}
	if (says(row, objects, (double)bytes, rate, SAME))
		return true;
	size = (double)bytes / objects;
	row->objects = (int64_t)(objects / scale_of(size, rate) + 0.5);
	row->bytes = (int64_t)((double)row->objects * size + 0.5);
	return says(row, objects, (double)bytes, rate, LEGACY_SCALE_NEAR);
}
