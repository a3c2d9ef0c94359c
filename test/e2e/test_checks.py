"""Every rule of scripts/check-* has been seen to fail: a small tree that keeps all rules passes, and
with one rule broken it does not."""
import os
import re
import shutil
import subprocess

import pytest

from hosts import TOP

TREE = {
    'sampler/ground.h': '#ifndef SAMPLER_GROUND_H\n#define SAMPLER_GROUND_H\n'
                        'int ground_take(int n);\n#endif\n',
    'sampler/ground.c': '#include "sampler/ground.h"\n#include <string.h>\n'
                        'int ground_take(int n) { char a[64]; memset(a, n, sizeof a); '
                        '__asm__ volatile("" :: "r"(a) : "memory"); return a[n & 63]; }\n',
    'encode/bytes.h': '#ifndef ENCODE_BYTES_H\n#define ENCODE_BYTES_H\n'
                      'int bytes_put(const char *s);\n#endif\n',
    'encode/bytes.c': '#include "encode/bytes.h"\n#include <string.h>\nint pressed(const char *s);\n'
                      'int bytes_put(const char *s) { return (int)strlen(s) + pressed(s); }\n',
    'httpd/desk.h': '#ifndef HTTPD_DESK_H\n#define HTTPD_DESK_H\nint desk_answer(const char *s);\n'
                    '#endif\n',
    'httpd/desk.c': '#include "httpd/desk.h"\n#include "encode/bytes.h"\n#include "sampler/ground.h"\n'
                    'int desk_answer(const char *s) { return bytes_put(s) + ground_take(1); }\n',
    'preload/real.h': '#ifndef PRELOAD_REAL_H\n#define PRELOAD_REAL_H\n#include <stddef.h>\n'
                      '#define REAL_LIST(X) \\\n'
                      '\tX(void *, malloc, (size_t n), (n)) \\\n'
                      '\tX(void, free, (void *p), (p))\n\n'
                      '#define REAL_CONDITIONS(X) X(void, free, (void *p), (p))\n\n#endif\n',
    'preload/doors.c': '#include "preload/real.h"\n#include "httpd/desk.h"\n'
                       '#include "sampler/ground.h"\n#define EXPORT __attribute__((visibility("default")))\n'
                       'EXPORT void *malloc(size_t n); EXPORT void free(void *p);\n'
                       'static _Thread_local char self[64];\n'
                       'void *malloc(size_t n) { self[n & 63]++; return (void *)(n + (size_t)ground_take(1)); }\n'
                       'void free(void *p) { desk_answer(p); }\n',
    'preload/exports.map': '/* of free there are two */\nGLIBC_2.2.5 {\nglobal:\n\tfree;\n};\n',
    'static/pressed.c': '#include <string.h>\nint pressed(const char *s);\n'
                        'int pressed(const char *s) { return strcmp(s, "x"); }\n',
    'static/unused.c': '#include <stdlib.h>\nvoid *unused(void);\nvoid *unused(void) { return malloc(1); }\n',
    'preload/config.c': 'static const struct option {\n\tint x;\n} options[] = {\n'
                        '\t{ "PORT", UINT, NULL, 0, 65535, AT(port), .allowed = "0 to 65535",\n'
                        '\t  .help = "a port; 0 takes any" },\n'
                        '\t{ "LOG", CHOICE, "error", .help = "how "\n\t  "much" },\n#undef AT\n};\n',
    'httpd/routes.c': 'static const struct route routes[] = {\n\t{ "", serve_index, GET },\n'
                      '\t{ "heap", serve_heap, GET,\n\t  "live" },\n};\n',
    'Makefile': 'GLIBC_OLDEST := 2.34\n',
    'README.md': '# x\n\n`ground_take()` in `sampler/ground.c` and `bytes.h`; `scripts/check-layers`.\n'
                 'glibc 2.34.\n\n| `PPROFSHIM_PORT` | | a port; 0 takes any |\n'
                 '| `PPROFSHIM_LOG` | `error` | how much |\n\n| `/debug/pprof/` | index |\n'
                 '| `/debug/pprof/heap` | live |\n',
}
CFLAGS = ['-O2', '-fPIC', '-I.', '-fvisibility=hidden', '-ftls-model=initial-exec', '-fno-builtin',
          '-fno-stack-protector', '-D_FORTIFY_SOURCE=0', '-U_FORTIFY_SOURCE']
