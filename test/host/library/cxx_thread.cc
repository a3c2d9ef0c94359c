// cxx_thread -- a plugin whose constructor starts a thread that allocates, and waits for it: it holds the
// loader's lock all the while, so nothing that the thread does may need it.
#include <string>
#include <thread>
#include <vector>

static int allocated;

static void allocate()
{
	std::vector<std::string> many;

	for (int i = 0; i < 1000; i++)
		many.emplace_back(static_cast<std::size_t>(i), 'x');
	allocated = static_cast<int>(many.size());
}

static struct at_load {
	at_load() { std::thread(allocate).join(); }
} at_load;

extern "C" int plugin_run()
{
	return allocated;
}
