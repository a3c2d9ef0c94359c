/* Natural logarithm and exponential by argument reduction and a short series: both good to 1e-12
 * relative, far below what a sample can show; test/unit/random_test.c compares with libm. */
#include "sampler/compiler.h"
#include "sampler/random.h"

#include "sampler/levels.h"

#define LN2 0.693147180559945309417

uint64_t random_seed(uint64_t from)
{
	uint64_t seed = levels_hash(from + UINT64_C(0x9e3779b97f4a7c15));

	return seed != 0 ? seed : 1;
}

/* ln(x) for x > 0: x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m-1)/(m+1)). */
static HOT double natural_log(double x)
{
	union { double d; uint64_t u; } bits = { .d = x };
	int exponent = (int)(bits.u >> 52) - 1023;
	double t, t2, sum = 0;

	bits.u = (bits.u & UINT64_C(0xfffffffffffff)) | UINT64_C(0x3ff0000000000000);
	if (bits.d > 1.41421356237309504880) {
		bits.d /= 2;
		exponent++;
	}
	t = (bits.d - 1) / (bits.d + 1);
	t2 = t * t;
	for (int k = 15; k >= 1; k -= 2)
		sum = sum * t2 + 1.0 / k;
	return 2 * t * sum + exponent * LN2;
}

/* 1 - exp(-x) for x > 0, without cancellation: a Taylor series of x / 2^n, squared back up by
 * 1 - (1-y)^2 = y (2 - y). */
static HOT double one_minus_exp(double x)
{
	int halvings = 0;
	double y, term;

	if (x > 45)
		return 1;
	while (x > 0.03125) {
		x /= 2;
		halvings++;
	}
	y = term = x;
	for (int k = 2; k <= 8; k++) {
		term *= -x / k;
		y += term;
	}
	while (halvings-- > 0)
		y *= 2 - y;
	return y;
}

HOT uint64_t random_exponential(uint64_t *state, uint64_t mean)
{
	/* 53 random bits, in (0, 1]: never ln(0); at most 36.7 times the mean. */
	double u = (double)((random_next(state) >> 11) + 1) * 0x1p-53;

	return (uint64_t)(-natural_log(u) * (double)mean) + 1;
}

HOT uint64_t random_weight(uint64_t size, uint64_t rate)
{
	if (rate <= 1)
		return RANDOM_WEIGHT_ONE;
	return (uint64_t)(RANDOM_WEIGHT_ONE / one_minus_exp((double)size / (double)rate) + 0.5);
}
