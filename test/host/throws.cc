// throws -- ends by exceptions that nobody catches, each way in a process of its own whose status
// is printed.
// throws WAY -- that one, at the end of the input.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

// Allocates when it comes and when it goes: at the end of a thread, and after main.
struct Talks {
	std::string name;
	std::vector<std::string> held;

	explicit Talks(const char *n) : name(n), held(50, std::string(200, 'x')) {}
	~Talks() { dprintf(1, "%s\n", (name + " goes, with all that it held").c_str()); }
};

static Talks global("the global");
thread_local Talks local("a thread's own");

[[noreturn]] static void fail() { throw std::runtime_error("nobody catches this"); }
[[noreturn]] static void fail_deep(int n)
{
	std::unique_ptr<std::string> held(new std::string(1000, 'y'));

	if (n == 0)
		fail();
	fail_deep(n - 1);
}
static void touch() { local.held.push_back("z"); }

static void in_main() { touch(); fail_deep(20); }
static void in_thread() { std::thread([] { touch(); fail_deep(20); }).join(); }
static void in_noexcept() { []() noexcept { fail_deep(3); }(); }
static void in_destructor()
{
	struct Bad { ~Bad() noexcept(false) { fail(); } };

	try {
		Bad bad;
		fail();
	} catch (...) {
	}
}
static void no_current() { std::rethrow_exception(std::make_exception_ptr(1)); }
static void handler_exits()
{
	std::set_terminate([] { dprintf(1, "terminate\n"); std::exit(3); });
	std::thread([] { touch(); fail_deep(5); }).join();
}
static void handler_leaves()
{
	std::set_terminate([] { std::_Exit(4); });
	fail();
}
static void caught_many()
{
	int caught = 0;

	std::vector<std::thread> threads;
	for (int t = 0; t < 4; t++)
		threads.emplace_back([] { touch(); });
	for (auto &t : threads)
		t.join();
	for (int i = 0; i < 2000; i++)
		try {
			fail_deep(i % 10);
		} catch (const std::exception &e) {
			caught += std::strlen(e.what()) == 19;
		}
	dprintf(1, "caught %d\n", caught);
}

static const struct { const char *name; void (*go)(); } ways[] = {
	{ "main", in_main },           { "thread", in_thread },         { "noexcept", in_noexcept },
	{ "destructor", in_destructor }, { "rethrown", no_current }, { "handler-exits", handler_exits },
	{ "handler-leaves", handler_leaves }, { "caught", caught_many },
};

int main(int argc, char **argv)
{
	for (const auto &way : ways) {
		if (argc > 1) {
			char c;

			if (std::strcmp(argv[1], way.name) != 0)
				continue;
			while (read(0, &c, 1) > 0)
				;
			way.go();
			return 0;
		}
		int status = -1;
		pid_t pid = fork();
		if (pid == 0) {
			execl("/proc/self/exe", "throws", way.name, static_cast<char *>(nullptr));
			_exit(99);
		}
		waitpid(pid, &status, 0);
		dprintf(1, "%s: status %d signal %d\n", way.name, WEXITSTATUS(status),
			WTERMSIG(status));
	}
	return 0;
}
