// own_new -- a plugin with operators new and delete of its own, whose blocks nobody else can free.
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>

static int live;

void *operator new(std::size_t n)
{
	auto *p = static_cast<std::uint64_t *>(std::malloc(n + 64));

	if (p == nullptr)
		throw std::bad_alloc();
	*p = 0x1234;
	live++;
	return p + 8;
}

void operator delete(void *q) noexcept
{
	auto *p = static_cast<std::uint64_t *>(q) - 8;

	if (q == nullptr)
		return;
	if (*p != 0x1234)
		std::abort();
	live--;
	std::free(p);
}

void operator delete(void *q, std::size_t) noexcept { operator delete(q); }

static std::string *kept = new std::string(300, 'k');

extern "C" int plugin_run()
{
	auto *s = new std::string(1000, 'x');
	int n = static_cast<int>(s->size() + kept->size());

	delete s;
	return n * 10 + live;
}
