// new_delete -- all twenty replaceable operators new and delete, and std::bad_alloc thrown through them.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <vector>

static const std::align_val_t wide{ 256 };
static int good, thrown, null;

static void *used(void *p, std::size_t n, std::size_t to = 16)
{
	if (p == nullptr || reinterpret_cast<std::uintptr_t>(p) % to != 0)
		std::abort();
	std::memset(p, 1, n);
	good++;
	return p;
}

template <class F> static void must_throw(F f)
{
	try {
		f();
	} catch (const std::bad_alloc &) {
		thrown++;
	}
}

static int handled;

int main()
{
	volatile std::size_t huge = std::numeric_limits<std::ptrdiff_t>::max();

	for (std::size_t n = 1; n < 3000000; n = n * 3 + 1) {
		::operator delete(used(::operator new(n), n));
		::operator delete[](used(::operator new[](n), n));
		::operator delete(used(::operator new(n, std::nothrow), n), std::nothrow);
		::operator delete[](used(::operator new[](n, std::nothrow), n), std::nothrow);
		::operator delete(used(::operator new(n), n), n);
		::operator delete[](used(::operator new[](n), n), n);
		::operator delete(used(::operator new(n, wide), n, 256), wide);
		::operator delete[](used(::operator new[](n, wide), n, 256), wide);
		::operator delete(used(::operator new(n, wide), n, 256), n, wide);
		::operator delete[](used(::operator new[](n, wide), n, 256), n, wide);
		::operator delete(used(::operator new(n, wide, std::nothrow), n, 256), wide,
				  std::nothrow);
		::operator delete[](used(::operator new[](n, wide, std::nothrow), n, 256), wide,
				    std::nothrow);
	}
	must_throw([&] { used(::operator new(huge), 1); });
	must_throw([&] { used(::operator new[](huge), 1); });
	must_throw([&] { used(::operator new(huge, wide), 1); });
	must_throw([&] { used(::operator new[](huge, wide), 1); });
	null += ::operator new(huge, std::nothrow) == nullptr;
	null += ::operator new[](huge, std::nothrow) == nullptr;
	null += ::operator new(huge, wide, std::nothrow) == nullptr;
	null += ::operator new[](huge, wide, std::nothrow) == nullptr;
	::operator delete(nullptr);
	::operator delete[](nullptr);

	std::set_new_handler([] {
		if (++handled == 3)
			std::set_new_handler(nullptr);
	});
	must_throw([&] { used(::operator new(huge), 1); });

	std::vector<std::string> strings;
	for (int i = 0; i < 20000; i++)
		strings.push_back(std::string(static_cast<std::size_t>(i % 300), 'x'));
	std::thread([&] { strings.clear(); strings.shrink_to_fit(); }).join();

	std::printf("good %d, thrown %d, null %d, handler called %d\n", good, thrown, null, handled);
	return 0;
}
