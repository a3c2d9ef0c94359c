"""The profile of mapped memory: every byte is somebody's."""
import re
import time

import pytest

from hosts import Background, eventually, run
from test_go_tool import bytes_of, go, pprof, total_of  # noqa: F401

MIB = 1 << 20
BRK, STACK, LIBC, OURS, EVICTED = '[brk in libc]', '[main stack]', '[mmap in libc]', '[pprofshim]', '[evicted]'


def said(h):
    """{function: (objects, bytes)} that the host says are left."""
    h.wait_for_output('ready')
    return {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r'^(\w+) (\d+) (\d+)$', h.stdout, re.M)}


def anonymous(pid):
    """Bytes of anonymous memory that the kernel knows of."""
    total = 0
    with open('/proc/%d/maps' % pid) as f:
        for line in f:
            part = line.split(None, 5)
            path = part[5].strip() if len(part) > 5 else ''
            if path in ('', '[heap]', '[stack]', '/dev/zero (deleted)') or path.startswith('[anon'):
                start, end = part[0].split('-')
                total += int(end, 16) - int(start, 16)
    return total


def used(p, name):
    return p.total('inuse_objects', having=name), p.total('inuse_space', having=name)


def test_each_call_is_its_callers(start):
    """Parts of ranges, ranges over ranges, moved ones, the break; of what failed, nothing."""
    h = start(['maps_memory'])
    expected = said(h)
    assert len(expected) == 14
    p = h.profile('mmap')
    for name, values in expected.items():
        assert used(p, name) == values, name
    # What was allocated is all calls, and what they asked for.
    assert p.total('alloc_objects', having='maps_and_unmaps') == 10
    assert p.total('alloc_space', having='maps_and_unmaps') == 10 * MIB
    assert p.total('alloc_space', having='maps_with_a_hole') == 6 * MIB
    assert p.total('alloc_space', having='grows_it') == 2 * MIB
    assert p.total('alloc_space', having='moves_it') == 12 * MIB
    assert p.total('alloc_space', having='moves_the_break') == 6 * MIB
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
    # While it is made our thread has a few more mappings than before and after.
    assert abs(p.total('inuse_space') - anonymous(h.pid)) < 4 * MIB


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
        assert (sum(int(r[0]) for r in mine), sum(int(r[1]) for r in mine)) == values, name


def test_window(start):
    h = start(['maps_memory'])
    said(h)
    b = Background(lambda: h.profile('mmap?seconds=3'))
    eventually('the window is open', lambda: h.get('/debug/pprof/mmap?debug=1').status == 200)
    time.sleep(1)
    h.say(b'1234')
    p = b.get()
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
        assert used(p, name) == values, name
    assert used(p, EVICTED) == (1, 4 * MIB)
    assert p.comments == ['mmap_nested: 1']


@pytest.mark.parametrize('how', [[], ['jumps']])
def test_threads_and_handlers(start, how):
    """Threads unmap what others have mapped, while handlers map and unmap."""
    h = start(['maps_in_threads', *how], CPU_HZ=1000)
    expected = said(h)
    p = h.profile('mmap')
    index = h.get('/debug/pprof/').text
    # A thread may have been away while the others made 4096 calls.  What was lost is at worst not there.
    lost = int((re.findall(r'mmap_lost (\d+)', index) or [0])[0])
    objects, space = expected['keeps']
    assert 0 <= objects - p.total('inuse_objects', having='keeps') <= lost
    assert 0 <= space - p.total('inuse_space', having='keeps') <= lost * space / objects
    assert lost < 0.2 * p.total('alloc_objects')
    for name in ('passes_on', 'is_left', 'handles'):
        if how == [] or name != 'is_left':
            assert used(p, name) == (0, 0), name
    assert p.total('alloc_objects', having='handles') > 10


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
    p = pprof(go, tmp_path, '-top', '-sample_index=inuse_space', '-focus=maps_whole',
              h.desk.url('/debug/pprof/mmap'))
    assert 'Type: inuse_space\n' in p.stdout
    assert abs(bytes_of(re.search(r'accounting for ([^,]*),', p.stdout)[1]) - expected['maps_whole'][1]) < 0.01 * MIB
    assert bytes_of(total_of(p.stdout)) > 64 * MIB
