"""The checks of the wire contract, asked of a host of ours and of Go's own server: the text forms."""
import math
import re

import pytest

from conformance import desk  # noqa: F401
from hosts import eventually

ROW = r'^\d+ @( 0x[0-9a-f]+)+$'


def text_of(desk, path):
    r = desk.get('/debug/pprof/' + path)
    assert r.status == 200
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert 'content-disposition' not in r.headers
    return r.text


def numbers(line):
    return [int(x) for x in re.findall(r'\d+', line.split('@')[0])]


@pytest.mark.check(10)
@pytest.mark.parametrize('name', ['heap', 'allocs'])
def test_heap(server, desk, name):
    binary = desk.profile('heap')
    lines = text_of(desk, name + '?debug=1').split('\n')
    head = re.match(r'^heap profile: (\d+): (\d+) \[(\d+): (\d+)\] @ heap/(\d+)$', lines[0])
    assert head, lines[0]
    inuse, inuse_bytes, alloc, alloc_bytes, rate = map(int, head.groups())
    assert rate == 2 * binary.period
    assert alloc_bytes != inuse_bytes       # else readers take it for the older form
    sums = [0, 0, 0, 0]
    for line in lines[1:]:
        if re.match(r'^\d+: \d+ \[\d+: \d+\] @( 0x[0-9a-f]+)+$', line):
            row = numbers(line)
            assert (row[0] == 0) == (row[1] == 0) and (row[2] == 0) == (row[3] == 0), line
            sums = [a + b for a, b in zip(sums, row)]
        else:
            assert line == '' or line.startswith('#'), line
    assert sums[:3] == [inuse, inuse_bytes, alloc]
    assert sums[3] in (alloc_bytes, alloc_bytes - 1)
    assert '# runtime.MemStats' in lines
    assert any(re.match(r'^# MaxRSS = \d+$', line) for line in lines)
    assert any(re.match(r'^#\t0x[0-9a-f]+\t+%s\+0x[0-9a-f]+\t+.+:\d+$' % re.escape(server.name('keep_one')),
                        line) for line in lines)


@pytest.mark.check(10)
def test_heap_of_which_nothing_was_freed(server):
    """Both sums would be the same, which is the mark of the older form.

    In one of a hundred processes a block was sampled all the same, and freed: not in four at once."""
    def sums():
        idle = server.another(1 << 30)
        try:
            return numbers(text_of(idle.desk, 'heap?debug=1').split('\n')[0])
        finally:
            idle.stop()
    assert any(alloc == inuse + 1 for _, inuse, _, alloc in (sums() for _ in range(4)))


@pytest.mark.check(11)
def test_heap_text_stands_for_what_the_binary_says(server, desk):
    """The text has what was sampled; its reader scales each row by the mean size of its objects."""
    rate = desk.profile('heap').period
    sums = {'keep_one': [0, 0], 'drop_blocks': [0, 0]}
    row = None
    for line in text_of(desk, 'heap?debug=1').split('\n'):
        if '@' in line and not line.startswith(('#', 'heap profile')):
            row = numbers(line)
        for name in sums:
            if re.search(r'\t%s\+0x' % re.escape(server.name(name)), line):
                scale = [b / (1 - math.exp(-b / n / rate)) if n else 0 for n, b in (row[:2], row[2:])]
                sums[name] = [a + b for a, b in zip(sums[name], scale)]
    for name, (inuse, alloc) in sums.items():
        found = server.samples('heap', name)
        assert sum(s.values['inuse_space'] for s in found) == pytest.approx(inuse, rel=0.01)
        assert sum(s.values['alloc_space'] for s in found) == pytest.approx(alloc, rel=0.01)
        assert alloc > 0


@pytest.mark.check(13)
@pytest.mark.parametrize('name, first', [('block', '--- contention:'), ('mutex', '--- mutex:')])
def test_block_and_mutex(server, desk, name, first):
    before = desk.profile(name).total('delay')
    lines = text_of(desk, name + '?debug=1').split('\n')
    assert lines[0] == first
    assert re.match(r'^cycles/second=\d+$', lines[1])
    assert name == 'block' or re.match(r'^sampling period=\d+$', lines[2])
    rows = [line for line in lines if re.match(r'^\d+ \d+ @( 0x[0-9a-f]+)+$', line)]
    cycles = [numbers(row)[0] for row in rows]
    assert cycles and cycles == sorted(cycles, reverse=True)
    for line in lines[2 if name == 'block' else 3:]:
        assert line == '' or line.startswith('#\t') or line in rows, line
    delay = sum(cycles) / int(lines[1].split('=')[1]) * 1e9
    assert server.waited.least * 0.97 < before * 0.99 < delay < desk.profile(name).total('delay') * 1.01


@pytest.mark.check(14)
@pytest.mark.parametrize('name', ['goroutine', 'threadcreate'])
def test_counts(desk, name):
    head, _, rest = text_of(desk, name + '?debug=1').partition('\n')
    total = re.match(r'^%s profile: total (\d+)$' % name, head)
    assert total, head
    counts = []
    for line in rest.split('\n'):
        if re.match(ROW, line):
            counts.append(numbers(line)[0])
        else:
            assert line == '' or re.match(
                r'^(#\t0x[0-9a-f]+(\t+\S.*\+0x[0-9a-f]+\t+.+:\d+)?|# labels: \{.+\})$', line), line
    assert sum(counts) == int(total.group(1))
    assert counts == sorted(counts, reverse=True)


def dump_of(desk):
    return text_of(desk, 'goroutine?debug=2').rstrip('\n').split('\n\n')


@pytest.mark.check(15)
def test_dump(server, desk):
    blocks = dump_of(desk)
    assert re.match(r'^goroutine \d+ \[running\]:\n', blocks[0] + '\n')
    for block in blocks:
        head, *lines = block.split('\n')
        assert re.match(r'^goroutine \d+ \[[^\]]+\]( \{.*\})?:$', head), head
        assert lines and len(lines) % 2 == 0, block
        for function, where in zip(lines[::2], lines[1::2]):
            assert re.match(r'^(\S.*\(.*\)|created by .+ in goroutine \d+)$', function), function
            assert re.match(r'^\t.+:\d+( \+0x[0-9a-f]+)?$', where), where
    assert any('%s(' % server.name('waits_for_ever') in b for b in blocks)
    # Of a busy Go server who served a former request may be there yet.
    eventually('there are as many', lambda: abs(len(dump_of(desk)) - int(re.search(
        r'total (\d+)', text_of(desk, 'goroutine?debug=1')).group(1))) <= 1)