LDFLAGS = ['-Wl,--version-script=preload/exports.map', '-Wl,-z,now,-z,nodelete']
# The rest of the C files is only read.
SOURCES = [x for x in TREE if x.endswith('.c') and x not in ('preload/config.c', 'httpd/routes.c')]


class Tree:
    def __init__(self, path):
        self.path = path
        for name, text in TREE.items():
            self.write(name, text)
        shutil.copytree(os.path.join(TOP, 'scripts'), os.path.join(path, 'scripts'))

    def write(self, name, text):
        target = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, 'w') as f:
            f.write(text)

    def change(self, name, old, new):
        text = TREE[name]
        assert old in text
        self.write(name, text.replace(old, new))

    def append(self, name, text):
        with open(os.path.join(self.path, name), 'a') as f:
            f.write(text)

    def shell(self, *argv):
        return subprocess.run(argv, cwd=self.path, capture_output=True, text=True)

    def must(self, *argv):
        p = self.shell(*argv)
        assert p.returncode == 0, p.stderr
        return p

    def compile(self, name, cflags=()):
        """build/obj/FOLDER/NAME.o, or a member of build/static/libpress.a"""
        library = name.startswith('static/')
        target = ('build/' if library else 'build/obj/') + name[:-2] + '.o'
        os.makedirs(os.path.join(self.path, os.path.dirname(target)), exist_ok=True)
        self.must('cc', *CFLAGS, *cflags, '-c', '-o', target, name)
        if library:
            self.must('ar', 'rcs', 'build/static/libpress.a', target)

    def build(self, ldflags=None, cflags=(), only=None):
        """only: the one file that is not as in the tree that was built before"""
        for name in SOURCES if only is None else [only]:
            if name in SOURCES:
                self.compile(name, cflags)
        objects = ['build/obj/' + x[:-2] + '.o' for x in SOURCES if not x.startswith('static/')]
        self.must('cc', '-shared', *(LDFLAGS if ldflags is None else ldflags),
                  '-o', 'build/libpprofshim.so', *objects, 'build/static/libpress.a')

    def symbols(self, oldest='2.34'):
        return self.shell('scripts/check-symbols', 'build', oldest)


@pytest.fixture
def tree(tmp_path):
    return Tree(str(tmp_path / 'tree'))


@pytest.fixture(scope='module')
def pattern(tmp_path_factory):
    tree = Tree(str(tmp_path_factory.mktemp('pattern') / 'tree'))
    tree.build()
    return tree


@pytest.fixture
def built(pattern, tmp_path):
    """A tree that is built already, to be spoilt."""
    tree = Tree.__new__(Tree)
    tree.path = str(tmp_path / 'tree')
    shutil.copytree(pattern.path, tree.path)
    return tree


def fails(result, saying):
    assert result.returncode != 0, result.stdout
    assert saying in result.stdout + result.stderr
    return True


# --- check-layers ---

def test_layers_pass(tree):
    p = tree.must('scripts/check-layers')
    assert '8 includes, 0 wrong' in p.stdout


@pytest.mark.parametrize('file, include', [
    ('sampler/ground.c', 'httpd/desk.h'), ('sampler/ground.c', 'encode/bytes.h'),
    ('sampler/ground.h', 'preload/real.h'), ('encode/bytes.c', 'sampler/ground.h'),
    ('encode/bytes.h', 'httpd/desk.h'), ('encode/bytes.c', 'preload/real.h'),
    ('httpd/desk.c', 'preload/real.h'), ('httpd/desk.c', 'desk.h'), ('httpd/desk.c', 'test/x.h')])
def test_layers_catch_an_include_against_the_arrows(tree, file, include):
    tree.append(file, '#  include "%s"\n' % include)
    fails(tree.shell('scripts/check-layers'), 'may not include "%s"' % include)


def test_layers_that_saw_nothing_fail(tree):
    shutil.rmtree(os.path.join(tree.path, 'encode'))
    tree.write('encode/empty.c', 'int x;\n')
    fails(tree.shell('scripts/check-layers'), 'no include seen in encode/')


def test_layers_catch_two_files_of_one_name(tree):
    tree.write('encode/desk.c', TREE['encode/bytes.c'])
    fails(tree.shell('scripts/check-layers'), 'encode/desk.c and httpd/desk.c have one name')


# --- check-symbols ---

def test_symbols_pass(built):
    p = built.symbols()
    assert p.returncode == 0, p.stdout + p.stderr
    assert '4 objects and 1 library members, 2 exports' in p.stdout


SYMBOLS = [
    # What is broken: file, from, to, what the check says.
    ('sampler/ground.c', 'return a', 'extern int rand(void); return rand() + a', 'signal-safe.allow'),
    ('sampler/ground.c', 'return a', 'extern int bytes_put(const char *); return bytes_put("") + a',
     'signal-safe.allow'),
    ('encode/bytes.c', 'return ', 'extern int rand(void); return rand() + ', 'encode/ calls'),
    ('encode/bytes.c', 'return ', 'extern int ground_take(int); return ground_take(1) + ',
     'encode/ calls upwards'),
    ('httpd/desk.c', 'return ', 'extern int rand(void); return rand() + ', 'httpd/ calls'),
    ('static/pressed.c', 'return ', 'extern int rand(void); return rand() + ', 'a static library calls'),
    ('sampler/ground.c', 'return a', 'extern int getpid(void); return getpid() + a', 'getpid'),
    ('sampler/ground.c', 'return a', 'extern void *malloc(unsigned long); '
     '__asm__ volatile("" :: "r"(malloc(1))); return a', 'may never call: malloc'),
    ('httpd/desk.c', 'return ', 'extern int printf(const char *, ...); return printf("%d", 1) + ',
     'may never call: printf'),
    ('httpd/desk.c', 'return ', 'extern int __snprintf_chk(char *, ...); return __snprintf_chk(0) + ',
     'may never call: __snprintf_chk'),
    ('encode/bytes.c', 'return ', 'extern void abort(void); if (!s) abort(); return ',
     'may never call: abort'),
    ('httpd/desk.c', 'return ', 'extern int pthread_mutex_lock(void *); return pthread_mutex_lock(0) + ',
     'may never call: pthread_mutex_lock'),
    ('httpd/desk.c', 'return ', 'extern int dl_iterate_phdr(void *, void *); return dl_iterate_phdr(0, 0) + ',
     'may never call: dl_iterate_phdr'),
    ('httpd/desk.c', 'return ', 'extern void *opendir(const char *); return (opendir("") != 0) + ',
     'may never call: opendir'),
    ('httpd/desk.c', 'return ', 'extern void free(void *); free(0); return ', 'may never call: free'),
    ('static/pressed.c', 'return ', 'extern void *calloc(unsigned long, unsigned long); '
     'return (calloc(1, 1) != 0) + ', 'may never call: calloc'),
    ('preload/doors.c', 'desk_answer(p); }', 'extern int printf(const char *, ...); printf("%p", p); }',
     'a door may never call: printf'),
    ('preload/doors.c', 'desk_answer(p); }', 'extern void abort(void); if (p) abort(); }',
     'a door may never call: abort'),
    ('preload/doors.c', 'EXPORT void free', 'void free', 'in REAL_LIST, but not exported: free'),
    ('preload/exports.map', '\tfree;\n', '\tcalloc;\n', 'in REAL_CONDITIONS, but not in exports.map: free'),
    ('preload/exports.map', '\tfree;\n', '\tfree;\n\tmalloc;\n',
     'in exports.map, but not in REAL_CONDITIONS: malloc'),
    ('preload/real.h', '\tX(void, free, (void *p), (p))\n', '\n',
     'exported, but not in REAL_LIST: free'),
    ('preload/doors.c', '[64]', '[400]', 'thread-local data of'),
    ('scripts/desk-calls.allow', None, 'malloc\n', 'allows what may never be called: malloc'),
    ('scripts/signal-safe.allow', None, 'dlsym\n', 'allows what may never be called: dlsym'),
]


