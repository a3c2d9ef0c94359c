"""The profile of mapped memory: every byte is somebody's."""
import re

import pytest

from hosts import eventually, run
from redis_memory import Redis
from go_tool import bytes_of, go, number_of, pprof  # noqa: F401
from test_presence_libraries import installed

MIB = 1 << 20
BRK, STACK, LIBC, OURS, EVICTED = '[brk in libc]', '[main stack]', '[mmap in libc]', '[pprofshim]', '[evicted]'


VALUES = ('inuse_objects', 'inuse_space', 'alloc_objects', 'alloc_space')


def said(h):
    """{function: (objects, bytes, calls, bytes of calls)}: what the host says is left, and was."""
    h.wait_for_output('ready')
    return {m[0]: tuple(map(int, m[1:])) for m in
            re.findall(r'^(\w+) (\d+) (\d+) (\d+) (\d+)$', h.stdout, re.M)}


def mapped_by(pid):
    """(anonymous, others): bytes that the kernel knows of."""
    total = [0, 0]
    with open('/proc/%d/maps' % pid) as f:
        for line in f:
            part = line.split(None, 5)
            path = part[5].strip() if len(part) > 5 else ''
            file = path not in ('', '[heap]', '[stack]', '/dev/zero (deleted)') and not path.startswith('[anon')
            start, end = part[0].split('-')
            # Above all addresses of a process, and in no count of its.
            total[file] += 0 if path == '[vsyscall]' else int(end, 16) - int(start, 16)
    return total


def virtual(pid):
    with open('/proc/%d/status' % pid) as f:
        return int(re.search(r'^VmSize:\s+(\d+) kB$', f.read(), re.M)[1]) << 10


def assert_explained(h, p):
    """The profile's sum is the kernel's, but for what is mapped while it is made: some MiB of ours, or of theirs."""
    anonymous, files = mapped_by(h.pid)
    size = virtual(h.pid)
    assert abs(anonymous + files - size) < 4 * MIB
    assert abs(p.total('inuse_space') - (size - files)) < 4 * MIB + 0.01 * size
    assert p.total('inuse_space', having=EVICTED) == 0


def used(p, name):
    return p.total('inuse_objects', having=name), p.total('inuse_space', having=name)


def values_of(p, name):
    return tuple(p.total(v, having=name) for v in VALUES)


def test_each_call_is_its_callers(start):
    """Parts of ranges, ranges over ranges, moved ones, the break; of what failed, nothing."""
    h = start(['maps_memory'])
    expected = said(h)
    assert len(expected) == 15 and sum(e[2] for e in expected.values()) == 30
    p = h.profile('mmap')
    for name, values in expected.items():
        assert values_of(p, name) == values, name
    assert p.comments == []
    assert h.get('/debug/pprof/').text.count("'mmap?debug=1'") == 1


def test_all_of_it_is_explained(start):
    """libc's block of 64 MiB, its brk and the main stack have names, and so have we; the sum is the kernel's."""
    h = start(['maps_memory'])
    said(h)
    p = h.profile('mmap')
    assert 64 * MIB <= p.total('inuse_space', having=LIBC) < 80 * MIB
    assert p.total('inuse_space', having=BRK) > 100000
    assert p.total('inuse_space', having=STACK) > 100000
    assert p.total('inuse_space', having=OURS) > 64 * MIB
    assert p.total('inuse_space', having=EVICTED) == 0
    assert_explained(h, p)


def test_text(start):
    h = start(['maps_memory'])
    expected = said(h)
    text = h.get('/debug/pprof/mmap?debug=1').text
    head = re.match(r'heap profile: (\d+): (\d+) \[(\d+): (\d+)\] @ heap/2\n', text)
    assert head and int(head[2]) > 64 * MIB
    rows = re.findall(r'^(\d+): (\d+) \[\d+: \d+\] @ [^\n]*\n((?:#.*\n)*)', text, re.M)
    assert sum(int(r[1]) for r in rows) == int(head[2])
    for name, values in expected.items():
        mine = [r for r in rows if '\t%s+' % name in r[2]]
        assert (sum(int(r[0]) for r in mine), sum(int(r[1]) for r in mine)) == values[:2], name


