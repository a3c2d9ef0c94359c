/* lock_throws -- exceptions, cancellation and pthread_exit go up from a wait, past what is between it and the
 * program: destructors run, and find the mutex held.  Says one line a way. */
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cxxabi.h>
#include <mutex>
#include <pthread.h>
#include <semaphore.h>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <unistd.h>

static pthread_mutex_t m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static sem_t s;
static pthread_t never_ends;
static volatile int way;

enum { CANCEL, EXIT, THROW };

struct Saw {
	const char *name;
	bool locked;
	~Saw()
	{
		int err = locked ? pthread_mutex_unlock(&m) : 0;

		std::printf("%s, way %d: destroyed, unlock %d\n", name, way, err);
		std::fflush(stdout);
	}
};

static void leave(int)
{
	if (way == EXIT)
		pthread_exit(nullptr);
	if (way == THROW)
		throw std::runtime_error("from a handler");
}

static void in_condition()
{
	pthread_mutex_lock(&m);
	Saw saw = { "condition", true };
	for (;;)
		pthread_cond_wait(&c, &m);
}

static void in_semaphore()
{
	Saw saw = { "semaphore", false };
	while (sem_wait(&s) < 0)
		;
}

static void in_join()
{
	Saw saw = { "join", false };
	pthread_join(never_ends, nullptr);
}

static void (*const waits[])() = { in_condition, in_semaphore, in_join };
static volatile pid_t waiter;

static void *wait_in(void *of)
{
	int old;

	/* Where the kernel has it: no place of libc's is left half way. */
	if (way != CANCEL)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	__atomic_store_n(&waiter, gettid(), __ATOMIC_RELEASE);
	try {
		reinterpret_cast<void (*)()>(of)();
	} catch (abi::__forced_unwind &) {
		std::printf("way %d: forced unwind\n", way);
		throw;
	} catch (std::exception &e) {
		std::printf("way %d: %s\n", way, e.what());
	}
	return nullptr;
}

static void until_asleep()
{
	char path[64], text[512];

	while (__atomic_load_n(&waiter, __ATOMIC_ACQUIRE) == 0)
		usleep(100);
	std::snprintf(path, sizeof(path), "/proc/self/task/%d/stat", waiter);
	for (int i = 0; i < 5000; i++, usleep(1000)) {
		FILE *f = std::fopen(path, "r");
		size_t n = f ? std::fread(text, 1, sizeof(text) - 1, f) : 0;

		if (f)
			std::fclose(f);
		text[n] = '\0';
		for (char *p = text; *p; p++)
			if (p[0] == ')' && p[2] == 'S')
				return;
	}
}

static void *sleep_for_ever(void *)
{
	for (;;)
		pause();
}

static void of_libstdcxx()
{
	std::recursive_timed_mutex r;
	std::shared_timed_mutex shared;
	std::timed_mutex timed;
	std::condition_variable cv;
	std::condition_variable_any any;
	std::mutex plain;
	int turn = 0;

	std::unique_lock<std::mutex> held(plain);
	std::thread t([&] {
		std::unique_lock<std::mutex> lock(plain);
		cv.wait(lock, [&] { return turn == 1; });
		turn = 2;
		any.notify_all();
	});
	turn = 1;
	cv.notify_one();
	any.wait(held, [&] { return turn == 2; });
	std::printf("turn %d\n", turn);
	std::printf("in vain: %d\n", cv.wait_for(held, std::chrono::milliseconds(3)) == std::cv_status::timeout);
	held.unlock();
	t.join();
	r.lock();
	r.lock();
	timed.lock();
	shared.lock_shared();
	std::thread([&] {
		std::chrono::milliseconds soon(3);

		std::printf("%d %d %d %d\n", r.try_lock_for(soon), timed.try_lock_for(soon),
			    shared.try_lock_for(soon), shared.try_lock_shared_for(soon));
		shared.unlock_shared();
	}).join();
	try {
		held.lock();
		held.lock();
	} catch (std::system_error &e) {
		std::printf("%s\n", e.what());
	}
	r.unlock();
	r.unlock();
	timed.unlock();
	shared.unlock_shared();
}

int main()
{
	struct sigaction act = {};
	pthread_t t;

	act.sa_handler = leave;
	sigaction(SIGUSR1, &act, nullptr);
	sem_init(&s, 0, 0);
	pthread_create(&never_ends, nullptr, sleep_for_ever, nullptr);
	for (way = CANCEL; way <= THROW; way = way + 1)
		for (auto wait : waits) {
			/* A condition that a handler leaves is libc's to mend: not allowed. */
			if (way != CANCEL && wait == in_condition)
				continue;
			waiter = 0;
			pthread_create(&t, nullptr, wait_in, reinterpret_cast<void *>(wait));
			until_asleep();
			if (way == CANCEL)
				pthread_cancel(t);
			else
				pthread_kill(t, SIGUSR1);
			pthread_join(t, nullptr);
		}
	of_libstdcxx();
	return 0;
}