@pytest.mark.parametrize('file, old, new, saying', SYMBOLS,
                         ids=['%s-%s' % (x[0].split('/')[-1], x[3].split(': ')[-1]) for x in SYMBOLS])
def test_symbols_catch(built, file, old, new, saying):
    if old is None:
        built.append(file, new)
    else:
        built.change(file, old, new)
    built.build(only=file)
    fails(built.symbols(), saying)


MAP = '-Wl,--version-script=preload/exports.map'


@pytest.mark.parametrize('ldflags, saying', [
    (LDFLAGS + ['-Wl,--no-as-needed', '-lm'], 'NEEDED is'),
    ([MAP, '-Wl,-z,nodelete', '-Wl,-z,lazy'], 'BIND_NOW'), ([MAP, '-Wl,-z,now'], 'NODELETE'),
    (['-Wl,-z,now,-z,nodelete', '-Wl,--defsym=extra=malloc'], 'exported, but not in REAL_LIST: extra')])
def test_symbols_catch_a_library_linked_wrongly(built, ldflags, saying):
    built.build(ldflags=ldflags, only='')
    fails(built.symbols(), saying)


def test_symbols_catch_a_text_relocation(built):
    built.append('preload/doors.c', '__asm__(".text\\n.quad ground_take\\n");\n')
    built.build(ldflags=LDFLAGS + ['-Wl,-z,notext'], only='preload/doors.c')
    fails(built.symbols(), 'text relocations')


def test_symbols_catch_dynamic_thread_local_data(built):
    built.build(ldflags=LDFLAGS + ['-Wl,--no-relax'], cflags=['-ftls-model=global-dynamic'],
                only='preload/doors.c')
    fails(built.symbols(), '__tls_get_addr')


def test_symbols_catch_a_newer_libc(built):
    fails(built.symbols(oldest='2.2.4'), 'README says 2.2.4')


@pytest.mark.parametrize('gone, saying', [
    ('build/obj/sampler', 'no object of sampler/'), ('build/obj/httpd', 'no object of httpd/'),
    ('build/static', 'no static library')])
def test_symbols_that_saw_nothing_fail(built, gone, saying):
    shutil.rmtree(os.path.join(built.path, gone))
    os.makedirs(os.path.join(built.path, gone))
    fails(built.symbols(), saying)


def test_symbols_without_a_library_fail(built):
    os.unlink(os.path.join(built.path, 'build/libpprofshim.so'))
    fails(built.symbols(), 'no build/libpprofshim.so')


# --- check-stack ---

STACK_TICK = '''int real(int n), unreal(int n);
void note(char *p);
int (*pointer)(int n);
__attribute__((noinline)) static int leaf(int n) { char a[200]; note(a); return a[n]; }
__attribute__((noinline)) static int middle(int n) { char a[100]; note(a); return leaf(n) + a[n]; }
int tick(int n);
int tick(int n) { return middle(n) + pointer(n) + 1; }
int other(int n);
int other(int n) { char a[48]; note(a); return real(n) + a[n]; }
'''
STACK_CALLS = '''entry tick     # where it begins
call sampler/tick.c pointer other
leaf note 16
leaf real 24
'''


@pytest.fixture
def stack(tree):
    def check(tick=STACK_TICK, calls=STACK_CALLS, limit=512, flags=('-fcallgraph-info=su',)):
        tree.write('sampler/tick.c', tick)
        tree.write('sampler/altstack.h', '#define ALTSTACK_TICK_BYTES %s\n' % limit)
        tree.write('scripts/stack.calls', calls)
        tree.compile('sampler/tick.c', ('-fstack-usage', '-mno-red-zone') + flags)
        return tree.shell('scripts/check-stack', 'build')
    return check


