// big_vectors -- a vector that grows in malloc's memory, and one with an allocator that maps.
#include <cstddef>
#include <cstdio>
#include <new>
#include <vector>

#include <sys/mman.h>

template <class T> struct pages {
	using value_type = T;

	pages() = default;
	template <class U> pages(const pages<U> &) {}
	T *allocate(std::size_t n)
	{
		void *p = mmap(nullptr, n * sizeof(T), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			throw std::bad_alloc();
		return static_cast<T *>(p);
	}
	void deallocate(T *p, std::size_t n) { munmap(p, n * sizeof(T)); }
};

template <class T, class U> bool operator==(const pages<T> &, const pages<U> &) { return true; }
template <class T, class U> bool operator!=(const pages<T> &, const pages<U> &) { return false; }

static std::vector<double> plain;
static std::vector<double, pages<double>> paged;

__attribute__((noinline)) static void fill_plain()
{
	for (int i = 0; i < 4 << 20; i++)       // 32 MiB, by doubling
		plain.push_back(i);
}

__attribute__((noinline)) static void fill_paged()
{
	for (int i = 0; i < 1 << 20; i++)       // 8 MiB
		paged.push_back(i);
}

int main()
{
	fill_plain();
	fill_paged();
	std::printf("ready %zu %zu\n", plain.capacity(), paged.capacity());
	std::fflush(stdout);
	while (std::getchar() != EOF)
		continue;
}
