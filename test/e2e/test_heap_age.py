"""heap?min_age=: what has lived so long and is still there.  Exact, because every allocation is sampled.

Two kinds of blocks, one four seconds older than the other, and an age in between: what is asked for
follows from how long the test itself has taken, and is asked again where it took too long."""
import re
import time

import pytest

APART = 4       # seconds


class Ages:
    def __init__(self, start, argv=('holds_on_command',), **how):
        self.host = start(list(argv), **how)
        self.lines = 0
        self.late_since = None

    def do(self, line):
        self.host.say(line.encode() + b'\n')
        self.lines += 1
        self.host.wait_for_output('done\n' * self.lines)

    def apart(self):
        """What is allocated from now on is so much younger than all before."""
        time.sleep(APART)
        self.late_since = time.monotonic()

    def ask(self, get):
        """get(AGE) with an age that all before apart() have reached, and none after."""
        while True:
            age = int(time.monotonic() - self.late_since) + 2
            answer = get(age)
            if time.monotonic() - self.late_since < age:
                return answer


VALUES = ('alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space')


def values(p, having):
    return [p.total(v, having=having) for v in VALUES]


@pytest.fixture(scope='module')
def ages(module_start):
    a = Ages(module_start, HEAP_RATE=1)
    a.do('other 30 64')
    a.do('early 100 1000')
    a.do('early 10 3000')
    a.do('free 30')             # the others
    a.apart()
    a.do('late 5000 2000')
    return a


def test_old_blocks_alone(ages):
    for kind in ('heap', 'allocs'):
        p = ages.ask(lambda age: ages.host.profile('%s?min_age=%d' % (kind, age)))
        assert values(p, 'early') == [110, 130000] * 2
        assert values(p, 'late') == values(p, 'other') == [0] * 4
        assert p.duration_nanos == 0
    p = ages.host.profile('heap')
    assert values(p, 'late') == [5000, 10000000] * 2
    assert values(p, 'other') == [30, 30 * 64, 0, 0]
    # All of it, but what is younger than a second or two.
    p = ages.host.profile('heap?min_age=1')
    assert values(p, 'early') == [110, 130000] * 2
    p = ages.host.profile('heap?min_age=1000000')
    assert p.samples == []


def test_text_of_old_blocks(ages):
    text = ages.ask(lambda age: ages.host.get('/debug/pprof/heap?debug=1&min_age=%d' % age).text)
    assert 'early+0x' in text and 'late+0x' not in text and 'other+0x' not in text
    head = re.match(r'^heap profile: (\d+): (\d+) \[(\d+): (\d+)\] @ heap/2$', text.split('\n')[0])
    objects, space, alloc_objects, alloc_space = map(int, head.groups())
    # libc's own, its buffer of stdout say, is as old.
    assert 110 <= objects == alloc_objects < 130 and 130000 <= space == alloc_space - 1 < 300000


def test_bad_ages(ages):
    for age in ('0', '-1', 'x', '1.5', '5m', '99999999999999999999'):
        for path in ('heap', 'allocs', 'heap?debug=1'):
            ages.host.desk.error(400, 'invalid value for "min_age" - must be a positive integer',
                                 '/debug/pprof/%s%smin_age=%s' % (path, '&' if '?' in path else '?', age))
    ages.host.desk.error(400, 'seconds and min_age params are incompatible',
                         '/debug/pprof/heap?seconds=1&min_age=1')


def test_what_is_freed_is_gone(start):
    """And a block that comes to its address is young."""
    a = Ages(start, HEAP_RATE=1)
    a.do('early 100 1000')
    a.apart()
    a.do('free 40')
    a.do('late 40 1000')
    p = a.ask(lambda age: a.host.profile('heap?min_age=%d' % age))
    assert values(p, 'early') == [60, 60000] * 2
    assert values(p, 'late') == [0] * 4
    p = a.host.profile('heap')
    assert values(p, 'early') == [100, 100000, 60, 60000]
    assert values(p, 'late') == [40, 40000] * 2