def test_window(start):
    h = start(['maps_memory'])
    said(h)

    def maps_four():
        before = used(h.profile('mmap'), 'main')[0]
        h.say(b'1234')
        eventually('it has mapped', lambda: used(h.profile('mmap'), 'main')[0] == before + 4)
    p = h.window('mmap', maps_four)
    assert used(p, 'main') == (4, 4 * MIB)
    assert p.total('alloc_space', having='maps_whole') == 0


def test_a_fork_child_has_its_own(start):
    """What it inherited is there, and no call of its."""
    h = start(['maps_memory', 'fork'])
    said(h)
    child = eventually('the child listens', lambda: [d for p, d in h.desks().items() if p != h.pid])[0]
    p = child.profile('mmap')
    assert used(p, 'maps_in_a_child') == (1, 3 * MIB)
    assert p.total('inuse_space', having='maps_whole') == 0
    assert p.total('inuse_space', having=LIBC) > 64 * MIB + 8 * MIB + 3 * MIB
    # Not what the child has unmapped.
    parent = h.profile('mmap')
    assert used(parent, 'maps_what_is_mapped_over') == (1, 6 * MIB)
    assert used(parent, 'maps_in_a_child') == (0, 0)


def test_a_vfork_child_maps_for_its_parent(start):
    h = start(['maps_memory', 'vfork'])
    expected = said(h)
    p = h.profile('mmap')
    for name, values in expected.items():
        assert values_of(p, name) == values, name
    assert used(p, EVICTED) == (1, 4 * MIB)
    assert p.comments == ['mmap_nested: 1']


def values_by_handler(p, name):
    """A handler's stack goes on with what it has interrupted."""
    mine = [s for s in p.samples if name in s.frames and (name == 'handles' or 'handles' not in s.frames)]
    return tuple(sum(s.values[v] for s in mine) for v in VALUES)


def lost_calls(h):
    return int((re.findall(r'mmap_lost (\d+)', h.get('/debug/pprof/').text) or [0])[0])


@pytest.mark.parametrize('how', [[], ['jumps']])
def test_threads_and_handlers(start, how):
    """Threads unmap what others have mapped, while handlers map and unmap: to the call and to the byte.

    A call is lost if a thread is away with the table while the others make 16384: some 30 ms, and on a busy machine
    that may be, once in forty.  Then what is in use cannot be exact; were it once in three, that none of fifteen runs
    loses no call would be once in ten million."""
    for _ in range(15):
        h = start(['maps_in_threads', *how], CPU_HZ=1000)
        expected = said(h)
        p = h.profile('mmap')
        lost = lost_calls(h)
        # A handler that interrupts another call of its thread at the stack has none of its own.
        nested = sum(int(n) for c in p.comments for n in re.findall(r'^mmap_nested: (\d+)$', c))
        assert p.total('alloc_objects', having=EVICTED) == nested < 0.5 * expected['handles'][2] + 20
        for name, values in expected.items():
            also = nested if name == 'handles' else 0
            calls, space = values_by_handler(p, name)[2:]
            assert (calls + also, space + also * 3 * 4096) == values[2:], name
        if lost == 0:
            break
    assert lost == 0
    for name, values in expected.items():
        assert values_by_handler(p, name)[:2] == values[:2], name
    assert used(p, EVICTED) == (0, 0)
    assert expected['handles'][2] > 10


def test_nothing_differs_for_the_program(start):
    for argv in (['maps_memory'], ['maps_memory', 'vfork']):
        assert run(argv) == run(argv, shim=False)


PYTHON = '''
import mmap, sys
def keeps_maps(): return [mmap.mmap(-1, 8 << 20) for i in range(4)]
def keeps_bytes(): return bytearray(100 << 20)
a, b = keeps_maps(), keeps_bytes()
print('ready', flush=True)
sys.stdin.read()
'''


