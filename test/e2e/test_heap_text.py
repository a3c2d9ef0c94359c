"""heap?debug=1 and windows of the heap, of a program whose every block is known."""
import re
import time

import pytest

from hosts import Background
from go_tool import bytes_of, go, pprof  # noqa: F401
from test_heap_age import Ages, values

# In Go's order.
MEMSTATS = '''Alloc TotalAlloc Sys Lookups Mallocs Frees HeapAlloc HeapSys HeapIdle HeapInuse HeapReleased
HeapObjects Stack MSpan MCache BuckHashSys GCSys OtherSys NextGC LastGC PauseNs PauseEnd NumGC NumForcedGC
GCCPUFraction DebugGC MaxRSS'''.split()


@pytest.fixture(scope='module')
def ages(module_start):
    a = Ages(module_start, HEAP_RATE=1)
    began = time.monotonic()
    a.do('early 100 4000')
    a.took = time.monotonic() - began
    a.apart()
    a.do('early 2 4000')
    a.do('late 300 100000')
    return a


def text_of(ages, query=''):
    r = ages.host.get('/debug/pprof/heap?debug=1' + query)
    assert r.status == 200
    return r.text


def memstats(text):
    lines = text.partition('# runtime.MemStats\n')[2].split('\n')
    assert lines.pop() == ''
    return [re.fullmatch(r'# (\w+) = (.*)', line).groups() for line in lines]


def kib(host, key):
    with open('/proc/%d/status' % host.pid) as f:
        return int(re.search(r'^%s:\s+(\d+) kB' % key, f.read(), re.M).group(1)) * 1024


def test_memstats(ages):
    known = memstats(text_of(ages))
    assert [name for name, _ in known] == MEMSTATS
    known = dict(known)
    n = {k: int(v) for k, v in known.items() if v.isdigit()}
    p = ages.host.profile('heap')
    assert n['Alloc'] == n['HeapAlloc'] == n['HeapInuse'] == p.total('inuse_space')
    assert n['TotalAlloc'] == p.total('alloc_space')
    assert n['HeapObjects'] == p.total('inuse_objects') == n['Mallocs'] - n['Frees']
    assert n['HeapSys'] == n['HeapIdle'] + n['HeapInuse'] or n['HeapIdle'] == 0
    # The kernel adds up what it has counted on each processor now and then only.
    for got, want in ((n['Sys'], kib(ages.host, 'VmRSS')), (n['HeapSys'], kib(ages.host, 'RssAnon'))):
        assert want - (4 << 20) <= got <= want + (4 << 20), (got, want)
    assert n['HeapSys'] + n['OtherSys'] == n['Sys']
    assert n['MaxRSS'] > 1 << 20
    assert known['PauseNs'] == known['PauseEnd'] == '[' + ' '.join(['0'] * 256) + ']'
    assert known['DebugGC'] == 'false' and float(known['GCCPUFraction']) == 0
    # What is known of all memory is not of the old blocks alone.
    old = dict(memstats(text_of(ages, '&min_age=100000')))
    assert old['Alloc'] == known['Alloc'] and old['TotalAlloc'] == known['TotalAlloc']


def row(text, function):
    """The age of the row whose innermost frame is this function."""
    for block in re.split(r'\n\n', text):
        lines = block.split('\n')
        if any(re.match(r'#\t0x\w+\t+%s\+0x' % function, line) for line in lines[:4]):
            return [int(x) for x in re.search(r'^# ages: youngest (\d+)s, median (\d+)s, oldest (\d+)s$',
                                              block, re.M).groups()]


def test_ages(ages):
    text = text_of(ages)
    youngest, median, oldest = row(text, 'early')
    # Most are of the first hundred: as old as the oldest, or less by what these took, between whole seconds.
    assert oldest >= median >= oldest - 1 - ages.took and median >= youngest + 3 and youngest >= 0
    ages_of_late = row(text, 'late')
    assert ages_of_late[2] <= youngest + 1
    # Every row that has live blocks says it, right behind its addresses, and no other one.
    for line in re.findall(r'^(\d+): \d+ \[.*\n(.*)', text, re.M):
        assert line[1].startswith('# ages: ') == (line[0] != '0'), line


def test_pprof_reads_the_text(go, ages, tmp_path):
    url = ages.host.desk.url('/debug/pprof/heap')
    text = pprof(go, tmp_path, '-top', url + '?debug=1')
    binary = pprof(go, tmp_path, '-top', url)
    assert 'Type: inuse_space\n' in text
    assert bytes_of(text) == pytest.approx(bytes_of(binary), rel=0.01)
    for name in ('early', 'late'):
        assert re.search(r'\s%s$' % name, text, re.M)
    old = ages.ask(lambda age: pprof(go, tmp_path, '-top', url + '?debug=1&min_age=%d' % age))
    assert re.search(r'\searly$', old, re.M) and not re.search(r'\slate$', old, re.M)


KINDS = ('heap', 'allocs')


def at_once(host, seconds):
    """A Background for each of KINDS."""
    return [Background(lambda kind=kind: host.profile('%s?seconds=%d' % (kind, seconds))) for kind in KINDS]


def in_a_window(start):
    """Profiles of two windows, and the host; again if what was to happen in them was early or late."""
    while True:
        a = Ages(start, HEAP_RATE=1)
        a.do('early 100 1000')
        a.do('other 50 3000')
        windows = at_once(a.host, 3)
        time.sleep(1)
        began = time.time_ns()
        a.do('early 7 1000')
        a.do('late 11 2000')
        a.do('free 130')            # all that was there of early, and 30 of other
        ended = time.time_ns()
        found = [w.get() for w in windows]
        # As Go has it: the time of a delta is that of its end.
        if all(p.time_nanos - p.duration_nanos + 500000000 < began and ended < p.time_nanos for p in found):
            return found, a.host


def test_a_window_has_what_happened_in_it(start):
    """Allocations, frees and what is left of them: exact, when every one is a sample."""
    found, host = in_a_window(start)
    for p in found:
        assert values(p, 'early') == [7, 7000, 7 - 100, 7000 - 100000]
        assert values(p, 'late') == [11, 22000] * 2
        assert values(p, 'other') == [0, 0, -30, -90000]
    # The next one begins with nothing.
    found = [w.get() for w in at_once(host, 1)]
    for p in found:
        assert values(p, 'early') == values(p, 'late') == values(p, 'other') == [0] * 4
    assert [p.default_sample_type for p in found] == ['', 'alloc_space']


def test_gc_is_taken(ages):
    for query in ('gc=1', 'gc=x', 'gc=1&min_age=1', 'gc=1&debug=1'):
        assert ages.host.get('/debug/pprof/heap?' + query).status == 200
