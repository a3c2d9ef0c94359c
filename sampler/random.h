/* sampler/random.h -- random numbers of one thread, and the two formulas of Poisson sampling.
 *
 * Context   any, inside handlers; no libm (the library needs libc only). */
#ifndef SAMPLER_RANDOM_H
#define SAMPLER_RANDOM_H

#include <stdint.h>

/* xorshift64* (Vigna 2016).  *state must not be 0; random_seed makes one. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t random_seed(uint64_t from);

/* A draw from the exponential distribution with this mean, rounded up: >= 1. */
uint64_t random_exponential(uint64_t *state, uint64_t mean);

/* 1 / (1 - exp(-size / rate)): how many objects of this size one sampled object stands for, in
 * units of 1 / RANDOM_WEIGHT_ONE.  rate <= 1: exactly one.  size >= 1. */
#define RANDOM_WEIGHT_ONE 65536
uint64_t random_weight(uint64_t size, uint64_t rate);

#endif
