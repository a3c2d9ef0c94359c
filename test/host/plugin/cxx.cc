// The plugin of dlopen_cxx.
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

[[gnu::noinline]] static int fails(int n)
{
	std::unique_ptr<std::string> held(new std::string(300, 'y'));

	if (n >= 0)
		throw std::runtime_error("thrown by the plugin");
	return static_cast<int>(held->size());
}

extern "C" int plugin_run(int n, int (*back)(int))
{
	std::map<int, std::vector<std::string>> m;
	int sum = back(n);

	for (int i = 0; i < 20000; i++)
		m[i % 100].push_back(std::string(static_cast<std::size_t>(i % 400), 'x'));
	for (const auto &row : m)
		sum += static_cast<int>(row.second.size());
	try {
		sum += fails(n);
	} catch (const std::exception &e) {
		sum += static_cast<int>(std::string(e.what()).size());
	}
	try {
		std::vector<char> v;
		v.reserve(static_cast<std::size_t>(-1) / 4);
	} catch (const std::bad_alloc &) {
		sum += 1000;
	}
	return sum;
}
