"""Statistics.  Each bound says how often it is missed by chance: at most once in ten million runs."""
import math
import os
import re

import pytest

from hosts import eventually, program
from undisturbed import at_least, at_most, undisturbed

ODDS = 1e-8     # of one comparison; a test here makes some ten


def binomial_bounds(n, p, odds):
    """lo, hi: a count of n independent draws of chance p falls outside [lo, hi] with less than odds on
    either side.  Exact: sums of the binomial distribution, no normal approximation."""
    def log_chance(k):
        return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) +
                k * math.log(p) + (n - k) * math.log1p(-p))
    lo, below = 0, 0.0
    while lo < n:
        below += math.exp(log_chance(lo))
        if below > odds:
            break
        lo += 1
    hi, above = n, 0.0
    while hi > 0:
        above += math.exp(log_chance(hi))
        if above > odds:
            break
        hi -= 1
    return lo, hi


def test_the_bounds_themselves():
    lo, hi = binomial_bounds(1000, 0.5, ODDS)
    sigma = math.sqrt(250)
    assert 5 < (500 - lo) / sigma < 6 and 5 < (hi - 500) / sigma < 6
    lo, hi = binomial_bounds(500, 0.01, ODDS)
    assert lo == 0 and 17 < hi < 24


# --- CPU ---

SPLIT = {'leaf_70': 0.70, 'leaf_20': 0.20, 'leaf_06': 0.06, 'leaf_03': 0.03, 'leaf_01': 0.01}


def assert_within(lo, got, hi):
    at_least(got, lo)
    at_most(got, hi)


@pytest.mark.parametrize('hz', [100, 250])
@undisturbed
def test_cpu_split(start, hz):
    """Five functions take 70, 20, 6, 3 and 1 % in random order.  A sample is a draw from them; what the
    window itself holds differs from the shares by far less (some 30,000 slices a second against
    100 to 250 samples).  A late tick carries its overruns as weight: to allow for it, only half of
    the samples are taken as independent.  Where every tick is five, that is too little: one run in
    200 is outside then, and three in a row are one in ten million."""
    h = start(['spin_split', 0], CPU_HZ=hz)
    got, total, everywhere = dict.fromkeys(SPLIT, 0), 0, 0
    # A busy machine gives it little.
    for _ in range(12):
        p = h.profile('profile?seconds=5')
        total += p.total('samples', having='main')
        everywhere += p.total('samples')
        for leaf in SPLIT:
            got[leaf] += p.total('samples', having=leaf)
        if total > 3 * hz:
            break
    assert total > 40
    n = total // 2
    for leaf, truth in SPLIT.items():
        lo, hi = binomial_bounds(n, truth, ODDS)
        print(leaf, got, lo / n, hi / n, n)
        assert_within(lo / n, got[leaf] / total, hi / n)
    assert everywhere - total <= 0.02 * total + 2, 'all of it is under main'


@undisturbed
def test_cpu_total(start):
    """A profile's CPU time is what the kernel has counted for the process in the same time.

    Either end of the window cuts one period, and the kernel counts our own thread too (its answer to
    the request takes milliseconds); nothing here is random."""
    h = start(['spin_split', 0])

    p, used, outside = h.profile_and_cpu('profile?seconds=4')
    got = p.total('cpu') / 1e9
    assert_within(0.97 * used - outside - 0.15, got, 1.03 * used + 0.15)


def threads_of(h):
    """Those that it has made, in this order; without ours."""
    tids = [int(t) for t in os.listdir('/proc/%d/task' % h.pid)]
    return [t for t in tids if t != h.pid and open('/proc/%d/task/%d/comm' % (h.pid, t)).read() != 'pprofshim\n']


def cpu_of_threads(h, tids):
    """Seconds of CPU time each, as the kernel has counted."""
    return [int(open('/proc/%d/task/%d/schedstat' % (h.pid, t)).read().split()[0]) / 1e9 for t in tids]


