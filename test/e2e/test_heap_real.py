"""Real programs, whose heap is known: beside the profile stands what python says of its lists, and redis and
jemalloc of theirs."""
import math
import re

import pytest

from redis_memory import Redis, phases

PYTHON = '/usr/bin/python3'

# A list's items are a block of their own: sys.getsizeof(l) - sys.getsizeof([]), whatever it has in reserve.
LISTS = '''
import sys
def repeated(n):
    return [None] * n
def converted(n):
    return list(bytes(n))
def appended(n):
    l = []
    for i in range(n):
        l.append(None)
    return l
def truth(lists):
    print('truth', len(lists), *(sys.getsizeof(l) - sys.getsizeof([]) for l in lists))
def a_hundred(n):
    return [[None] * n for _ in range(100)]
big = [by(1200000 + 70000 * i) for by in (repeated, converted, appended) for i in range(4)]
gone = [repeated(1500000) for _ in range(10)]
truth(big)
small = a_hundred(3000)
truth(small)
del gone
print('ready', flush=True)
sys.stdin.read()
'''

# With PYTHONMALLOC=malloc each object is a block.
STRINGS = '''
import sys
strings = ['x' * (1 + i % 300) + str(i) for i in range(40000)]
print('truth', len(strings), sum(map(sys.getsizeof, strings)))
print('ready', flush=True)
sys.stdin.read()
'''


def started(start, code, **how):
    h = start([PYTHON, '-c', code], **how)
    h.wait_for_output('ready')
    return h, [[int(x) for x in m[1].split()] for m in re.finditer(r'truth (.*)', h.stdout)]


def live(p, condition):
    """(objects, bytes) in use."""
    some = [s for s in p.samples if s.values['inuse_objects'] and condition(s)]
    return sum(s.values['inuse_objects'] for s in some), sum(s.values['inuse_space'] for s in some)


def is_of_python(s):
    return 'python3' in s.files[0] and '_PyEval_EvalFrameDefault' in s.frames and 'Py_BytesMain' in s.frames


@pytest.mark.parametrize('rate', [1, 524288])
def test_lists_of_python(start, rate):
    """A list of 9.6 MB is missed once in e^18 times, and weighs too much by as little: twelve of them are seen in
    all but one of 20 million runs.  They are told from others by the size of an object, for sums have no bound: a
    hundred of 24 KB are 4.5 samples on average, and now and then eight, of which each stands for half a megabyte.
    Those are looked at when all are sampled."""
    h, ((count, *big), (_, *small)) = started(start, LISTS, HEAP_RATE=rate)
    p = h.profile('heap')
    found = [s for s in p.samples if s.values['inuse_objects'] and s.labels['bytes'] > 4 << 20]
    objects, space = live(p, lambda s: s in found)
    assert objects == count and abs(space - sum(big)) <= sum(big) * 1e-6 + count
    # The first four sizes of a stack are exact, others have classes.
    assert len({s.labels['bytes'] for s in found} & set(big)) >= 4
    assert all(1 <= s.labels['bytes'] * s.values['inuse_objects'] / s.values['inuse_space'] < 1.25 for s in found)
    # Its own functions are on top: which, a distribution's python says of those that it exports.
    assert all(is_of_python(s) for s in found)
    assert {s.frames[0] for s in found} >= {'PyMem_Malloc'} and len({tuple(s.frames) for s in found}) >= 3
    # Those that are gone were there.
    assert p.total('alloc_space') - p.total('inuse_space') > 10 * 12000000 * 0.999
    if rate == 1:
        stacks = {tuple(s.frames) for s in found}
        assert live(p, lambda s: tuple(s.frames) in stacks and
                    small[0] <= s.labels['bytes'] < small[0] * 1.25) == (len(small), sum(small))


@pytest.mark.parametrize('rate', [1, 512])
def test_strings_of_python(start, rate):
    """By sys.getsizeof to the byte, where all are sampled; else within six standard deviations: one in 500
    million runs is not."""
    h, ((count, size),) = started(start, STRINGS, HEAP_RATE=rate, env={'PYTHONMALLOC': 'malloc'})
    p = h.profile('heap')
    objects, space = live(p, lambda s: s.frames[0] == 'PyUnicode_Concat' and 'PyRun_SimpleStringFlags' in s.frames)
    if rate == 1:
        assert (objects, space) == (count, size)
    # Draws with p = 1 - exp(-size / rate) that stand for size / p each: less than the sum of size * rate.
    deviation = math.sqrt(size * rate)
    assert 6 * deviation < 0.05 * size and abs(space - size) < 6 * deviation
    assert not [c for c in p.comments if c.startswith('heap_')]


# --- redis ---

def test_redis_and_its_allocator(tmp_path):
    """A sum of more than ten thousand draws is normal; 3 % are six of its standard deviations or more: not within
    them is one run in 500 million.  The large form: make soak-redis."""
    redis = Redis(4096, str(tmp_path))
    try:
        for name, f in phases(redis, 100):
            print('%s: %r' % (name, f))
            assert f.lost == [], name
            assert 6 * f.deviation < 0.03 * f.used and abs(f.given / f.used - 1) < 0.03, name
            # Values that fill their blocks need no classes.
            assert name != 'filling' or abs(f.asked / f.used - 1) < 0.03
            # Nothing that jemalloc maps passes us by, and what is resident is explained.
            assert f.used <= f.info['allocator_active'] <= f.info['allocator_resident'] <= f.mapped, name
            assert abs(f.resident - f.info['allocator_resident']) < 32 << 20, name
    finally:
        redis.stop()
