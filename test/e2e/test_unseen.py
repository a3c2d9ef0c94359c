"""Heaps that no door of ours sees: the index and the profile say which, and why it is empty."""
import os
import subprocess
import time

import pytest

from profile_message import Read, decode
from test_presence_libraries import built, ends_well, installed  # noqa: F401

LINE = 'heap_unseen '


def unseen(h):
    """What the index says, as (name, sentence)."""
    text = h.get('/debug/pprof/').text
    return [tuple(x.split('</li>')[0].split(': ', 1)) for x in text.split('<li>' + LINE)[1:]]


def comments(h, path='heap'):
    return [c for c in h.profile(path).comments if c.startswith('heap_unseen: ')]


@pytest.mark.parametrize('name, flags', [
    ('_rjem_malloc', ['-DPREFIX(x)=_rjem_##x']),
    ('je_malloc', ['-DPREFIX(x)=je_##x', '-DHIDDEN']),
    ('mi_malloc', ['-DPREFIX(x)=mi_##x', '-rdynamic', '-s']),     # stripped, but exported
    ('malloc', ['-DHIDDEN']),
])
def test_linked_into_the_program(built, start, name, flags):  # noqa: F811
    h = start([built('prefixed' + name + '_'.join(f.strip('-') for f in flags[1:]), 'prefixed.c', *flags)],
              HEAP_RATE=1)
    h.wait_for_output('ready')
    assert h.profile('heap').total('inuse_space', having='hold_here') == 0, 'then there is nothing to say'
    assert [n for n, _ in unseen(h)] == [name]
    for path in ('heap', 'allocs', 'heap?seconds=1'):
        assert [c.split(': ')[1] for c in comments(h, path)] == [name], path
    assert not [c for c in h.profile('profile?seconds=1').comments if 'unseen' in c]
    # That malloc which the doors of others would find is something else.
    assert 'heap_shadowed' not in h.get('/debug/pprof/').text
    ends_well(h, 0)


def test_malloc_of_the_program_is_named_and_counted(built, start):  # noqa: F811
    """What it exports is everybody's, also its libraries'."""
    h = start([built('own_functions', 'own_functions.c', '-rdynamic')], HEAP_RATE=1)
    h.wait_for_output('ready')
    assert [n for n, _ in unseen(h)] == ['malloc'] and len(comments(h)) == 1
    assert 'heap_shadowed' in h.get('/debug/pprof/').text
    ends_well(h, 5)


def test_library_under_another_name(built, start):  # noqa: F811
    """A plugin that brings one; seen from when it is there."""
    lib = built('prefixed_rjem.so', 'prefixed.c', '-DPREFIX(x)=_rjem_##x', '-Dmain=its_main')
    h = start([built('loads_it', 'prefixed_user.c', lib, '-Wl,-rpath,$ORIGIN')], HEAP_RATE=1)
    h.wait_for_output('ready')
    assert [n for n, _ in unseen(h)] == ['_rjem_malloc'] and len(comments(h)) == 1
    ends_well(h, 0)


@pytest.mark.parametrize('name', ['libjemalloc.so.2', 'libtcmalloc_minimal.so.4'])
def test_allocators_behind_our_doors_are_seen(start, name):
    """They have both names; libtcmalloc exports tc_malloc."""
    h = start(['hold_heap'], after=installed(name), HEAP_RATE=1)
    assert unseen(h) == [] and comments(h) == []
    assert 'heap_shadowed' not in h.get('/debug/pprof/').text


def test_names_alone_say_nothing(start, tmp_path):
    """A reference that is not defined, a string, a name that ends so: libc has them all."""
    source = tmp_path / 'calls.c'
    source.write_text('void *mi_malloc(unsigned long) __attribute__((weak));\n'
                      'void *my_tc_malloc(void); void *my_tc_malloc(void) { return 0; }\n'
                      'char rpmalloc[8] = "je_malloc";\n'
                      '#include <stdio.h>\n'
                      'int main(void) { puts(mi_malloc ? "has" : "ready"); fflush(stdout);'
                      ' return getchar() + !my_tc_malloc() - !rpmalloc[0]; }\n')
    target = str(tmp_path / 'calls')
    subprocess.run([os.environ.get('CC', 'cc'), '-O0', '-o', target, str(source)], check=True)
    symbols = subprocess.run(['nm', target], capture_output=True, text=True, check=True).stdout
    assert ' w mi_malloc' in symbols and ' rpmalloc' in symbols
    h = start([target])
    assert unseen(h) == []
    assert comments(h) == []


# --- what such an allocator says of itself -------------------------------------------------------

# serve.h's 200 blocks, in jemalloc's size of class; at this rate one of them is not sampled once in 10^10 runs.
HELD = [200, 200 * 114688]
STACKS = 150000         # of a dump that is too large
CONF = 'prof:true,lg_prof_sample:12,prof_prefix:'


def jemalloc(built, public='', private=''):  # noqa: F811
    """dumps.c with Debian's libjemalloc.a; with prefixes for its functions and for its variables, as Rust has them."""
    archive = installed('libjemalloc.a')
    if private:
        names = ['mallctl', 'malloc', 'calloc', 'realloc', 'free', 'posix_memalign', 'aligned_alloc', 'memalign',
                 'valloc', 'malloc_usable_size']
        renamed = built.path('renamed%s.a' % public)
        subprocess.run(['objcopy', *['--redefine-sym=%s=%s%s' % (n, public, n) for n in names if public],
                        *['--redefine-sym=%s=%s%s' % (n, private, n) for n in ('je_opt_prof', 'je_opt_prof_prefix')],
                        archive, renamed], check=True)
        archive = renamed
    return built('dumps' + public + private, 'dumps.c', *(['-DPREFIX(x)=%s##x' % public] if public else []), '-O0',
                 archive, '-lstdc++', '-lm')


def dump_comments(h, path='heap'):
    return [c for c in h.profile(path).comments if c.startswith('heap_dump: ')]


def totals(h, path='heap'):
    p = h.profile(path)
    return [p.total(v, having='hold_here') for v in ('inuse_objects', 'inuse_space', 'alloc_objects', 'alloc_space')]


def dump(h, n):
    h.say()
    h.wait_for_output('dumped 0\n' * n)


@pytest.mark.parametrize('public, private', [('', ''), ('_rjem_', '_rjem_'), ('', '_rjem_')])
def test_jemallocs_own_profile(built, start, tmp_path, public, private):  # noqa: F811
    files = str(tmp_path / 'x.y')
    h = start([jemalloc(built, public, private)], env={'MALLOC_CONF': CONF + files})
    h.wait_for_output('ready')
    assert [n for n, _ in unseen(h)] == [public + 'malloc']
    said, = dump_comments(h)
    assert said.startswith('heap_dump: none: jemalloc samples, but has written no %s.%d.*.heap: %sMALLOC_CONF=prof:true' %
                           (files, h.pid, public.upper()))
    assert totals(h) == [0] * 4
    dump(h, 1)
    said, = dump_comments(h)
    assert said.startswith('heap_dump: %s.%d.0.m0.heap: ' % (files, h.pid)) and 'one sample in 4096 bytes' in said
    assert '<li>' + said.split(': ')[0] in h.get('/debug/pprof/').text
    for path in ('heap', 'allocs'):
        assert totals(h, path) == pytest.approx(HELD * 2, rel=1e-3), path
    # The leaf is who asked for the memory, not jemalloc.
    p = h.profile('heap')
    for name in ('hold_here', 'clear_here'):
        assert p.total('inuse_objects', leaf=name) == p.total('inuse_objects', having=name) > 0, name
    # What a dump does not know is not shown.
    for path in ('heap?seconds=1', 'heap?min_age=1'):
        assert totals(h, path) == [0] * 4 and len(dump_comments(h, path)) == 1, path