@undisturbed
def test_cpu_of_threads(start):
    """Four threads at 100, 50, 25 and 10 % of a processor: each counted on its own clock."""
    names = ['thread_100', 'thread_050', 'thread_025', 'thread_010']
    h = start([program('cpu_deep'), '-m', 'threads', '-s', '600'])
    tids = eventually('its threads', lambda: len(threads_of(h)) == 4 and threads_of(h))
    got, used = dict.fromkeys(names, 0), [0] * 4
    # A busy machine gives it little.
    for _ in range(12):
        before = cpu_of_threads(h, tids)
        p = h.profile('profile?seconds=5')
        used = [u + now - then for u, now, then in zip(used, cpu_of_threads(h, tids), before)]
        for name in names:
            got[name] += p.total('samples', having=name)
        total = sum(got.values())
        if total > 300:
            break
    assert total > 40
    # A thread's share of the samples varies as its number of ticks does: less than a binomial.  What
    # they use between the readings and the window differs by some percent.
    for name, of_it in zip(names, used):
        share = of_it / sum(used)
        lo, hi = binomial_bounds(total // 2, share, ODDS)
        print(name, got[name] / total, share, total)
        assert_within(lo / (total // 2) - 0.04, got[name] / total, hi / (total // 2) + 0.04)


# --- heap ---

def truth_of(h):
    h.wait_for_output('ready')
    return [(name, int(size), int(live), int(allocated)) for name, size, live, allocated in
            re.findall(r'truth (\S+) (\d+) (\d+) (\d+)', h.stdout)]


def tolerance(n, size, rate):
    """Six sigma of the estimate of n objects of a size sampled at a rate.

    Each object is sampled with chance p = 1 - exp(-size/rate) and then counts 1/p: the estimate of n
    has variance n (1-p)/p.  Six sigma of a normal distribution are missed once in 5e8; with few
    expected samples (n p) the distribution has a longer tail, for which five samples more are allowed.
    Nothing is rounded off here: two counts are."""
    p = -math.expm1(-size / rate)
    return 6 * math.sqrt(n * (1 - p) / p) + (5 / p if p < 0.999 else 0) + 2


@pytest.mark.parametrize('rate', ['16k', '512k'])
def test_heap_by_sampling(start, rate):
    h = start(['hold_heap'], HEAP_RATE=rate)
    truth = truth_of(h)
    p_heap, p_allocs = h.profile('heap'), h.profile('allocs')
    bytes_rate = int(rate[:-1]) << 10
    assert p_heap.period == bytes_rate
    for name, size, live, allocated in truth:
        for p, kind, n in ((p_heap, 'inuse', live), (p_allocs, 'alloc', allocated)):
            objects = p.total(kind + '_objects', having=name)
            space = p.total(kind + '_space', having=name)
            if n == 0:
                assert (objects, space) == (0, 0), (name, kind)
                continue
            allowed = tolerance(n, size, bytes_rate)
            assert abs(objects - n) <= allowed, (name, kind, objects, n, allowed)
            assert abs(space - n * size) <= allowed * size, (name, kind, space, n * size)


def test_heap_exactly(start):
    """At rate 1 every allocation is a sample."""
    h = start(['hold_heap', 100], HEAP_RATE=1)
    truth = truth_of(h)
    p = h.profile('heap')
    assert p.period == 1
    for name, size, live, allocated in truth:
        got = [p.total(v, having=name) for v in ('alloc_objects', 'alloc_space', 'inuse_objects',
                                                 'inuse_space')]
        assert got == [allocated, allocated * size, live, live * size], name


def test_heap_text_agrees_with_the_binary(start):
    """The text is not scaled, its reader does that: with the same formula it comes to the same."""
    h = start(['hold_heap'], HEAP_RATE='16k')
    truth_of(h)
    p = h.profile('heap')
    sums = [0.0] * 4
    for row in re.findall(r'^(\d+): (\d+) \[(\d+): (\d+)\] @', h.get('/debug/pprof/heap?debug=1').text,
                          re.M):
        for i in (0, 2):
            objects, space = int(row[i]), int(row[i + 1])
            if objects:
                scale = 1 / -math.expm1(-(space / objects) / 16384)
                sums[i] += objects * scale
                sums[i + 1] += space * scale
    for got, value in zip(sums, ('inuse_objects', 'inuse_space', 'alloc_objects', 'alloc_space')):
        assert abs(got - p.total(value)) <= 0.01 * p.total(value) + 100, value


def test_doors_all_count(start):
    """Each way to get memory is seen, once: calloc, realloc, memalign and their like."""
    code = '''
import ctypes
libc = ctypes.CDLL(None)
P, S = ctypes.c_void_p, ctypes.c_size_t
def f(name, *types):
    g = getattr(libc, name)
    g.restype, g.argtypes = P, types
    return g
n = 50 << 20
kept = [f('malloc', S)(n + 4096), f('calloc', S, S)(2, n // 2 + 4096), f('reallocarray', P, S, S)(None, 3, n // 3 + 4096),
        f('memalign', S, S)(64, n + 4 * 4096), f('aligned_alloc', S, S)(64, n + 5 * 4096),
        f('valloc', S)(n + 6 * 4096), f('pvalloc', S)(n + 7 * 4096)]
out = P()
libc.posix_memalign(ctypes.byref(out), S(64), S(n + 8 * 4096))
grown = f('realloc', P, S)(f('malloc', S)(1000), n + 9 * 4096)
print('ready', flush=True)
input()
'''
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')
    p = h.profile('heap')
    big = [s for s in p.samples if s.values['inuse_space'] > 40 << 20]
    assert sum(s.values['inuse_objects'] for s in big) == 9
    assert abs(sum(s.values['inuse_space'] for s in big) - 9 * (50 << 20)) < 1 << 20
