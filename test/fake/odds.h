/* test/fake/odds.h -- how far chance can take a sum or a distribution, and random seeds.
 *
 * A check with one of these bounds fails by chance less than once in 10^ODDS_DIGITS times. */
#ifndef TEST_FAKE_ODDS_H
#define TEST_FAKE_ODDS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#define ODDS_DIGITS 11

/* ln of 2 / 10^-digits: both sides. */
static inline double odds_log(void)
{
	return log(2) + ODDS_DIGITS * log(10);
}

/* Bernstein's inequality: a sum of independent terms with mean 0, |term| <= largest and this
 * variance in all, is farther from 0 than t with probability <= 2 exp(-t^2 / 2 / (variance +
 * largest t / 3)). This is the t for our odds. */
static inline double odds_of_sum(double variance, double largest)
{
	double third = largest * odds_log() / 3;

	return third + sqrt(third * third + 2 * variance * odds_log());
}

/* Dvoretzky, Kiefer, Wolfowitz, with Massart's constant: the greatest distance of the distribution
 * of n draws from the true one is over e with probability <= 2 exp(-2 n e^2).  This is the e. */
static inline double odds_of_distribution(double n)
{
	return sqrt(odds_log() / (2 * n));
}

/* Another one in each run.  A test that fails by it prints it. */
static inline uint64_t odds_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		abort();
	return seed;
}

#endif
