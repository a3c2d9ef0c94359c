/* Units are rows, and a row is found by comparing all of the text behind the digits: so "10kk",
 * "10msx" and "10 k" have no row and are refused. */
#include "sampler/units.h"

#include <errno.h>
#include <stdbool.h>

struct unit {
	char     name[4];
	uint64_t factor;
};

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const struct unit no_units[] = { { "", 1 } };

static const struct unit sizes[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "k", KIB },
	{ "kB", KIB },
	{ "kiB", KIB },
	{ "K", KIB },
	{ "KB", KIB },
	{ "KiB", KIB },
	{ "m", MIB },
	{ "mB", MIB },
	{ "miB", MIB },
	{ "M", MIB },
	{ "MB", MIB },
	{ "MiB", MIB },
	{ "g", GIB },
	{ "gB", GIB },
	{ "giB", GIB },
	{ "G", GIB },
	{ "GB", GIB },
	{ "GiB", GIB },
};

static const struct unit times[] = {
	{ "", 1 }, { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
};

static bool is_named(const struct unit *unit, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (i >= sizeof(unit->name) - 1 || unit->name[i] != text[i] || text[i] == 0)
			return false;
	return unit->name[len] == 0;
}

static int parse(const char *text, size_t len, const struct unit *units, size_t n, uint64_t *out)
{
	uint64_t value = 0;
	bool fits = true;
	size_t i;

	for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
		fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
		       !__builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value);
	if (i == 0)
		return -EINVAL;
	for (const struct unit *unit = units; unit < units + n; unit++) {
		if (!is_named(unit, text + i, len - i))
			continue;
		if (!fits || __builtin_mul_overflow(value, unit->factor, &value))
			return -ERANGE;
		*out = value;
		return 0;
	}
	return -EINVAL;
}

int units_parse_uint(const char *text, size_t len, uint64_t *out)
{
	return parse(text, len, no_units, COUNT_OF(no_units), out);
}

int units_parse_size(const char *text, size_t len, uint64_t *out)
{
	return parse(text, len, sizes, COUNT_OF(sizes), out);
}

int units_parse_time(const char *text, size_t len, uint64_t *out)
{
	return parse(text, len, times, COUNT_OF(times), out);
}
