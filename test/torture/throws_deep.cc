// throws_deep [SECONDS] -- three threads throw through 50 frames, each with something to undo, some with
// a catch that throws on; says whether all was undone and what was thrown was caught.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "until.h"

// Not even what it never does may be concluded from the outside.
#define CALLED __attribute__((noipa))

namespace {

constexpr unsigned DEPTH = 50;

struct Undone {
	uint64_t &sum;
	unsigned  n;

	Undone(uint64_t &s, unsigned at) : sum(s), n(at) {}
	~Undone() { sum = sum * 31 + n; }
};

struct Thrown : std::runtime_error {
	uint64_t value;

	explicit Thrown(uint64_t v) : std::runtime_error("thrown " + std::to_string(v)), value(v) {}
};

} // namespace

CALLED void throw_it(uint64_t value) { throw Thrown(value); }

CALLED void descend(unsigned n, uint64_t value, uint64_t &sum)
{
	Undone undone(sum, n);

	if (n == 0) {
		throw_it(value);
		return;
	}
	if (n % 10 != 0) {
		descend(n - 1, value, sum);
		return;
	}
	try {
		descend(n - 1, value, sum);
	} catch (const Thrown &t) {
		sum ^= t.value;
		throw;
	}
}

CALLED uint64_t catch_it(uint64_t value)
{
	uint64_t sum = 0;

	try {
		descend(DEPTH, value, sum);
	} catch (const std::exception &e) {
		for (const char *p = e.what(); *p != '\0'; p++)
			sum = sum * 17 + static_cast<unsigned char>(*p);
	}
	return sum;
}

// As catch_it, by arithmetic alone.
static uint64_t expected(uint64_t value)
{
	uint64_t sum = 0;

	for (unsigned n = 0; n <= DEPTH; n++) {
		if (n > 0 && n % 10 == 0)
			sum ^= value;
		sum = sum * 31 + n;
	}
	for (char c : "thrown " + std::to_string(value))
		sum = sum * 17 + static_cast<unsigned char>(c);
	return sum;
}

CALLED void work(bool *right)
{
	*right = true;
	for (uint64_t i = 0; i % 16 != 0 || !until_over(); i++)
		if (catch_it(i) != expected(i))
			*right = false;
}

int main(int argc, char **argv)
{
	bool right[3];
	std::vector<std::thread> threads;

	until(argc > 1 ? argv[1] : nullptr);
	for (bool &r : right)
		threads.emplace_back(work, &r);
	for (auto &t : threads)
		t.join();
	std::printf("right: %d %d %d\n", right[0], right[1], right[2]);
	return 0;
}
