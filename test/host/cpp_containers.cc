// cpp_containers [SECONDS] -- containers, strings, templates in a namespace, exceptions.  SECONDS of
// CPU time (default: a fixed amount of work).  Prints a checksum of the fixed work.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace fruit {

struct Apple {
	std::string name;
	int weight;
};

template <class T> class Basket {
public:
	[[gnu::noinline]] void add(const std::string &name, int weight)
	{
		items.push_back(T{ name, weight });
		by_name[name] += weight;
	}
	[[gnu::noinline]] long weigh() const
	{
		long sum = 0;
		for (int again = 0; again < 40; again++)
			for (const auto &item : items)
				sum += item.weight ^ again;
		return sum;
	}
	[[gnu::noinline]] int find(const std::string &name) const
	{
		auto at = by_name.find(name);
		if (at == by_name.end())
			throw std::out_of_range("no " + name);
		return at->second;
	}

private:
	std::vector<T> items;
	std::map<std::string, int> by_name;
};

} // namespace fruit

static fruit::Basket<fruit::Apple> *kept;

[[gnu::noinline]] static long round_of_work(int n)
{
	auto *basket = new fruit::Basket<fruit::Apple>;
	long sum = 0;

	for (int i = 0; i < 400; i++)
		basket->add("a rather long name of an apple " + std::to_string((i * 7 + n) % 97), i);
	sum += basket->weigh();
	for (int i = 0; i < 100; i++) {
		try {
			sum += basket->find("a rather long name of an apple " + std::to_string(i));
		} catch (const std::out_of_range &e) {
			sum += static_cast<long>(std::string(e.what()).size());
		}
	}
	delete kept;
	kept = basket;
	return sum;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0;
	long sum = 0;

	for (int n = 0; n < 300; n++)
		sum += round_of_work(n);
	std::printf("sum %ld\n", sum);
	std::fflush(stdout);
	while (static_cast<double>(std::clock()) / CLOCKS_PER_SEC < seconds)
		round_of_work(1);
	delete kept;
	return 0;
}
