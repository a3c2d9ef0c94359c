# libpprofshim -- `make help` lists the targets; scripts/deps installs what they need.

VERSION := 0.1.0
ARCH    ?= $(shell uname -m)
B       ?= build
SAN     ?=
Q       := $(if $(V),,@)
MAKEFLAGS += --no-print-directory

PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
DATADIR ?= $(PREFIX)/share
DESTDIR ?=

# Yours: change freely.
CFLAGS  ?= -O2 -g
LDFLAGS ?=

# The oldest glibc that the built library runs on; scripts/check-symbols holds it and README says it.
GLIBC_OLDEST := 2.34

# Ours: the library is wrong without these, so they come after yours.
warnings  := -Wall -Wextra -Wundef -Wshadow -Wvla -Wformat=2 -Wwrite-strings -Wcast-qual \
             -Wstrict-prototypes -Wmissing-prototypes -Wmissing-declarations
must      := -std=gnu11 -D_GNU_SOURCE -DSHIM_VERSION='"$(VERSION)"' -I. -I$(B)/gen -fPIC \
             -fvisibility=hidden -ftls-model=initial-exec -fno-omit-frame-pointer \
             $(if $(filter x86_64,$(ARCH)),-mno-red-zone) \
             $(if $(SAN),-fsanitize=$(SAN) -DSHIM_CHECKS)
must_link := -shared -Wl,-soname,libpprofshim.so -Wl,--version-script=preload/exports.map \
             -Wl,-z,defs,-z,now,-z,relro,-z,nodelete,-z,text -Wl,--exclude-libs,ALL \
             -Wl,-Bsymbolic-functions,-z,separate-code \
             -Wl,--gc-sections -Wl,--build-id
cc         = $(CC) $(CPPFLAGS) $(CFLAGS) $(warnings) $(must) $(folder_flags)
# What a call takes of the stack, beside each object, for scripts/check-stack; gcc alone can do it.
stack_use := $(shell $(CC) -fstack-usage -fcallgraph-info=su -E -x c /dev/null > /dev/null 2>&1 && \
               echo -fstack-usage -fcallgraph-info=su)