def test_python(start):
    """Its mmap objects are its own, a large bytearray is malloc's; small objects lie in arenas of pymalloc."""
    h = start(['/usr/bin/python3', '-c', PYTHON])
    h.wait_for_output('ready')
    p = h.profile('mmap')
    assert p.total('inuse_space', having='new_mmap_object') == 32 * MIB or \
        p.total('inuse_space') - p.total('inuse_space', having=LIBC) > 32 * MIB
    assert p.total('inuse_space', having=LIBC) >= 100 * MIB
    assert h.profile('heap').total('inuse_space') > 90 * MIB
    assert_explained(h, p)


# Small objects and large ones, of which every other is given back.
LISTS = '''
import sys
kept = [[str(i * k) for i in range(20000)] for k in range(60)]
large = [bytes(3 << 20) for i in range(40)]
del kept[::2], large[::2]
print('ready', flush=True)
sys.stdin.read()
'''


@pytest.mark.parametrize('allocator', ['', 'libjemalloc.so.2', 'libtcmalloc_minimal.so.4', 'libmimalloc.so.2'])
def test_any_allocator_is_explained(start, allocator):
    """An allocator that maps by mmap and munmap is seen by the doors; libc's own is what no door saw."""
    after = allocator and installed(allocator)
    h = start(['/usr/bin/python3', '-c', LISTS], after=after, env={'PYTHONMALLOC': 'malloc'})
    h.wait_for_output('ready')
    p = h.profile('mmap')
    assert_explained(h, p)
    ours = p.total('inuse_space', having=OURS)
    seen = p.total('inuse_space') - ours - sum(p.total('inuse_space', having=n) for n in (LIBC, BRK, STACK))
    if allocator:
        assert seen > 60 * MIB
    else:
        assert p.total('inuse_space', having=LIBC) + p.total('inuse_space', having=BRK) > 60 * MIB > seen


def test_redis_is_explained(tmp_path):
    """300 MB of values: jemalloc's memory, by its own stacks."""
    r = Redis(1 << 19, str(tmp_path))
    try:
        r.set([16384 - 6] * 18311)
        p = r.host.profile('mmap')
        assert_explained(r.host, p)
        assert sum(s.values['inuse_space'] for s in p.samples if 'libjemalloc' in s.files[0]) > 300e6
    finally:
        r.host.stop()


def test_huge_pages(start):
    """The kernel's own rounding; where it has no huge pages, the paper kernel of hook_mmap_test has said it."""
    how = '/proc/sys/vm/nr_hugepages'
    with open(how) as f:
        were = f.read().strip()
    try:
        with open(how, 'w') as f:
            f.write('8')
        with open(how) as f:
            if int(f.read()) < 8:
                raise OSError('it has no 8 free huge pages')
    except OSError as e:
        pytest.skip('no huge pages here: %s' % e)
    try:
        h = start(['maps_memory', 'huge'])
        expected = said(h)
        assert values_of(h.profile('mmap'), 'maps_huge_pages') == expected['maps_huge_pages'] == (1, 4 * MIB, 2, 6 * MIB)
    finally:
        h.stop()
        with open(how, 'w') as f:
            f.write(were)


def test_cxx_vectors(start):
    """One with an allocator that maps, one in malloc's memory; while they grew, both were mapped often."""
    h = start(['big_vectors'])
    h.wait_for_output('ready 4194304 1048576\n')
    p = h.profile('mmap')
    assert used(p, 'fill_paged') == (1, 8 * MIB)
    assert p.total('alloc_space', having='fill_paged') >= 16 * MIB - 4096
    assert used(p, 'fill_plain') == (0, 0)
    assert 32 * MIB <= p.total('inuse_space', having=LIBC) < 48 * MIB


def test_go_tool_pprof(go, start, tmp_path):  # noqa: F811
    h = start(['maps_memory'])
    expected = said(h)
    text = pprof(go, tmp_path, '-top', '-sample_index=inuse_space', '-focus=maps_whole',
                 h.desk.url('/debug/pprof/mmap'))
    assert 'Type: inuse_space\n' in text
    assert abs(number_of(re.search(r'accounting for ([^,]*),', text)[1]) - expected['maps_whole'][1]) < 0.01 * MIB
    assert bytes_of(text) > 64 * MIB
