#include "test/oracle/peer.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler/compiler.h"
#include "sampler/sys.h"

#define FD_MIN 700

static struct {
	__typeof__(unw_init_local2) *init;
	__typeof__(unw_step) *step;
	__typeof__(unw_get_reg) *get_reg;
	const ElfW(Phdr) *program;
	ElfW(Half) program_headers;
} peer;

/* Whose object libunwind looks for; what it passes on to dl_iterate_phdr does not say. */
static _Thread_local uintptr_t looked_for __attribute__((tls_model("initial-exec")));

/* --- what its calls lead to ------------------------------------------------------------------ */

/* The one object that matters. */
static int iterate(int (*f)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	struct dl_find_object found;
	struct dl_phdr_info info = { .dlpi_name = "" };
	const ElfW(Ehdr) *e;

	if (_dl_find_object((void *)looked_for, &found) != 0)
		return 0;
	info.dlpi_addr = found.dlfo_link_map->l_addr;
	if (found.dlfo_link_map->l_prev == NULL) { /* the program: may have gaps */
		info.dlpi_phdr = peer.program;
		info.dlpi_phnum = peer.program_headers;
	} else {
		e = found.dlfo_map_start;
		info.dlpi_phdr = (const void *)((const char *)e + e->e_phoff);
		info.dlpi_phnum = e->e_phnum;
	}
	return f(&info, sizeof(info), arg);
}

static int set_mask(int how, const sigset_t *set, sigset_t *old)
{
	return (int)sys_call4(SYS_rt_sigprocmask, how, set, old, 8);
}

/* Where it tries whether memory can be read. */
static int open_pipe(int fd[2], int flags)
{
	int low[2];
	int err = (int)sys_call2(SYS_pipe2, low, flags);

	for (unsigned i = 0; err == 0 && i < 2; i++) {
		fd[i] = (int)sys_call3(SYS_fcntl, low[i], F_DUPFD_CLOEXEC, FD_MIN);
		sys_call1(SYS_close, low[i]);
	}
	return err;
}

static const struct {
	const char *name;
	void *to;
} leads[] = {
	{ "dl_iterate_phdr", iterate },
	{ "sigprocmask", set_mask },
	{ "pipe2", open_pipe },
};

/* --- loading --------------------------------------------------------------------------------- */

static uintptr_t find_dynamic(const struct link_map *map, ElfW(Sxword) tag)
{
	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return d->d_un.d_ptr;
	return 0;
}

static bool patch_slot(uintptr_t slot, void *to)
{
	uintptr_t page = slot & -(uintptr_t)4096;

	if (mprotect((void *)page, 4096, PROT_READ | PROT_WRITE) != 0)
		return false;
	*(void **)slot = to;
	return true;
}

/* True if every call that has to lead elsewhere does. */
static bool patch(const struct link_map *map)
{
	const ElfW(Rela) *r = (const void *)find_dynamic(map, DT_JMPREL);
	const ElfW(Sym) *symbols = (const void *)find_dynamic(map, DT_SYMTAB);
	const char *names = (const char *)find_dynamic(map, DT_STRTAB);
	size_t n = find_dynamic(map, DT_PLTRELSZ) / sizeof(*r), patched = 0;

	for (size_t i = 0; i < n; i++) {
		const char *name = names + symbols[ELF64_R_SYM(r[i].r_info)].st_name;

		for (unsigned k = 0; k < COUNT_OF(leads); k++)
			if (strcmp(name, leads[k].name) == 0)
				patched += patch_slot(map->l_addr + r[i].r_offset, leads[k].to);
	}
	return patched == COUNT_OF(leads);
}

#define TEXT_OF(x) #x
#define NAME_OF(x) TEXT_OF(x)
#define FIND(lib, f) dlsym(lib, NAME_OF(f))

const char *peer_open(void)
{
	/* Not linked: then its _Unwind_ functions would take the place of libgcc's. */
	void *lib = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
	__typeof__(unw_set_caching_policy) *set_caching;
	unw_addr_space_t *space;

	if (lib == NULL)
		return "no libunwind.so.8";
	peer.program = (const void *)getauxval(AT_PHDR);
	peer.program_headers = (ElfW(Half))getauxval(AT_PHNUM);
	peer.init = FIND(lib, unw_init_local2);
	peer.step = FIND(lib, unw_step);
	peer.get_reg = FIND(lib, unw_get_reg);
	set_caching = FIND(lib, unw_set_caching_policy);
	space = FIND(lib, unw_local_addr_space);
	if (peer.init == NULL || peer.step == NULL || peer.get_reg == NULL ||
	    set_caching == NULL || space == NULL)
		return "this libunwind lacks a function";
	if (!patch(lib))
		return "this libunwind calls other functions than those we know";
	return set_caching(*space, UNW_CACHE_NONE) == 0 ? NULL : "libunwind insists on a cache";
}

/* --- walking --------------------------------------------------------------------------------- */

static void fill(ucontext_t *uc, const struct regs *regs)
{
	static const uint8_t order[REGS_COUNT] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
	};

	memset(uc, 0, sizeof(*uc));
	for (unsigned n = 0; n < REGS_COUNT; n++)
		if (regs->known & 1u << n)
			uc->uc_mcontext.gregs[order[n]] = (greg_t)regs->r[n];
}

/* Where a handler returns to: mov $15, %rax; syscall (at either).  libunwind 1.6 itself says so
 * only of the frame behind it (unw_is_signal_frame). */
static bool is_trampoline(uintptr_t pc)
{
	static const uint8_t code[] = { 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 };
	static const unsigned second = 7;
	struct dl_find_object found;

	return _dl_find_object((void *)pc, &found) == 0 &&
	       pc - (uintptr_t)found.dlfo_map_start >= second &&
	       (uintptr_t)found.dlfo_map_end - pc >= sizeof(code) &&
	       (memcmp((const void *)pc, code, sizeof(code)) == 0 ||
		memcmp((const void *)(pc - second), code, sizeof(code)) == 0);
}

static void walk(struct peer_walk *w)
{
	bool exact = true;
	int step = 1;

	w->depth = 0;
	w->complete = false;
	fill(&w->context, &w->regs);
	if (peer.init(&w->cursor, &w->context, UNW_INIT_SIGNAL_FRAME) != 0)
		return;
	while (step > 0 && w->depth < w->max) {
		unw_word_t ip;
		bool trampoline;

		step = peer.get_reg(&w->cursor, UNW_REG_IP, &ip);
		if (step != 0 || ip == 0)
			break;
		trampoline = is_trampoline(ip);
		looked_for = ip - !(exact || trampoline);
		w->pc[w->depth++] = looked_for;
		exact = trampoline;
		step = peer.step(&w->cursor);
	}
	w->complete = step == 0;
}

/* Its frames are some KiB; an alternate stack may have less. */
void peer_walk(struct peer_walk *w)
{
	__asm__ volatile("movq	%%rsp, %%rbx\n\t"
			 "movq	%0, %%rsp\n\t"
			 "call	*%1\n\t"
			 "movq	%%rbx, %%rsp"
			 :
			 : "r"(w->stack + sizeof(w->stack)), "r"(walk), "D"(w)
			 : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
}