# One file, one module.  A CPU-specific file is named <module>_<arch>.c.
arches   := x86_64
ifeq ($(filter $(ARCH),$(arches)),)
$(error ARCH=$(ARCH): no sampler/sys_$(ARCH).c yet; known: $(arches))
endif
sources  := $(sort $(wildcard $(addsuffix /*.c,preload sampler httpd encode)))
# A sanitizer has its own memcpy, which sees more.
sources  := $(if $(SAN),$(filter-out sampler/words.c,$(sources)),$(sources))
headers  := $(wildcard $(addsuffix /*.h,preload sampler httpd encode))
objects  := $(sources:%.c=$(B)/obj/%.o) $(B)/obj/encode/profile.pb-c.o
lib      := $(B)/libpprofshim.so
core     := $(B)/libcore.a

tests    := $(patsubst %.c,$(B)/%,$(wildcard test/unit/*_test.c))
tests    := $(if $(SAN),$(filter-out %/words_test,$(tests)),$(tests))
replays  := $(patsubst test/fuzz/%_fuzz.c,$(B)/test/replay/%,$(wildcard test/fuzz/*_fuzz.c))
fuzzers  := $(patsubst %.c,$(B)/%,$(wildcard test/fuzz/*_fuzz.c))
hosts    := $(patsubst %.c,$(B)/%,$(wildcard test/host/*.c)) \
            $(patsubst %.cc,$(B)/%,$(wildcard test/host/*.cc))
benches  := $(patsubst %.c,$(B)/%,$(wildcard test/bench/*.c))
tortures := $(patsubst test/torture/%,$(B)/test/torture/%,$(basename $(filter-out %_library.c,\
              $(wildcard test/torture/*.c test/torture/*.cc)))) \
            $(foreach n,0 1 2 3 4 5 6 7,$(B)/test/torture/lib_$n.so)

options  := $(B)/pprofshim-help.txt

all: $(lib) $(options) ## build the library

$(B)/obj/preload/%.o: folder_flags := -fno-builtin-malloc -fno-builtin-calloc \
                                      -fno-builtin-realloc -fno-builtin-free
$(B)/obj/sampler/%.o: folder_flags := -Wframe-larger-than=512

$(B)/obj/%.o: %.c $(B)/flags $(B)/gen/encode/profile.pb-c.h
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CC    $<')
	$(Q)$(cc) $(stack_use) -MMD -MP -c -o $@ $<

# --- profile.proto, by protobuf-c ---------------------------------------------------------

$(B)/gen/encode/profile.pb-c.h: encode/profile.proto
	@mkdir -p $(@D)
	$(if $(Q),@echo '  PROTO $<')
	$(Q)protoc-c --c_out=$(B)/gen $<

$(B)/obj/encode/profile.pb-c.o: $(B)/gen/encode/profile.pb-c.h $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(must) -DNDEBUG -c -o $@ $(B)/gen/encode/profile.pb-c.c

# --- zlib, protobuf-c, libiberty: linked in statically, hidden ------------------------------
# Their calls of the heap, stdio and abort are renamed to encode/libcalls.c, so that no code of
# ours can reach the host's heap or end the host.

static_libs := $(foreach l,z protobuf-c iberty,$(B)/static/lib$(l).a)
# For tests: the libraries call back into libcalls.c.
linked      := -Wl,--start-group $(B)/libcore.a $(static_libs) -Wl,--end-group

$(B)/static/%.a: encode/libcalls.syms
	@mkdir -p $(@D)
	$(if $(Q),@echo '  STATIC $*')
	$(Q)objcopy --redefine-syms=$< "$$($(CC) -print-file-name=$*.a)" $@

$(lib): $(objects) $(static_libs) preload/exports.map $(B)/flags
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(CC) $(CFLAGS) $(must_link) $(LDFLAGS) -o $@ $(objects) $(static_libs)
	$(Q)newest=$$(nm -D --undefined-only $@ | sed -n 's/.*@GLIBC_//p' | sort -V | tail -n 1); \
	printf '%s\n' "$$newest" $(GLIBC_OLDEST) | sort -V -C || \
		{ echo "$@ needs GLIBC_$$newest, README says $(GLIBC_OLDEST)"; exit 1; }

# Rebuild when the flags change, not only when the files do.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(cc) $(must_link) $(LDFLAGS))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(cc) $(must_link) $(LDFLAGS))' > $@

-include $(objects:.o=.d)

# --- the options, for scripts/pprofshim --help -------------------------------------------------

$(options): scripts/options.c $(core) $(static_libs) $(B)/flags
	$(Q)$(cc) -o $(B)/options $< $(linked) -pthread
	$(Q)$(B)/options > $@

# --- tests ----------------------------------------------------------------------------------

# Everything but the doors.  An archive, so that a test bringing its own os.c wins.
$(core): $(filter-out $(B)/obj/preload/%,$(objects)) $(B)/obj/preload/config.o \
         $(B)/obj/preload/startup.o $(B)/obj/preload/libunwind.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(tests): $(B)/%: %.c $(core) $(static_libs) $(B)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  TEST  $<')
	$(Q)$(cc) -Wno-missing-prototypes -Itest -MMD -MP -MF $@.d -o $@ $< $(linked) \
		-lcmocka -lm -pthread

# The desk without a host, for sanitizers: flips.py.
$(B)/test/soak/desk_alone: test/soak/desk_alone.c $(core) $(static_libs) $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(cc) -Wno-missing-prototypes -Itest -MMD -MP -MF $@.d -o $@ $< $(linked) -pthread

$(replays): $(B)/test/replay/%: test/fuzz/%_fuzz.c test/fuzz/replay.c $(core) $(static_libs) $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(cc) -Wno-missing-prototypes -Itest -o $@ $(filter %.c,$^) $(linked) -pthread

$(fuzzers): $(B)/%: %.c $(core) $(static_libs)
	@mkdir -p $(@D)
	$(Q)$(cc) -Wno-missing-prototypes -fsanitize=fuzzer -Itest -o $@ $< $(linked) -pthread

# Hosts are what a distribution ships: no frame pointers.
host_flags := -O2 -g -fomit-frame-pointer -fno-optimize-sibling-calls -pthread
$(B)/test/host/counts_threads: host_flags += -rdynamic
$(B)/test/host/lock_cxx20: host_flags += -std=c++20
$(B)/test/host/lock_shares $(B)/test/host/lock_waits $(B)/test/host/lock_cxx20: test/host/lock_truth.h
$(patsubst %.c,$(B)/%,$(wildcard test/host/*.c) $(filter-out %_library.c,$(wildcard test/torture/*.c))): $(B)/%: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -Wall -Wextra $(host_flags) -o $@ $<

$(patsubst %.cc,$(B)/%,$(wildcard test/host/*.cc test/torture/*.cc)): $(B)/%: %.cc
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 -Wall -Wextra $(host_flags) -o $@ $<

$(tortures): test/torture/until.h
$(filter $(B)/test/host/lock_%,$(hosts)): $(wildcard test/host/lock_*.h)

# Of one layout, so that one can take the place of another; every second one has frame pointers.
$(B)/test/torture/lib_%.so: test/torture/storm_library.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -Wall -Wextra $(host_flags) -fPIC -shared -DLIB=$* \
		$(if $(filter 0 2 4 6,$*),-fno-omit-frame-pointer -DWITH_FRAME_POINTERS) -o $@ $<

$(benches): $(B)/%: %.c test/bench/bench.h
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra $(host_flags) -fno-builtin-malloc -o $@ $<

# The same functions with and without frame pointers, and what walks them.
$(B)/gen/bench/functions.c: test/bench/unwind/functions.py
	@mkdir -p $(@D)
	$(Q)/usr/bin/python3 $< 2500 1 > $@

$(B)/test/bench/unwind/functions_%_fp.o: $(B)/gen/bench/functions.c test/bench/unwind/chain.h
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CC    $< ($* frame pointers; half a minute)')
	$(Q)$(CC) -std=gnu11 -I. -O2 -fno-optimize-sibling-calls -Wno-unused-but-set-variable \
		-f$(if $(filter with,$*),no-)omit-frame-pointer -DFUNCTIONS=functions_$*_fp -c -o $@ $<

bench_unwind := $(addprefix $(B)/test/bench/unwind/,walk tables handler.so)

$(B)/test/bench/unwind/walk: $(B)/test/bench/unwind/functions_with_fp.o \
		$(B)/test/bench/unwind/functions_without_fp.o \
		$(addprefix test/bench/unwind/,walk.c walkers.c beside.c descent.c machine_$(ARCH).c)
$(B)/test/bench/unwind/tables: test/bench/unwind/tables.c
$(B)/test/bench/unwind/handler.so: $(addprefix test/bench/unwind/,handler.c machine_$(ARCH).c)
$(B)/test/bench/unwind/handler.so: link := -shared -lunwind

$(bench_unwind): $(wildcard test/bench/unwind/*.h) $(core) $(static_libs) $(B)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  BENCH $@')
	$(Q)$(cc) -Wno-missing-prototypes -o $@ $(filter %.c %.o,$^) $(linked) $(link) -pthread

$(B)/test/bench/empty.so: test/bench/lib/empty.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -shared -fPIC -o $@ $<

$(B)/test/bench/forward.so: test/bench/lib/forward.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -D_GNU_SOURCE -shared -fPIC -o $@ $<

# What each way to know a sampled block costs; and long runs of the heap profile.
floors   := $(foreach n,0 1 2 3 4 5,$(B)/test/bench/floor_$n.so)
$(B)/test/bench/floor_%.so: test/bench/lib/floors.c sampler/countdown.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(must) -fno-builtin -DFLOOR=$* -shared -Wl,-z,now -o $@ $<
$(B)/test/bench/heap/long: test/bench/heap/long.c test/fake/heap_doors.h $(core) $(static_libs) $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(cc) -Wno-missing-prototypes -fno-builtin-malloc -o $@ $< $(linked) -pthread

# The doors of mutexes above locks that cost nothing.
$(B)/test/bench/locks/contended: test/bench/locks/contended.c test/bench/bench.h $(core) $(static_libs) $(B)/flags \
		$(addprefix $(B)/obj/preload/,hook_mutex.o hook_unlock.o lock_words.o)
	@mkdir -p $(@D)
	$(Q)$(cc) -Wno-missing-prototypes -Wl,--wrap=crowd_shift -o $@ $(filter %.c %.o,$^) $(linked) -pthread

-include $(tests:=.d) $(B)/test/soak/desk_alone.d

# The same objects with a kernel that fails as the environment wants it: test_presence_faults.py.
failing  := $(B)/presence/libpprofshim_failing.so
$(failing): test/fake/sys_failing.c $(lib)
	@mkdir -p $(@D)
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(cc) $(must_link) -Wl,--wrap=clone,--wrap=dlsym $(LDFLAGS) -o $@ $< \
		$(filter-out $(B)/obj/sampler/sys_$(ARCH).o,$(objects)) $(static_libs)

# The same objects with a second opinion on each stack: test/oracle/oracle.c.
oracle_lib := $(B)/test/oracle/liboracle.so
$(oracle_lib): test/oracle/oracle.c test/oracle/peer.c $(wildcard test/oracle/*.h) $(lib)
	@mkdir -p $(@D)
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(cc) $(must_link) -Wl,--wrap=unwind_stack,--wrap=os_process_cpu_ns $(LDFLAGS) -o $@ $(filter %.c,$^) \
		$(objects) $(static_libs)

# Its functions are bound late, and are functions.
$(B)/test/oracle/edges: test/oracle/edges.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -Wall -Wextra $(host_flags) -fno-builtin -Wl,-z,lazy -o $@ $<

unit: $(tests) $(replays) ## unit and stress tests, and the fuzz corpus
	$(Q)scripts/run-tests $(tests) $(replays)

# These mostly wait for windows of time: beside the others they take none.  What a shell has in the background
# ignores SIGINT, and so would the programs of tests.
beside   := $(foreach t,clients command command_ask command_check conformance conformance_differences \
              conformance_profiles conformance_text formats go_tool gperftools lint listening \
              metrics registry security_requests,test/e2e/test_$t.py)

e2e: all $(hosts) $(benches) $(tortures) $(failing) $(oracle_lib) $(B)/test/oracle/edges ## preload the library into real programs and look at the profiles
	$(Q)B=$(B) env --default-signal=INT,QUIT /usr/bin/python3 -m pytest -q $(beside) > $(B)/beside.log 2>&1 & beside=$$!; \
	B=$(B) /usr/bin/python3 -m pytest -q test/e2e $(addprefix --ignore=,$(beside)); rest=$$?; \
	wait $$beside; of_beside=$$?; cat $(B)/beside.log; exit $$((rest | of_beside))

test: unit e2e ## both

sanitize: ## unit tests under address and undefined sanitizers, then thread sanitizer
	$(Q)$(MAKE) B=$(B)/asan SAN=address,undefined unit
	$(Q)$(MAKE) B=$(B)/tsan SAN=thread unit

FUZZ_SECONDS ?= 60
fuzz: ## one minute per parser (clang's libFuzzer; FUZZ_SECONDS=N)
	$(Q)$(MAKE) B=$(B)/fuzzing CC=clang SAN=address,undefined,fuzzer-no-link fuzz-run

fuzz-run: $(fuzzers)
	$(Q)for f in $(fuzzers); do \
		name=$$(basename $$f _fuzz); mkdir -p $(B)/corpus/$$name; \
		words=test/fuzz/dict/$$name.dict; [ -e $$words ] || words=; \
		$$f $${words:+-dict=$$words} -max_total_time=$(FUZZ_SECONDS) \
			$(B)/corpus/$$name test/fuzz/corpus/$$name || exit 1; \
	done

FLIPS_SECONDS ?= 300
flips: all $(B)/test/host/deep_stack ## changed requests against redis, a busy host and the sanitized desk; five minutes (FLIPS_SECONDS=N)
	$(Q)$(MAKE) B=$(B)/asan SAN=address,undefined flips-desk
	$(Q)B=$(B) test/soak/flips.py $(FLIPS_SECONDS)

flips-desk: $(B)/test/soak/desk_alone

PARCA_SECONDS ?= 60
e2e-parca: all ## Parca scrapes redis for a minute and answers with its functions (./scripts/deps clients; Go 1.25)
	$(Q)B=$(B) test/clients/parca.py $(PARCA_SECONDS)

e2e-speedscope: all $(B)/test/host/deep_stack ## speedscope, in a browser without a window, shows profiles of ours (./scripts/deps clients)
	$(Q)B=$(B) test/clients/speedscope.py

bench: all $(benches) ## what the library costs, as ratios to the plain program
	$(Q)B=$(B) test/bench/run.py

oracle: all $(oracle_lib) $(B)/test/oracle/edges ## each stack of eight programs beside libunwind's; some five minutes
	$(Q)B=$(B) test/oracle/run.py

presence: all $(hosts) $(benches) $(failing) ## that part of e2e which shows that no host notices us
	$(Q)B=$(B) /usr/bin/python3 -m pytest -q $(wildcard test/e2e/test_presence_*.py)

TORTURE_SECONDS ?= 60
# The unit tests are those of what is tortured.
torture: all $(tortures) $(B)/test/host/looks_waits ## the unwinder, the heap, locks and dumps: a minute each, valgrind, sanitizers (TORTURE_SECONDS=N)
	$(Q)TORTURE_SECONDS=$(TORTURE_SECONDS) B=$(B) /usr/bin/python3 -m pytest -q test/e2e/test_unwinder.py test/e2e/test_heap_torture.py test/e2e/test_lock_torture.py test/e2e/test_looks_undisturbed.py
	$(Q)$(MAKE) B=$(B)/asan SAN=address,undefined torture-unit

torture-unit: $(patsubst %.c,$(B)/%,$(wildcard $(foreach f,unwind cfi rows rules parked,test/unit/$f*_test.c))) \
              $(filter %/cfi %/rows,$(replays))
	$(Q)scripts/run-tests $^

presence-faults: all $(hosts) $(failing) ## every call of ours fails in every way, in more hosts; hours
	$(Q)FAULTS=all B=$(B) /usr/bin/python3 -m pytest -q test/e2e/test_presence_faults.py

posix-suite: all ## the Open POSIX test suite's threads and semaphores, with and without us; fetched by apt, some ten minutes
	$(Q)B=$(B) test/posix/run.py $(SUITE)

soak-redis: all ## redis with a gigabyte of values beside what it says of its memory (SOAK="MEBIBYTES RATE")
	$(Q)B=$(B) test/soak/redis.py $(SOAK)

soak-memory: all ## ten minutes of a compiler with little memory (SOAK="MINUTES BUDGET clang|node")
	$(Q)B=$(B) test/soak/memory.py $(SOAK)

bench-peers: all $(benches) ## other heap profilers on the same loops; some six minutes
	$(Q)B=$(B) test/bench/run.py --peers

bench-presence: all $(benches) $(B)/test/bench/empty.so ## what being there costs, beside the peers
	$(Q)B=$(B) test/bench/run_presence.py

bench-heap: all $(benches) $(floors) $(B)/test/bench/heap/long ## what the heap profile costs: instructions, floors, long runs; some eight minutes
	$(Q)B=$(B) test/bench/run_heap.py

bench_http_hosts := $(addprefix $(B)/test/host/,many_stacks many_functions threads_numbered)
bench-http: all $(bench_http_hosts) ## a large heap profile beside Go's (1.24 or newer): time and memory; what a small request waits; a minute and a half
	$(Q)B=$(B) test/bench/run_http.py

bench-locks: all $(benches) $(B)/test/bench/locks/contended $(B)/test/bench/forward.so ## what the lock profiles cost: instructions, contended events, pairs, contended mutexes; some ten minutes
	$(Q)B=$(B) test/bench/run_locks.py

bench-threads: all $(B)/test/host/threads_numbered $(B)/test/bench/read_stats $(B)/test/bench/thread_life $(B)/test/bench/thread_memory ## what a dump of 2,000 threads takes, threads that come and go, and our memory for each; some three minutes
	$(Q)B=$(B) test/bench/run_threads.py

bench-unwind: $(bench_unwind) ## what a stack takes, beside frame pointers and libunwind; a minute
	$(Q)B=$(B) test/bench/run_unwind.py

lint: all ## layers, symbols, stack, headers, README, formatting, shell
	$(Q)scripts/check-layers
	$(Q)scripts/check-symbols $(B) $(GLIBC_OLDEST)
	$(Q)scripts/check-stack $(B)
	$(Q)scripts/check-headers $(B) $(headers)
	$(Q)scripts/check-readme $(B)
	$(Q)scripts/check-format $(sources) $(headers) scripts/options.c
	$(Q)shellcheck scripts/pprofshim scripts/pprofshim.d/*.sh scripts/check-* scripts/run-tests scripts/deps scripts/demo scripts/test .ci/run

# --- install: one list, both directions -----------------------------------------------------

installs := 755:$(lib):$(LIBDIR)/libpprofshim.so \
            755:$(B)/pprofshim:$(BINDIR)/pprofshim \
            644:$(options):$(DATADIR)/pprofshim/pprofshim-help.txt \
            $(foreach f,$(wildcard scripts/pprofshim.d/*.sh),644:$f:$(DATADIR)/pprofshim/$(notdir $f)) \
            644:$(B)/pprofshim.pc:$(LIBDIR)/pkgconfig/pprofshim.pc
field     = $(word $1,$(subst :, ,$2))

install: all $(B)/pprofshim.pc $(B)/pprofshim ## honours DESTDIR, PREFIX, BINDIR, LIBDIR, DATADIR
	$(Q)$(foreach i,$(installs),install -D -m $(call field,1,$i) $(call field,2,$i) \
		'$(DESTDIR)$(call field,3,$i)' &&) true

uninstall: ## remove exactly what install put there
	$(Q)rm -f $(foreach i,$(installs),'$(DESTDIR)$(call field,3,$i)')
	$(Q)rmdir --ignore-fail-on-non-empty '$(DESTDIR)$(DATADIR)/pprofshim' 2> /dev/null || true

define pc
prefix=$(PREFIX)
libdir=$(LIBDIR)
preload=$${libdir}/libpprofshim.so

Name: pprofshim
Description: pprof endpoints for unmodified programs, by LD_PRELOAD
Version: $(VERSION)
endef
export pc

$(B)/pprofshim.pc: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$pc" > $@

# The command finds them by its own place, too; this is for those that are somewhere else.
$(B)/pprofshim: scripts/pprofshim FORCE
	@mkdir -p $(@D)
	@sed "s|^libdir= .*|libdir='$(LIBDIR)'|; s|^datadir= .*|datadir='$(DATADIR)'|" $< > $@

clean: ## remove $(B)
	$(Q)rm -rf $(B)

help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 12

.PHONY: all unit e2e e2e-parca e2e-speedscope test sanitize torture torture-unit fuzz fuzz-run flips flips-desk bench bench-heap bench-http bench-locks bench-peers bench-presence bench-threads bench-unwind soak-memory soak-redis posix-suite oracle presence presence-faults lint install uninstall clean help FORCE
.DELETE_ON_ERROR:
