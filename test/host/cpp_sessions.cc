// cpp_sessions -- a shop whose sessions and carts own each other, so that none is ever freed.  Lines on
// its input: "visit N" opens and closes so many sessions, "page N" renders so many pages, which stay
// until the next line.  Says "done" after each line, and ends with its input.
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace shop {

struct Cart;

struct Session {
	explicit Session(int id) : name("session " + std::to_string(id)), history(200)
	{
	}
	std::string name;
	std::vector<long> history;
	std::shared_ptr<Cart> cart;
};

struct Cart {
	std::shared_ptr<Session> owner;         // the leak: each keeps the other
	std::map<std::string, int> items;
};

class Registry {
public:
	[[gnu::noinline]] void open_session(int id)
	{
		auto session = std::make_shared<Session>(id);
		session->cart = std::make_shared<Cart>();
		session->cart->owner = session;
		session->cart->items["a rather long name of an apple"] = id;
		sessions[id] = session;
	}
	[[gnu::noinline]] void close_session(int id)
	{
		sessions.erase(id);
	}

private:
	std::map<int, std::shared_ptr<Session>> sessions;
};

[[gnu::noinline]] static std::string render_page(int n)
{
	std::string page;

	page.reserve(512 << 10);
	page += "page " + std::to_string(n);
	return page;
}

[[gnu::noinline]] static std::vector<std::string> load_catalog()
{
	std::vector<std::string> catalog;

	for (int i = 0; i < 2000; i++)
		catalog.emplace_back(1000, static_cast<char>('a' + i % 26));
	return catalog;
}

} // namespace shop

int main()
{
	auto catalog = shop::load_catalog();
	std::vector<std::string> pages;
	shop::Registry registry;
	char line[100];
	int n, id = 0;

	while (std::fgets(line, sizeof(line), stdin) != nullptr) {
		pages.clear();
		if (std::sscanf(line, "visit %d", &n) == 1)
			for (; n > 0; n--, id++) {
				registry.open_session(id);
				registry.close_session(id);
			}
		else if (std::sscanf(line, "page %d", &n) == 1)
			for (; n > 0; n--)
				pages.push_back(shop::render_page(n));
		std::printf("done\n");
		std::fflush(stdout);
	}
	std::printf("%zu in the catalog\n", catalog.size());
	return 0;
}