def chain_of(result):
    """Bytes of the worst chain, and its functions."""
    m = re.search(r'check-stack: tick (\d+) bytes: (.*)', result.stdout)
    return int(m.group(1)), [x.split() for x in m.group(2).split(', ')]


def test_stack_passes(stack):
    p = stack()
    assert p.returncode == 0, p.stdout + p.stderr
    total, chain = chain_of(p)
    assert [x[0] for x in chain] == ['tick', 'middle', 'leaf', 'note']
    assert total == sum(int(x[1]) for x in chain) and 16 + 100 + 200 < total < 512
    assert '1 entries, 4 functions, limit 512, 0 wrong' in p.stdout


@pytest.mark.parametrize('old, new, saying', [
    ('a[200]', 'a[500]', '512 is the limit'), ('a[48]', 'a[500]', '512 is the limit'),
    ('pointer(n) + 1', 'pointer(n) + (*(&pointer + 1))(n)', 'through a pointer at sampler/tick.c:7:'),
    ('pointer(n)', 'real(n)', 'nothing is like "call sampler/tick.c pointer"'),
    ('return leaf(n)', 'return tick(n - 1) + leaf(n)', 'recursion: '),
    ('char a[100]', 'char a[n]', 'dynamic'), ('real(n)', 'unreal(n)', 'unreal() is not ours'),
    ('int tick', 'int tock', 'speaks of tick, and there is none')])
def test_stack_catches_code(stack, old, new, saying):
    assert old in STACK_TICK
    fails(stack(tick=STACK_TICK.replace(old, new)), saying)


@pytest.mark.parametrize('old, new, saying', [
    ('leaf real 24', 'leaf real 440', '512 is the limit'), ('leaf real 24\n', '', 'real() is not ours'),
    ('leaf real 24', 'leaf real 24\nleaf gone 8', 'nothing is like "leaf gone"'),
    ('call sampler/tick.c pointer other\n', '', 'no "call sampler/tick.c pointer"'),
    ('pointer other', 'pointer otter', 'speaks of otter, and there is none'),
    ('entry tick', '#', 'no entry'), ('entry', 'enter', 'what is enter?')])
def test_stack_catches_a_list(stack, old, new, saying):
    assert old in STACK_CALLS
    fails(stack(calls=STACK_CALLS.replace(old, new)), saying)


def test_stack_that_saw_nothing_fails(stack):
    fails(stack(flags=()), 'no call graph')
    fails(stack(limit='(1 << 9)'), 'no ALTSTACK_TICK_BYTES')


# --- check-headers ---

def test_headers(tree):
    headers = [x for x in TREE if x.endswith('.h')]
    assert '4 headers, 0 wrong' in tree.must('scripts/check-headers', 'build', *headers).stdout
    tree.change('sampler/ground.h', 'int ground_take', 'uint32_t ground_take')
    fails(tree.shell('scripts/check-headers', 'build', *headers), 'sampler/ground.h does not compile')
    tree.write('sampler/ground.h', 'static const int unguarded = 1;\n')
    fails(tree.shell('scripts/check-headers', 'build', *headers), 'sampler/ground.h does not compile')
    fails(tree.shell('scripts/check-headers', 'build'), 'no headers given')


# --- check-readme ---

def test_readme_passes(tree):
    p = tree.must('scripts/check-readme')
    assert '3 files, 1 functions, 2 options, 2 endpoints, 0 wrong' in p.stdout


@pytest.mark.parametrize('old, new, saying', [
    ('`ground_take()`', '`ground_give()`', 'there is no ground_give()'),
    ('`ground_take()`', '`take()`', 'there is no take()'),
    ('`sampler/ground.c`', '`sampler/floor.c`', 'there is no sampler/floor.c'),
    ('`bytes.h`', '`bits.h`', 'there is no bits.h'),
    ('`scripts/check-layers`', '`scripts/check-all`', 'there is no scripts/check-all'),
    ('| `PPROFSHIM_LOG` | `error` | how much |\n', '', 'options: '),
    ('| `error` |', '| `info` |', 'options: '), ('how much', 'how many', 'options: '),
    ('PPROFSHIM_PORT', 'PPROFSHIM_PORTS', 'options: '),
    ('| `/debug/pprof/heap` | live |\n', '', 'endpoints: '),
    ('pprof/heap`', 'pprof/heaps`', 'endpoints: '),
    ('glibc 2.34', 'glibc 2.31', 'does not say that glibc 2.34'),
    ('`ground_take()`', 'x', 'found no function'), ('`/debug', '`debug', 'found no endpoint')])
