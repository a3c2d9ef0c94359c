/* lock_cxx20 CASE -- C++'s ways to wait, a known number of times: std::mutex, shared_mutex and
 * condition_variable end in pthread's; semaphores, latches and atomics wait on futexes. */
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <thread>

#include "lock_truth.h"

#define ROUNDS  40
#define HOLD_NS (5 * MS)

namespace app {
std::mutex cache;
std::shared_mutex shared;
}

static std::condition_variable cond;
static std::counting_semaphore<8> semaphore(0);
static std::atomic<int> flag, turn;

/* The other thread, so many times. */
template <typename F> static std::thread beside(F f)
{
	return std::thread([f] {
		for (int i = 0; i < ROUNDS; i++)
			f(i);
	});
}

/* Not a join that waits: it would be counted. */
static void end(std::thread &t)
{
	while (turn < 2 * ROUNDS)
		pass(MS);
	pass(20 * MS);
	t.join();
}

static void wait_for_turn(int i)
{
	while (turn < i)
		std::this_thread::yield();
}

template <typename Lock> NOINLINE static void holds(Lock &lock, const char *who)
{
	lock.lock();
	uint64_t begin = truth_now();
	turn++;
	pass(HOLD_NS);
	truth_held(who, begin);
	lock.unlock();
	__asm__ volatile("");
}

NOINLINE static void holds_mutex()
{
	holds(app::cache, "holds_mutex");
	__asm__ volatile("");
}

NOINLINE static void waits_mutex()
{
	uint64_t begin = truth_now();

	app::cache.lock();
	truth_waited("waits_mutex", begin);
	app::cache.unlock();
	__asm__ volatile("");
}

NOINLINE static void holds_shared()
{
	holds(app::shared, "holds_shared");
	__asm__ volatile("");
}

NOINLINE static void waits_shared()
{
	uint64_t begin = truth_now();

	app::shared.lock_shared();
	truth_waited("waits_shared", begin);
	app::shared.unlock_shared();
	__asm__ volatile("");
}

static void in_step(void (*hold)(), void (*wait)())
{
	std::thread t = beside([wait](int i) {
		wait_for_turn(2 * i + 1);
		wait();
		turn++;
	});

	for (int i = 0; i < ROUNDS; i++) {
		wait_for_turn(2 * i);
		hold();
	}
	end(t);
}

/* --- what nobody holds ----------------------------------------------------------------------- */

NOINLINE static void waits_condition()
{
	std::unique_lock<std::mutex> lock(app::cache);
	uint64_t begin = truth_now();

	cond.wait(lock, [] { return flag != 0; });
	truth_waited("waits_condition", begin);
	flag = 0;
	__asm__ volatile("");
}

NOINLINE static void waits_condition_for()
{
	std::unique_lock<std::mutex> lock(app::cache);
	uint64_t begin = truth_now();

	cond.wait_for(lock, std::chrono::nanoseconds(HOLD_NS));
	truth_waited("waits_condition_for", begin);
	__asm__ volatile("");
}

NOINLINE static void waits_semaphore()
{
	uint64_t begin = truth_now();

	semaphore.acquire();
	truth_waited("waits_semaphore", begin);
	__asm__ volatile("");
}

NOINLINE static void waits_latch()
{
	std::latch latch(1);
	std::thread t([&latch] {
		pass(HOLD_NS);
		latch.count_down();
	});
	uint64_t begin = truth_now();

	latch.wait();
	truth_waited("waits_latch", begin);
	pass(MS);
	t.join();
	__asm__ volatile("");
}

NOINLINE static void waits_atomic()
{
	uint64_t begin = truth_now();

	flag.wait(0);
	truth_waited("waits_atomic", begin);
	flag = 0;
	__asm__ volatile("");
}

/* The other thread sleeps, and lets it go on. */
template <typename F> static void woken(void (*wait)(), F wake)
{
	std::thread t = beside([wake](int i) {
		wait_for_turn(2 * i + 1);
		pass(HOLD_NS);
		wake();
		wait_for_turn(2 * i + 2);
	});

	for (int i = 0; i < ROUNDS; i++) {
		turn++;
		wait();
		turn++;
	}
	end(t);
}

static void sets_flag()
{
	{
		std::lock_guard<std::mutex> lock(app::cache);
		flag = 1;
	}
	cond.notify_one();
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "mutex") == 0)
		in_step(holds_mutex, waits_mutex);
	else if (strcmp(name, "shared") == 0)
		in_step(holds_shared, waits_shared);
	else if (strcmp(name, "condition") == 0)
		woken(waits_condition, sets_flag);
	else if (strcmp(name, "semaphore") == 0)
		woken(waits_semaphore, [] { semaphore.release(); });
	else if (strcmp(name, "atomic") == 0)
		woken(waits_atomic, [] { flag = 1; flag.notify_one(); });
	else
		for (int i = 0; i < ROUNDS && argc > 1; i++)
			strcmp(name, "latch") == 0 ? waits_latch() : waits_condition_for();
	if (argc == 1) {
		puts("mutex shared condition condition_for semaphore latch atomic");
		return 0;
	}
	truth_say();
	stay();
	return 0;
}
