"""A host whose stacks are all new, with as little memory as can be: no profile goes blind, nothing grows,
and no total is lost.  What finds no memory counts as [evicted]."""
import math
import re
import time

import pytest

from hosts import eventually

SECONDS = 6             # of CPU time at least
LATE = 0.25             # seconds of CPU time; a tick was 0.14 late where the CPUs were others' most of the time
RATE = 64 << 10
LEAST = '1m'


@pytest.fixture(scope='module')
def churn(module_start):
    return module_start(['stacks_churn', '-s', SECONDS], MEMORY=LEAST, CPU_HZ=1000, HEAP_RATE=RATE)


def rss_kib(h):
    with open('/proc/%d/status' % h.pid) as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))


def anonymous_kib(h):
    with open('/proc/%d/smaps_rollup' % h.pid) as f:
        return int(re.search(r'Anonymous:\s+(\d+)', f.read()).group(1))


def truth(h):
    """It works until it is asked: a slow machine takes long for the profiles before."""
    h.say()
    line = eventually('it has done its work',
                      lambda: re.search(r'truth allocated (\d+) (\d+) live (\d+) (\d+)', h.stdout),
                      patience=300)
    return [int(n) for n in line.groups()]


def test_no_window_is_blind_and_nothing_grows(churn):
    """In each window of a second is all the CPU that the kernel has counted meanwhile: ends cut a
    period of 1 ms each, or what a late tick stands for, and the kernel counts our own thread too; nothing else
    here is random.  Heap totals never fall.  The budget is 1 MiB: what we take beside it (answers, names, stacks
    of our thread) is there from the first profile on.

    One tick in sixty is not in work() or what it calls, and on a busy machine a window may have but forty, some of
    which weigh ten periods and more, hundred and forty at worst: a quarter of all five were two of these among a
    handful, or forty of two hundred."""
    first = churn.profile('heap')
    churn.profile('profile?seconds=1')
    at_first, total = anonymous_kib(churn), first.total('alloc_space')
    evicted = working = everything = 0
    for _ in range(5):
        p, used, outside = churn.profile_and_cpu('profile?seconds=1')
        got = p.total('cpu') / 1e9
        assert 0.92 * used - outside - LATE < got < 1.08 * used + LATE, (got, used, outside)
        everything += p.total('cpu')
        working += p.total('cpu', having='work')
        evicted += p.total('cpu', having='[evicted]')
        now = churn.profile('heap').total('alloc_space')
        assert now >= total
        total = now
    assert working + evicted >= 0.75 * everything
    assert evicted < 0.5 * everything, 'most of it has stacks'
    assert anonymous_kib(churn) - at_first < 1024


def test_a_delta_stays_right_over_an_eviction(churn):
    """A window of the heap is a part of what was allocated between a reading before it and one after
    it: exactly, for these are differences of the same counters, and no site has less than nothing.  The
    two readings take some hundredths of its second, on a busy machine more, and more of them may be before and
    after it than in it: in one of five is a fair part."""
    eventually('there are evictions', lambda: churn.profile('heap').total('alloc_space', having='[evicted]') > 0)
    for _ in range(5):
        before = churn.profile('heap').total('alloc_space')
        began = time.monotonic()
        p = churn.profile('heap?seconds=1')
        between = churn.profile('heap').total('alloc_space') - before
        part = p.duration_nanos / 1e9 / (time.monotonic() - began)
        assert p.total('alloc_space') <= between
        assert all(s.values[name] >= 0 for s in p.samples for name in ('alloc_objects', 'alloc_space'))
        evicted = p.total('alloc_space', having='[evicted]')
        if evicted > 0 and p.total('alloc_space') > 0.3 * part * between:
            break
    assert evicted > 0
    assert p.total('alloc_space') > 0.3 * part * between


def test_the_heap_is_what_the_host_says(churn):
    """Of all that was allocated nothing is missing, though most sites are [evicted]; blocks that are
    left have their own stacks.

    A block of size s counts 1/p with chance p = 1-exp(-s/rate): the variance of the sum of bytes is
    the sum of s^2 (1-p)/p <= s * rate, so at most total * rate.  Six sigma of a normal distribution are
    missed once in 5e8; some 10,000 samples are normal enough."""
    allocated, objects, live, _ = truth(churn)
    p = churn.profile('heap')
    got = p.total('alloc_space')
    assert abs(got - allocated) < 6 * (allocated * RATE) ** 0.5, (got, allocated)
    assert p.total('alloc_space', having='[evicted]') > 0.5 * allocated
    # 4 MiB at a mean of 64 KiB: sampled but for once in exp(64).
    kept = p.total('inuse_space', having='keep_one')
    assert abs(kept - (4 << 20)) < 4096, kept
    assert abs(p.total('inuse_space') - live) < 6 * (live * RATE) ** 0.5 + 6 * RATE
    # As objects each counts 1/p, some rate/s: sizes are even from 16 to 4111, and the mean of 1/s over
    # these is log(4112/16)/4096.  Each site is rounded.
    bound = 6 * (objects * RATE * math.log(4112 / 16) / 4096) ** 0.5 + len(p.samples)
    assert abs(p.total('alloc_objects') - objects) < bound


def test_at_rest_memory_stays_as_it_is(churn):
    truth(churn)
    churn.profile('heap')
    before = rss_kib(churn)
    for _ in range(10):
        churn.profile('heap')
        time.sleep(0.1)
    assert rss_kib(churn) - before < 256