def test_readme_catches(tree, old, new, saying):
    tree.change('README.md', old, new)
    fails(tree.shell('scripts/check-readme'), saying)


@pytest.mark.parametrize('file, old, new', [
    ('preload/config.c', '"LOG"', '"LOGS"'), ('preload/config.c', '"error"', '"info"'),
    ('preload/config.c', 'takes any', 'takes one'), ('httpd/routes.c', '"heap"', '"heaps"')])
def test_readme_catches_a_program_that_went_on(tree, file, old, new):
    tree.change(file, old, new)
    fails(tree.shell('scripts/check-readme'), 'disagree')


# --- check-format ---

GOOD = '''/* x.c -- laid out well. */
#include <stdio.h>

enum color { RED, GREEN,
	     BLUE };

struct row {
	int          width;     /* columns by hand */
	const char  *name;
};

static const struct row rows[] = {
	{ .width = 1, .name = "http://x" },
	{ 2, "two" },
};

static int first(void) { return rows[0].width; }

int second(int n)
{
	if (n > 1 && first())
		return 1;
	for (int i = 0; i < n; i++) {
		switch (i) {
		case 1: return 2;
		default: break;
		}
	}
	return n == 3 ? 1 :
	       n == 4 ? 2 : 0;
}
'''


def test_format_passes(tree):
    tree.write('encode/x.c', GOOD)
    assert '1 files, 0 complaints' in tree.must('scripts/check-format', 'encode/x.c').stdout


@pytest.mark.parametrize('old, new', [
    ('\tif (n > 1', '        if (n > 1'), ('\tif (n > 1', '\t\tif (n > 1'), ('if (n', 'if(n'),
    ('int second(int n)\n{', 'int second(int n) {'), ('i++) {', 'i++)\n\t{'),
    ('const char  *name', 'const char*  name'), ('n > 1', 'n>1'), ('return 1;', 'return 1; '),
    ('\tint          width;     /* columns by hand */', '\tint width; // comment'),
    ('\t\tcase 1', '\t\t\tcase 1'), ('laid out well.', 'x' * 100),
    ('return 1;', 'return 1 +                                                                '
                  '                           1;')])
def test_format_catches(tree, old, new):
    assert old in GOOD
    tree.write('encode/x.c', GOOD.replace(old, new, 1))
    fails(tree.shell('scripts/check-format', 'encode/x.c'), 'encode/x.c')


def test_format_of_nothing_fails(tree):
    fails(tree.shell('scripts/check-format'), 'no files given')


# --- run-tests ---

def test_run_tests(tree):
    for name, text in (('ok', 'exit 0'), ('bad', 'echo what went wrong; exit 1'),
                       ('skip', 'echo no such thing here; exit 77'), ('crash', 'kill -SEGV $$'),
                       ('slow', 'exec sleep 30')):
        tree.write(name, '#!/bin/sh\n%s\n' % text)
        os.chmod(os.path.join(tree.path, name), 0o755)
    assert '1 passed, 0 failed, 1 skipped' in tree.must('scripts/run-tests', './ok', './skip').stdout
    p = tree.shell('scripts/run-tests', './ok', './bad', './crash')
    assert p.returncode == 1 and '1 passed, 2 failed' in p.stdout and 'what went wrong' in p.stdout
    assert tree.shell('scripts/run-tests').returncode == 1
    assert tree.shell('scripts/run-tests', './skip').returncode == 1
    p = tree.shell('env', 'TEST_TIMEOUT=1', 'scripts/run-tests', './ok', './slow')
    assert p.returncode == 1 and 'not done after 1 s' in p.stdout
