// cpp_threads -- three threads by std::thread and two by std::async, which wait for the end of the input.
#include <cstdio>
#include <future>
#include <thread>
#include <vector>

static std::promise<void> over;
static std::shared_future<void> end = over.get_future().share();

__attribute__((noinline)) static void make_threads(std::vector<std::thread> &all)
{
	for (int i = 0; i < 3; i++)
		all.emplace_back([] { end.wait(); });
}

__attribute__((noinline)) static void make_tasks(std::vector<std::future<void>> &all)
{
	for (int i = 0; i < 2; i++)
		all.push_back(std::async(std::launch::async, [] { end.wait(); }));
}

int main()
{
	std::vector<std::thread> threads;
	std::vector<std::future<void>> tasks;

	make_threads(threads);
	make_tasks(tasks);
	std::puts("ready");
	std::fflush(stdout);
	(void)std::getchar();
	over.set_value();
	for (std::thread &t : threads)
		t.join();
}