def test_the_newest_whole_dump(built, start, tmp_path):  # noqa: F811
    """Not one that is being written, nor another process's, nor what is no file; and in the working directory.
    (gc=1 changes nothing; the linter would miss what was allocated in the dump that was there before.)"""
    h = start([jemalloc(built)], env={'MALLOC_CONF': CONF + 'here'}, cwd=str(tmp_path))
    h.wait_for_output('ready')
    for i in range(2000):       # more names than are read at once
        (tmp_path / ('%0200d' % i)).touch()
    dump(h, 1)
    dump(h, 2)
    first, second = ((tmp_path / ('here.%d.%d.m%d.heap' % (h.pid, i, i))) for i in (0, 1))
    whole = second.read_text()
    assert dump_comments(h, 'heap?gc=1')[0].startswith('heap_dump: ./here.%d.1.m1.heap: ' % h.pid)
    # As long as its end is missing it is not there.
    second.write_text(whole.partition('MAPPED_LIBRARIES')[0])
    assert dump_comments(h, 'heap?gc=1')[0].startswith('heap_dump: ./here.%d.0.m0.heap: ' % h.pid)
    second.unlink()
    os.mkfifo(str(second))
    (tmp_path / ('here.%d.7.m7.heap' % (h.pid + 1))).write_text(whole)
    # Nor of one that had this id before: numbers begin anew.
    before = tmp_path / ('here.%d.9.m9.heap' % h.pid)
    before.write_text(whole)
    os.utime(str(before), (time.time() - 100, time.time() - 100))
    (tmp_path / ('here.%d.7.m7.heap.old' % h.pid)).write_text(whole)
    assert dump_comments(h, 'heap?gc=1')[0].startswith('heap_dump: ./here.%d.0.m0.heap: ' % h.pid)
    assert totals(h, 'heap?gc=1')[:2] == pytest.approx(HELD, rel=1e-3)
    first.unlink()
    assert dump_comments(h, 'heap?gc=1')[0].startswith('heap_dump: none: ') and totals(h, 'heap?gc=1') == [0] * 4


def test_a_dump_that_is_too_large(built, start, tmp_path):  # noqa: F811
    """Of more places than an answer has room for: what fits is there, and the rest of the profile."""
    h = start([jemalloc(built)], env={'MALLOC_CONF': CONF + str(tmp_path / 'x')})
    h.wait_for_output('ready')
    dump(h, 1)
    first = (tmp_path / ('x.%d.0.m0.heap' % h.pid)).read_text()
    head, rest = first.split('MAPPED_LIBRARIES')
    with open(str(tmp_path / ('x.%d.1.m1.heap' % h.pid)), 'w') as f:
        f.write(head)
        for i in range(STACKS):
            f.write('@%s\n  t*: 1: 4096 [0: 0]\n' % ''.join(' 0x%x' % (0x10000 + 20 * i + k) for k in range(20)))
        f.write('MAPPED_LIBRARIES' + rest)
    h.desk.excuses = lambda kind, finding: finding.startswith('17: ')      # more than a Pyroscope takes
    r = h.get('/debug/pprof/heap')
    assert r.status == 200
    p = Read(decode(r.body))
    assert [c for c in p.comments if c.startswith('heap_dump_more: ')]
    assert p.total('inuse_objects', having='hold_here') == pytest.approx(HELD[0], rel=1e-3)
    assert 10000 < len(p.samples) < STACKS


def test_jemalloc_that_does_not_sample(built, start):  # noqa: F811
    h = start([jemalloc(built)])
    h.wait_for_output('ready')
    said, = dump_comments(h)
    assert said.startswith('heap_dump: none: jemalloc does not sample: MALLOC_CONF=prof:true,lg_prof_interval:30 ')


def test_dumps_of_an_allocator_that_is_seen(start, tmp_path):
    """Its blocks are ours already."""
    library = str(tmp_path / 'libj.so')
    subprocess.run([os.environ.get('CC', 'cc'), '-shared', '-o', library, '-Wl,--whole-archive',
                    installed('libjemalloc_pic.a'), '-Wl,--no-whole-archive', '-lstdc++', '-lm'], check=True)
    h = start(['hold_heap'], after=library, env={'MALLOC_CONF': CONF + str(tmp_path / 'x') + ',lg_prof_interval:16'})
    h.wait_for_output('ready')      # else the desk may answer before it has allocated anything
    h.profile('heap')
    assert list(tmp_path.glob('x.%d.*.heap' % h.pid))
    assert dump_comments(h) == [] and unseen(h) == []


def test_more_names_than_can_be_looked_at_are_said(built, start, tmp_path):  # noqa: F811
    source = tmp_path / 'names.c'
    source.write_text('#define F(n) void a##n##_je_malloc(void); void a##n##_je_malloc(void) {}\n' +
                      ''.join('F(%d)\n' % i for i in range(80)) +
                      '#include <stdio.h>\nint main(void) { puts("ready"); fflush(stdout); return getchar() == 0; }\n')
    target = str(tmp_path / 'names')
    subprocess.run([os.environ.get('CC', 'cc'), '-o', target, str(source)], check=True)
    h = start([target])
    assert [c for c in h.profile('heap').comments if c.startswith('heap_unseen_more: ')]
    assert '<li>heap_unseen_more: ' in h.get('/debug/pprof/').text
    h = start(['hold_heap'])
    assert not [c for c in h.profile('heap').comments if c.startswith('heap_unseen_more: ')]
