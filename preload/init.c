/* The constructor: the only place where the parts are put together.  Read this first.
 *
 * Each part that fails switches itself off, says so once, and leaves the rest running. The host
 * never sees a difference. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "httpd/desk.h"
#include "preload/config.h"
#include "preload/fork.h"
#include "preload/hook_mutex.h"
#include "preload/hook_unlock.h"
#include "preload/libunwind.h"
#include "preload/real.h"
#include "preload/scope.h"
#include "preload/signals.h"
#include "preload/startup.h"
#include "sampler/births.h"
#include "sampler/clock.h"
#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/cpu_ctl.h"
#include "sampler/cpu_perf.h"
#include "sampler/heap.h"
#include "sampler/locks.h"
#include "sampler/mapped.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/os.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/sys.h"
#include "sampler/threads.h"
#include "sampler/wall.h"

/* Below the main thread's stack the kernel maps nothing else for as long (arch/x86/mm/mmap.c,
 * SIZE_128M: the smallest gap). */
#define MAIN_STACK_BYTES (128u << 20)

static struct config config;
/* As the program was started; what other constructors have made of environ does not matter. */
static char *const  *environment;

/* The executable's own name, not what the host calls itself. */
static const char *program_name(char *path, size_t size)
{
	long n = sys_call4(SYS_readlinkat, -100 /* AT_FDCWD */, "/proc/thread-self/exe", path,
			   size - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

/* A sanitizer's runtime has its own doors and its own idea of memory: we stay passive.  Linked into
 * the program by gcc, it exports nothing but its doors; nobody else has both of these. */
static bool has_sanitizer(void)
{
	static const char *const runtimes[] = { "__asan_init", "__tsan_init", "__msan_init",
						"__hwasan_init", "__lsan_init" };

	for (unsigned i = 0; i < COUNT_OF(runtimes); i++)
		if (scope_find(runtimes[i]) != NULL)
			return true;
	return scope_program_has("pthread_create") && scope_program_has("malloc");
}

/* NULL, or why this program is not profiled, which is said. */
static const char *reason_to_stay_passive(void)
{
	if (has_sanitizer())
		return "this program has a sanitizer in it: not profiled";
	if (scope_is_shadowed("__libc_start_main"))
		return "opened after the start, so nothing is seen: not profiled; use LD_PRELOAD";
	return NULL;
}

static bool is_wanted(void)
{
	char path[512];
	const char *reason;

	if (getauxval(AT_SECURE) != 0)
		return false;
	config_read(&config, environment);
	if (!config_wants(&config, program_name(path, sizeof(path))))
		return false;
	reason = reason_to_stay_passive();
	if (reason != NULL)
		log_line(LOG_ERROR, reason, NULL);
	return reason == NULL;
}

/* As getenv, which a host may have replaced by its own (bash has). */
static const char *find_variable(const char *name_and_equals)
{
	size_t n = strlen(name_and_equals);

	for (char *const *e = environment; e != NULL && *e != NULL; e++)
		if (strncmp(*e, name_and_equals, n) == 0)
			return *e + n;
	return NULL;
}

/* --- the ground ------------------------------------------------------------------------------ */

static enum unwind_mode choose_unwinder(void)
{
	if (config.unwinder == CONFIG_UNWINDER_LIBUNWIND && libunwind_open())
		return UNWIND_LIBUNWIND;
	return config.unwinder == CONFIG_UNWINDER_FP ? UNWIND_FP : UNWIND_AUTO;
}

static void start_ground(void)
{
	sample_init(choose_unwinder());
	clock_set_reader((clock_reader)scope_find("__vdso_clock_gettime"));
	threads_init((unsigned)config.depth);
	startup_init(find_variable("LD_PRELOAD="));
	modules_permanent(startup_has);
	if (modules_scan(true) < 0)
		log_line(LOG_ERROR, "cannot read /proc/thread-self/maps: no names, short stacks",
			 NULL);
	modules_set_main(getauxval(AT_ENTRY));
	threads_enter(NULL);
	if (self.slot != NULL && modules_main_stack_hi() != 0) {
		self.slot->stack_hi = modules_main_stack_hi();
		self.slot->stack_lo = self.slot->stack_hi - MAIN_STACK_BYTES;
	}
}

/* What the tables take beyond their budgets: rounding, the first levels of their indexes. */
#define TABLES_EXTRA (1u << 20)

static bool start_cpu(void)
{
	int err = cpu_init(config.memory / 32 * 11);

	if (err == 0)
		err = signals_init();
	if (err < 0)
		log_line(LOG_ERROR, err == -ENOMEM ? "no memory: no CPU profile"
						   : "SIGPROF refused: no CPU profile", NULL);
	return err == 0;
}

static void start_heap(void)
{
	if (heap_init(config.memory / 16 * 6) < 0) {
		log_line(LOG_ERROR, "no memory: no heap profile", NULL);
		return;
	}
	if (scope_is_shadowed("malloc"))
		count_add(COUNT_HEAP_SHADOWED);
	heap_set_rate(config.heap_rate);
	self.heap_left = 0;     /* the main thread draws its first gap now */
}

static void start_births(void)
{
	if (births_init(config.memory / 32) < 0)
		log_line(LOG_ERROR, "no memory: no profile of who makes threads", NULL);
}

static void start_wall(void)
{
	if (wall_init(config.memory / 16) < 0)
		log_line(LOG_ERROR, "no memory: no wall-clock profile", NULL);
}

static void start_mapped(void)
{
	if (mapped_init(config.memory / 16) < 0)
		log_line(LOG_ERROR, "no memory: no profile of what is mapped", NULL);
}

static void start_locks(void)
{
	int err = locks_init(config.memory / 16 * 2);

	if (err < 0)
		log_line(LOG_ERROR, err == -ENOMEM ? "no memory: no profiles of locks"
						   : "an old processor: no mutex profile", NULL);
	locks_set_block_rate(config.block_rate);
	locks_set_mutex_fraction(config.mutex_fraction);
}

/* --- the desk -------------------------------------------------------------------------------- */

static int create_pthread(void *(*run)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;
	int err = pthread_attr_init(&attr);

	if (err != 0)
		return -err;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = real.pthread_create(&thread, &attr, run, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

/* PPROFSHIM_PORT is another way to say PPROFSHIM_ADDR. */
static const char *address(char *out)
{
	char digits[8];
	size_t n = sizeof(digits) - 1;
	uint64_t port = config.port;

	if (port == CONFIG_NO_PORT)
		return config.addr;
	digits[n] = '\0';
	do
		digits[--n] = (char)('0' + port % 10);
	while ((port /= 10) != 0);
	strcpy(out, "127.0.0.1:");
	return strcat(out, digits + n);
}

/* Returns how many. */
static size_t list_options(struct desk_option option[CONFIG_OPTIONS_MAX])
{
	static struct config_line line[CONFIG_OPTIONS_MAX];
	size_t n = 0;

	for (; n < CONFIG_OPTIONS_MAX && config_at(&config, n, &line[n]); n++)
		option[n] = (struct desk_option){ line[n].name, line[n].value, line[n].is_set };
	return n;
}

/* 0, or -errno: there will be none. */
static int prepare_desk(void)
{
	static struct desk_option option[CONFIG_OPTIONS_MAX];
	static char addr[24];
	struct desk_options options = {
		.addr = address(addr),
		.default_addr = "127.0.0.1:6060",
		.ports = { .tries = (unsigned)config.port_tries,
			   .for_children = config.children != CONFIG_CHILDREN_SOCKET },
		.registry = config.registry,
		.policy = { .token_file = config.token_file, .hosts = config.hosts,
			    .origins = config.cors, .insecure = config.insecure != 0 },
		.cmdline = (enum desk_cmdline)config.cmdline,
		.names = config.symbols == CONFIG_SYMBOLS_NAMES,
		.ground = &ground_table,
		.option = option,
		.options = list_options(option),
		.allocate_tls = (void *(*)(void *))dlsym(RTLD_DEFAULT, "_dl_allocate_tls"),
		.create_thread = create_pthread,
	};

	return desk_init(&options);
}

static bool start_desk(int err)
{
	if (err == 0)
		err = desk_start();
	if (err == 0)
		desk_wait_until_parted();
	else if (err != -EINVAL)
		log_line(LOG_ERROR, "no thread: profiles are recorded, but not served", NULL);
	return err == 0;
}

/* CPython from 3.12 on counts the threads of its process after each os.fork and warns on stderr. */
static bool counts_threads_at_fork(void)
{
	const unsigned long *version = scope_find("Py_Version");

	return version != NULL && *version >= 0x030c0000;
}

static void start_clock(void)
{
	int err = config.cpu_clock == CONFIG_CLOCK_PERF ? cpu_perf_init() : 0;

	if (err < 0)
		log_line(LOG_ERROR, "PPROFSHIM_CPU_CLOCK=perf: ",
			 err == -ENOSYS ? "this kernel has no perf_event_open"
			 : err == -EMFILE ? "no descriptor left"
			 : "perf_event_open is refused (kernel.perf_event_paranoid, a filter)",
			 "; using timer", NULL);
}

/* After all that a tick needs; before the desk, which says the rate and is told others. */
static void start_ticking(void)
{
	signals_look_at_mask(self.slot);
	signals_look_at_stack();
	start_clock();
	cpu_ctl_set_hz((unsigned)config.cpu_hz);
}

__attribute__((constructor)) static void init(int argc, char **argv, char **envp)
{
	int host_errno = errno;
	bool has_cpu, has_desk;
	int desk;

	(void)argc;
	(void)argv;
	environment = envp;
	real_resolve();
	hook_mutex_resolved();
	hook_unlock_resolved();
	if (is_wanted()) {
		start_ground();
		/* Before the tables, whose page tables a fork does not copy: what it does copy is
		 * near to each other. */
		desk = prepare_desk();
		os_reserve_wiped(config.memory + TABLES_EXTRA);
		has_cpu = start_cpu();
		start_heap();
		start_mapped();
		start_locks();
		start_births();
		start_wall();
		if (has_cpu)
			start_ticking();
		has_desk = start_desk(desk);
		fork_init(config.children != CONFIG_CHILDREN_NONE, has_desk,
			  counts_threads_at_fork());
	}
	errno = host_errno;
}
