"""Other libraries, allocators, loaders and build modes: each is as it was, and profiles are right.

The programs and libraries are in test/host/library, and are built here: what matters is how they are
linked and loaded.  Numbers of hazards are those of the table in test/README.md."""
import os
import re
import shutil
import subprocess
import sys

import pytest

from hosts import LIBRARY, TOP, Background, add_until, eventually, run

SOURCES = os.path.join(TOP, 'test', 'host', 'library')
CC, CXX = os.environ.get('CC', 'cc'), os.environ.get('CXX', 'c++')
# As the Makefile builds hosts; the names of libc's functions are not the compiler's here.
FLAGS = ['-O2', '-g', '-fomit-frame-pointer', '-fno-optimize-sibling-calls', '-pthread', '-D_GNU_SOURCE',
         '-fno-builtin', '-Wall', '-Wextra']
HELD = 200 * 100000     # serve.h
ROUNDS = [{}, {'HEAP_RATE': 1, 'CPU_HZ': 1000}]


class Built:
    """Programs and libraries, each built when first asked for."""

    def __init__(self, directory):
        self.directory = directory

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def __call__(self, name, source, *flags, compiler=None):
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            cxx = source.endswith('.cc')
            command = [compiler or (CXX if cxx else CC), *([] if cxx else ['-std=gnu11']), *FLAGS,
                       '-o', target, source if '/' in source else os.path.join(SOURCES, source)]
            if target.endswith('.so') or '.so.' in target:
                command += ['-shared', '-fPIC']
            made = subprocess.run(command + list(flags), capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
        return target

    @property
    def loads(self):
        return self('loads', 'loads.c')

    def poison(self, directory, *flags):
        """Libraries under well-known names, whose functions end the program."""
        self('%s/libprotobuf-c.so.1' % directory, 'poison.c', '-Wl,-soname,libprotobuf-c.so.1')
        return self('%s/libz.so.1' % directory, 'poison.c', '-Wl,-soname,libz.so.1', *flags)


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    return Built(str(tmp_path_factory.mktemp('built')))


def installed(name):
    for directory in ('/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'):
        path = os.path.join(directory, name)
        if os.path.exists(path):
            return path
    pytest.skip('no %s here' % name)


def need(name):
    if shutil.which(name) is None:
        pytest.skip('no %s here' % name)
    return name


def assert_untouched(argv, plain_status=0, **how):
    """The same with us as without, also when everything is sampled."""
    plain = run(argv, shim=False, **how)
    assert plain.status == plain_status, plain
    for options in ROUNDS:
        assert run(argv, **how, **options) == plain, options
    return plain


def assert_profiles_are_right(h, heap=True, seconds=1):
    """A host that serves (serve.h), at HEAP_RATE=1: what it holds is known to the byte."""
    h.wait_for_output('ready')
    p = h.profile('heap')
    if heap:
        assert p.total('inuse_space', having='hold_here') == HELD

    def spins(p):
        return p.total('cpu', having='spin_here') > 0.5 * p.total('cpu')    # the rest is what it loads
    assert spins(add_until(spins, lambda: h.profile('profile?seconds=%d' % seconds)))
    assert h.alive()


def ends_well(h, status):
    h.end_of_input()
    assert h.wait() == status, h.stderr
    assert h.stdout.endswith('served\n') or 'served\n' in h.stdout


# --- zlib, protobuf-c, libiberty: ours are not the host's ---

def test_plugin_brings_its_own_zlib(built, start):
    """By RUNPATH $ORIGIN, under a newer version: the soname is not taken, ours has none."""
    versions = built.path('versions.map')
    with open(versions, 'w') as f:
        f.write('ZLIB_9.9 { *; };\n')
    zlib = built.poison('bundle', '-Wl,--version-script=' + versions)
    plugin = built('bundle/bundled.so', 'bundled.c', zlib, '-Wl,-rpath,$ORIGIN')
    assert 'bundled.so: 99\n' in assert_untouched([built.loads, plugin], 42).stdout
    # It comes and goes while profiles are being made and packed by our zlib.
    h = start([built.loads, 'w:' + plugin], HEAP_RATE=1)
    h.wait_for_output('ready')
    fetching = Background(lambda: h.profile('heap?gc=1'), repeat=True)
    assert_profiles_are_right(h)
    assert fetching.get() is not None
    ends_well(h, 42)


def test_program_has_functions_of_the_same_names(built, start):
    """zlib, protobuf-c and a libiberty linked into the program and exported: it calls its own, we ours."""
    h = [built('calls_its_own', 'calls_its_own.c', os.path.join(SOURCES, 'poison.c'), '-rdynamic')]
    plain = assert_untouched(h)
    assert re.match(r'(\d+) of \1 are its own\n', plain.stdout)
    h = start(h, HEAP_RATE=1)
    assert_profiles_are_right(h)
    ends_well(h, 0)


def test_library_path_leads_to_others(built, start):
    built.poison('others')
    env = {'LD_LIBRARY_PATH': built.path('others')}
    assert_untouched([built.loads], 42, env=env)
    h = start([built.loads], HEAP_RATE=1, env=env)
    assert_profiles_are_right(h)
    ends_well(h, 42)


def test_library_path_and_plugin_of_the_host(built, start):
    """The host itself uses what it finds there."""
    zlib = built.poison('others')
    plugin = built('uses_others.so', 'bundled.c', zlib)
    env = {'LD_LIBRARY_PATH': built.path('others')}
    assert 'uses_others.so: 99\n' in assert_untouched([built.loads, plugin], 42, env=env).stdout


# --- the loader's modes ---

def test_bound_at_once(built, start):
    env = {'LD_BIND_NOW': '1'}
    assert_untouched([built.loads], 42, env=env)
    assert_untouched(['cpp_containers'], env=env)
    assert_untouched(['dlopen_cxx'], env=env)
    h = start([built.loads], HEAP_RATE=1, env=env)
    assert_profiles_are_right(h)


@pytest.mark.parametrize('module', ['audits', 'is not there'])
def test_audit_module(built, start, module):
    """18.  With one, ld.so has its static TLS shared out before it maps preloads."""
    path = built('audit.so', 'audit.c') if module == 'audits' else '/nonexistent/audit.so'
    env = {'LD_AUDIT': path}
    plain = assert_untouched([built.loads], 42, env=env)
    assert ('cannot be loaded' in plain.stderr) == (module != 'audits')
    assert_untouched(['malloc_semantics'], env=env)
    h = start([built.loads], HEAP_RATE=1, env=env)
    assert_profiles_are_right(h)


# --- thread-local data of others ---

@pytest.mark.parametrize('size', [64, 1024, 1536, 8192])
def test_plugin_with_static_tls(built, size):
    """49.  The loader's small reserve is the plugins': what fits without us fits with us."""
    plugin = built('tls%d.so' % size, 'tls.c', '-DTLS_BYTES=%d' % size, '-ftls-model=initial-exec')
    plain = assert_untouched([built.loads, plugin], 42)
    assert ('does not load' in plain.stdout) == (size > 4096)


def test_libraries_with_tls_come_and_go(built, start):
    """46.  Each dlopen changes the thread-local data of every thread, under a thousand ticks a second."""
    plugin = built('tlsdynamic.so', 'tls.c', '-DTLS_BYTES=20000')
    assert_untouched([built.loads, 's:' + plugin], 42)
    h = start([built.loads, 'w:' + plugin], HEAP_RATE=1, CPU_HZ=1000)
    assert_profiles_are_right(h)
    ends_well(h, 42)


def test_tls_of_ours_is_initial_exec():
    """45, 47.  No call into the loader, no allocation, no pthread key in a handler."""
    relocations = subprocess.run(['readelf', '-rW', LIBRARY], capture_output=True, text=True).stdout
    kinds = set(re.findall(r'R_[A-Z0-9]+_[A-Z0-9_]+', relocations))
    assert kinds and not [k for k in kinds if 'DTP' in k or 'TLSDESC' in k], kinds
    assert 'R_X86_64_TPOFF64' in kinds or os.uname().machine != 'x86_64'
    imports = subprocess.run(['nm', '-D', '--undefined-only', LIBRARY], capture_output=True, text=True).stdout
    assert not re.search(r'__tls_get_addr|pthread_(key|getspecific|setspecific)', imports)


# --- plugins ---

@pytest.mark.parametrize('allocator', ['libc', 'libjemalloc.so.2', 'libtcmalloc_minimal.so.4'])
def test_plugin_bound_to_itself(built, allocator):
    """39.  RTLD_DEEPBIND: the plugin's malloc is libc's, and passes us by."""
    after = '' if allocator == 'libc' else installed(allocator)
    plugin = built('deep.so', 'deep.c')
    plain = assert_untouched([built.loads, 'd:' + plugin], 42, after=after)
    assert re.search(r'deep\.so: \d+\n', plain.stdout)


def test_blocks_cross_the_border_of_such_a_plugin(built, start):
    """39.  Its blocks come to our free, and ours go to its."""
    argv = [built('crosses', 'crosses.c'), built('deep.so', 'deep.c')]
    assert_untouched(argv)
    h = start(argv, HEAP_RATE=1)
    assert_profiles_are_right(h)
    # A block of ours that it frees seems to live until its address comes again: each is counted then.
    back = int(re.search(r'(\d+) of them came back', h.stdout).group(1))
    counted = int(re.search(r'<li>heap_stale (\d+):', h.get('/debug/pprof/').text).group(1))
    assert 1000 < back <= counted <= back + 200, 'serve.h has taken two hundred blocks more'


def test_loading_and_unloading_without_end(built, start):
    """52, 55."""
    plugin = built('deep.so', 'deep.c')
    assert_untouched([built.loads, 's:' + plugin], 42)
    h = start([built.loads, 'w:' + plugin], HEAP_RATE=1, CPU_HZ=1000)
    fetching = Background(lambda: h.profile('profile?seconds=1'), repeat=True)
    h.wait_for_output('ready')
    eventually('the plugin allocates', lambda: h.profile('allocs?gc=1').total(
        'alloc_space', having='plugin_run') > 1000000)
    fetching.get()
    ends_well(h, 42)


def test_cxx_plugin_whose_constructor_waits_for_a_thread(built):
    """3, 12.  The loader's lock is held all the while: operator new may not want it."""
    plugin = built('cxx_thread.so', 'cxx_thread.cc')
    assert 'cxx_thread.so: 1000\n' in assert_untouched([built.loads, plugin], 42).stdout


def test_plugin_with_operators_of_its_own(built):
    """15, 40.  It gets its own new and delete, as without us."""
    plugin = built('own_new.so', 'own_new.cc')
    assert 'own_new.so: 13002\n' in assert_untouched([built.loads, plugin], 42).stdout


# --- other preloads ---

@pytest.mark.parametrize('order', ['before', 'after'])
@pytest.mark.parametrize('kind', ['narrow', 'wide'])
def test_another_interposer(built, start, kind, order):
    """5, 10, 14, 20, 25, 38.  One that passes on: malloc alone, or also open, read, write, getenv and
    pthread_mutex_lock, which allocate."""
    lib = built(kind + '.so', 'interpose.c', *(['-DWIDE'] if kind == 'wide' else []))
    for argv, status in (([built.loads], 42), (['malloc_semantics'], 0), (['threads_churn'], 0)):
        assert_untouched(argv, status, **{order: lib})
    h = start([built.loads], HEAP_RATE=1, **{order: lib})
    assert_profiles_are_right(h)
    assert ('heap_shadowed' in h.get('/debug/pprof/').text) == (order == 'before')
    ends_well(h, 42)


@pytest.mark.parametrize('order', ['before', 'after'])
@pytest.mark.parametrize('name', ['libjemalloc.so.2', 'libtcmalloc_minimal.so.4'])
def test_allocator_and_its_settings(built, start, name, order):
    """Its variables are for it alone."""
    lib = installed(name)
    env = {'MALLOC_CONF': 'abort_conf:true,narenas:1,tcache:false,junk:true', 'TCMALLOC_SAMPLE_PARAMETER': '1000'}
    plain = assert_untouched([built.loads], 42, env=env, **{order: lib})
    assert ('junk: 1\n' in plain.stdout) == (name == 'libjemalloc.so.2')
    h = start([built.loads], HEAP_RATE=1, env=env, **{order: lib})
    assert_profiles_are_right(h, heap=order == 'after')
    if order == 'before':
        assert 'heap_shadowed' in h.get('/debug/pprof/').text, 'why the heap profile is empty'


def test_settings_of_an_allocator_that_is_not_there(built):
    env = {'MALLOC_CONF': 'no_such_setting:1,abort_conf:true', 'MALLOC_ARENA_MAX': '1'}
    assert assert_untouched([built.loads], 42, env=env).stderr == ''


def test_doors_do_not_call_each_other_by_name():
    """20.  A public name may lead to another interposer, which leads back to us."""
    relocations = subprocess.run(['readelf', '-rW', LIBRARY], capture_output=True, text=True).stdout
    exports = subprocess.run(['nm', '-D', '--defined-only', LIBRARY], capture_output=True, text=True).stdout
    doors = {line.split()[2].split('@')[0] for line in exports.splitlines() if ' A ' not in line}
    assert {'malloc', 'free', '_Znwm', 'pthread_create'} <= doors
    by_name = {re.split('[@ ]', x)[0] for x in re.findall(r'R_\w+ +[0-9a-f]+ +(\S+)', relocations)}
    assert 'dlsym' in by_name and not by_name & doors


# --- programs with functions of their own ---

def test_program_with_its_own_malloc_getenv_and_sigaction(built, start):
    """6, 37, 38.  As bash and emacs: our blocks never come to its free, nothing of ours asks its getenv."""
    argv = [built('own_functions', 'own_functions.c', '-rdynamic')]
    plain = assert_untouched(argv, 5, env={'MINE': 'x'})
    assert 'by libc, from my heap: 1 1\n' in plain.stdout and 'foreign 0\n' in plain.stdout
    h = start(argv, HEAP_RATE=1, env={'MINE': 'x'})
    assert_profiles_are_right(h, heap=False)
    assert h.profile('heap').total('inuse_space') == 0
    assert 'heap_shadowed' in h.get('/debug/pprof/').text, 'why the heap profile is empty'
    ends_well(h, 5)
    assert h.stdout == plain.stdout


def test_program_with_its_own_memcpy_and_clock(built, start):
    """10.  What the loader finds under these names is the host's: for its threads, not for handlers and not
    for our thread."""
    argv = [built('own_words', 'own_words.c', '-rdynamic', '-fno-tree-loop-distribute-patterns')]
    plain = assert_untouched(argv)
    h = start(argv, HEAP_RATE=1, CPU_HZ=1000)
    assert_profiles_are_right(h)
    for path in ('profile?seconds=1', 'heap', 'allocs'):
        h.profile(path)
    h.get('/debug/pprof/heap?debug=1')
    ends_well(h, 0)
    assert h.stdout == plain.stdout


@pytest.mark.parametrize('early', ['many', 'thread', 'many-thread', 'error', 'environ-null', 'environ-other',
                                   'clearenv', 'setenv'])
def test_library_is_ready_before_us(built, start, early):
    """1, 2, 7, 12.  Its constructor has allocated a megabyte, started a thread, made dlsym allocate, or changed
    the environment, when ours comes."""
    lib = built('libearly.so', 'early.c', '-Wl,-soname,libearly.so')
    argv = [built('needs_early', 'needs_early.c', lib, '-Wl,-rpath,$ORIGIN')]
    env = {'EARLY': early}
    plain = assert_untouched(argv, 3, env=env)
    assert ('1999 blocks' in plain.stdout) == ('many' in early)
    assert ('empty: 1' in plain.stdout) == (early in ('environ-null', 'clearenv'))
    # Our options are those that the program was started with: it listens where it was told to.
    h = start(argv, HEAP_RATE=1, env=env)
    if 'thread' not in early:
        assert_profiles_are_right(h)
    else:
        h.wait_for_output('ready')
        assert h.profile('heap').total('inuse_space', having='hold_here') == HELD
        eventually('it spins', lambda: h.profile('profile?seconds=1').total('cpu', having='spin_here') > 0)
    ends_well(h, 3)


def test_messages_of_the_loader_are_the_hosts(built):
    """1.  What we look for in vain leaves no dlerror behind."""
    plain = assert_untouched([built('errors', 'errors.c')])
    assert plain.stdout.startswith('errno 0, dlerror: nothing\n')


def test_no_feature_appears(built):
    """15.  `if (free_sized)`, with a weak symbol: no function is there that is not there without us.

    Except C++'s operators in a program without C++: their doors are bound before it can be known."""
    exports = subprocess.run(['nm', '-D', '--defined-only', LIBRARY], capture_output=True, text=True).stdout
    names = {line.split()[2].partition('@')[0] for line in exports.splitlines() if ' A ' not in line}
    names |= {'free_sized', 'free_aligned_sized', 'mallocx', 'sdallocx', 'mallctl', 'tc_malloc', 'mi_malloc',
              'malloc_size', 'ProfilerStart', 'HeapProfilerStart', '__asan_init', '__tsan_init', 'deflate',
              'protobuf_c_message_pack', 'cplus_demangle', 'heap_sample', 'log_line'}
    names = sorted(n for n in names if not n.startswith('_Z'))
    assert len(names) > 30
    source = built.path('features.c')
    with open(source, 'w') as f:
        f.write('#include <stdio.h>\n')
        f.writelines('extern char %s[] __attribute__((weak));\n' % n for n in names)
        f.write('int main(void)\n{\n')
        f.writelines('\tprintf("%%s %%d\\n", "%s", (void *)%s != 0);\n' % (n, n) for n in names)
        f.write('\treturn 0;\n}\n')
    plain = assert_untouched([built('features', source)])
    assert 'malloc 1\n' in plain.stdout and 'free_sized 0\n' in plain.stdout


def test_operators_are_not_found_where_there_is_no_cxx():
    """15.  Asked for by name, after the start."""
    ask = ('import ctypes; c = ctypes.CDLL(None)\n'
           'for name in ("_Znwm", "_ZdlPv", "_ZnamSt11align_val_t", "malloc", "free"): print(hasattr(c, name))')
    plain = assert_untouched(['/usr/bin/python3', '-c', ask])
    assert plain.stdout.endswith('True\nTrue\n')


def test_python_spawns_with_the_environment_of_c():
    """9.  It compares the pointer `environ` before and after."""
    code = ('import os\n'
            'for i in range(20):\n'
            '    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 7"], None)\n'
            '    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n')
    if sys.version_info < (3, 13):      # None is new there
        code = code.replace('None', 'os.environ')
    assert_untouched(['/usr/bin/python3', '-c', code])


def test_thread_without_thread_local_data(built):
    """48.  By raw clone, with its creator's."""
    argv = [built('raw_thread', 'raw_thread.c')]
    assert_untouched(argv)
    # No timers for threads: a process timer's ticks come to any of them.
    limited = ['bash', '-c', 'ulimit -i 0; exec "$0"', argv[0]]
    assert run(limited, CPU_HZ=1000) == run(limited, shim=False)


def executable_maps(h):
    with open('/proc/%d/maps' % h.pid) as f:
        return [(line.split()[1], line.split()[5] if len(line.split()) > 5 else '')
                for line in f if 'x' in line.split()[1]]


def test_nothing_of_ours_is_executable_but_the_library(built, start):
    """21.  No file beside it, no code that is made, nothing both writable and executable."""
    with_us, plain = start([built.loads]), start([built.loads], shim=False)
    plain.wait_for_output('ready')
    assert_profiles_are_right(with_us, heap=False)
    more = set(executable_maps(with_us)) - set(executable_maps(plain))
    assert more == {('r-xp', LIBRARY)}


# --- opened at run time ---

def test_opened_after_the_start(built):
    """22, 49.  Its doors are behind libc's then: it says so in one line, and does nothing."""
    empty = built.path('empty.c')
    open(empty, 'w').close()
    other = built('libpprofshim.so', empty)
    for how in ('', 'g:', 'c:', 'd:', 's:'):
        if how == 's:':                 # needs a plugin_run
            continue
        plain = run([built.loads, how + other], shim=False)
        h = run([built.loads, how + LIBRARY, how + LIBRARY], shim=False)
        assert (h.status, h.stdout) == (42, 'libpprofshim.so: -1\n' + plain.stdout)
        assert re.fullmatch(r'pprofshim\[\d+\]: opened after the start, .*\n', h.stderr), h.stderr


def test_opened_when_the_reserve_is_used_up(built):
    """49.  Ours are few enough to find room after a plugin with nearly all of it; if not, it is refused, and
    the host lives."""
    for size, fits in ((1024, True), (1536, None), (1600, None)):
        plugin = built('tls%d.so' % size, 'tls.c', '-DTLS_BYTES=%d' % size, '-ftls-model=initial-exec')
        h = run([built.loads, plugin, 'e:' + LIBRARY], shim=False)
        assert h.status == 42 and h.stdout.endswith('ready\nserved\n'), h
        assert fits is None or ('static TLS' not in h.stdout) == fits
        assert ('static TLS' in h.stdout) != ('libpprofshim.so: -1' in h.stdout)


# --- sanitizers ---

def sanitized(built, compiler, name, *flags):
    need(compiler)
    target = 'careful-%s-%s%s' % (compiler, name, ''.join(flags))
    try:
        return [built(target, 'careful.c', '-fsanitize=' + name, *flags, compiler=compiler)]
    except AssertionError as e:
        pytest.skip('%s cannot build for %s: %s' % (compiler, name, str(e).splitlines()[0][:200]))


PASSIVE = [('clang', 'address'), ('clang', 'thread'), ('clang', 'memory'), ('clang', 'leak'),
           ('gcc', 'thread'), ('gcc', 'leak'), ('gcc', 'address', '-static-libasan'),
           ('gcc', 'thread', '-static-libtsan')]


@pytest.mark.parametrize('how', PASSIVE, ids='-'.join)
def test_sanitizer(built, how):
    """19.  We stay out of it and say so in one line, under whatever it is linked."""
    argv = sanitized(built, *how)
    plain = run(argv, shim=False)
    if plain.status != 9:
        pytest.skip('not even without us: ' + plain.stderr[-300:])
    for options in ROUNDS:
        h = run(argv, **options)
        assert re.fullmatch(r'pprofshim\[\d+\]: this program has a sanitizer in it: not profiled\n',
                            h.stderr), h.stderr
        assert (h.status, h.stdout) == (plain.status, plain.stdout)


def test_address_sanitizer_of_gcc_refuses_every_preload(built):
    """19.  It wants to be the first library, whoever is the first instead; told not to look, it works."""
    argv = sanitized(built, 'gcc', 'address')
    empty = built.path('empty.c')
    open(empty, 'w').close()
    any_preload = run(argv, shim=False, before=built('empty.so', empty))
    with_us = run(argv)
    assert any_preload.status != 0 and 'does not come first' in any_preload.stderr
    without_pids = [re.sub(r'==\d+==', '', h.stderr) for h in (with_us, any_preload)]
    assert with_us.status == any_preload.status and without_pids[0] == without_pids[1]
    env = {'ASAN_OPTIONS': 'verify_asan_link_order=0'}
    plain, with_us = run(argv, shim=False, env=env), run(argv, env=env)
    assert (with_us.status, with_us.stdout) == (plain.status, plain.stdout) == (9, plain.stdout)
    assert with_us.stderr.count('\n') == 1 and 'has a sanitizer in it' in with_us.stderr


@pytest.mark.parametrize('compiler', ['gcc', 'clang'])
def test_undefined_behaviour_sanitizer(built, start, compiler):
    """That one has nothing that we could be in the way of."""
    argv = sanitized(built, compiler, 'undefined')
    assert_untouched(argv, 9)
    h = start(argv, HEAP_RATE=1)
    assert_profiles_are_right(h)


# --- where the loader does not take us in ---

NOISY = {'NO_SUCH': 1}      # a constructor of ours that runs says that there is no such option


@pytest.mark.parametrize('flag', ['-static', '-static-pie'])
def test_static_program(built, flag):
    """24.  LD_PRELOAD is the loader's; here is none, and the line that the same program says otherwise is missing."""
    argv = [built('hello' + flag, 'hello.c', flag)]
    plain = run(argv, shim=False)
    assert (plain.status, plain.stdout) == (7, 'hello, 99999\n')
    assert run(argv, **NOISY) == plain
    assert 'no such option' in run([built('hello', 'hello.c')], **NOISY).stderr


def test_setuid_program(built):
    """24.  The loader ignores a preload with a path."""
    if os.getuid() != 0:
        pytest.skip('not root: cannot make one')
    path = built('hello-setuid', 'hello.c')
    for directory in (built.directory, os.path.dirname(built.directory),
                      os.path.dirname(os.path.dirname(built.directory))):
        os.chmod(directory, 0o755)
    argv = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', path]
    plain = run(argv, shim=False)
    if plain.status != 7:
        pytest.skip('not even without us: ' + plain.stderr)
    # setpriv says it, and then the program; under that name only one of them is loaded with us.
    assert run(argv, ONLY='hello*', **NOISY).stderr.count('no such option') == 2
    os.chmod(path, 0o4755)
    h = run(argv, ONLY='hello*', **NOISY)
    assert (h.status, h.stdout, h.stderr.count('no such option')) == (7, plain.stdout, 1)


def test_musl_program(built):
    """23.  musl's loader does not start a program with a preload that was made for glibc: README says so."""
    need('musl-gcc')
    argv = [built('hello-musl', 'hello.c', compiler='musl-gcc')]
    plain = run(argv, shim=False)
    assert (plain.status, plain.stdout) == (7, 'hello, 99999\n')
    h = run(argv)
    assert h.status == 127 and h.stdout == '' and 'Error relocating' in h.stderr
    argv = [built('hello-musl-static', 'hello.c', '-static', compiler='musl-gcc')]
    assert run(argv) == run(argv, shim=False)
