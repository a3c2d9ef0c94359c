"""The label bytes: how large the objects of a sample are."""
import re

from go_tool import go, pprof  # noqa: F401
from test_heap_age import Ages


def by_size(p, having):
    return {s.labels['bytes']: (s.values['inuse_objects'], s.values['inuse_space'])
            for s in p.samples if having in s.frames}


def test_sizes_of_a_stack(start):
    """Four are exact; of the others those of a class are together, and it says its largest size."""
    a = Ages(start, HEAP_RATE=1)
    for count, size in ((10, 1000), (3, 17), (5, 100000), (2, 1), (4, 1001), (6, 1020), (7, 3000),
                        (1, 1000)):
        a.do('early %d %d' % (count, size))
    a.do('late 3 1001')
    p = a.host.profile('heap')
    assert by_size(p, 'early') == {
        1000: (11, 11000), 17: (3, 51), 100000: (5, 500000), 1: (2, 2),
        1024: (10, 4 * 1001 + 6 * 1020), 3072: (7, 21000)}
    assert by_size(p, 'late') == {1001: (3, 3003)}
    # All of them have one; and a thread's name does not take its place.
    assert [s for s in p.samples if 'bytes' not in s.labels] == []
    p = a.host.profile('heap?labels=thread')
    assert {'thread', 'bytes'} <= set(p.samples[0].labels)
    assert by_size(p, 'late') == {1001: (3, 3003)}


def test_many_sizes_are_few_samples(start):
    a = Ages(start, HEAP_RATE=1)
    for size in range(1, 2000):
        a.host.say(b'early 1 %d\n' % size)
    a.lines = 1999
    a.do('early 1 2000')
    p = a.host.profile('heap')
    sizes = by_size(p, 'early')
    # Up to 2048, four classes to the doubling from 16 on.
    assert 4 < len(sizes) <= 4 + 1 + 4 * 7
    assert sum(n for n, _ in sizes.values()) == 2000
    assert sum(n for _, n in sizes.values()) == 2000 * 2001 // 2


def test_pprof_shows_them(go, start, tmp_path):
    a = Ages(start, HEAP_RATE=1)
    a.do('early 10 2048')
    a.do('early 20 8192')
    text = pprof(go, tmp_path, '-tags', '-sample_index=inuse_objects', a.host.desk.url('/debug/pprof/heap'))
    assert re.search(r'bytes: Total', text), text
    assert re.search(r'^ *20 \([ \d.]+%\): 8kB$', text, re.M), text
    assert re.search(r'^ *10 \([ \d.]+%\): 2kB$', text, re.M), text
