"""Torture for the heap profile: sixteen threads allocate in every way, resize and free each other's blocks,
end and are born again (torture/heap_threads.c), and count by site and size what they did.

At rate 1 the profile is that, to the object and to the byte; at others it is an estimate without bias; and
at any rate nothing is in use when all is freed.  Five seconds for each rate; `make torture` gives a minute
(TORTURE_SECONDS)."""
import math
import os
import re

import pytest

from hosts import BUILD, Background, eventually

SECONDS = int(os.environ.get('TORTURE_SECONDS', '5'))
HOST = os.path.join(BUILD, 'test', 'torture', 'heap_threads')
VALUES = ('alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space')


class Shadow:
    """What the host says that it did: [(site, size, allocated, live)]."""

    def __init__(self, text):
        self.rows = [(m[0], int(m[1]), int(m[2]), int(m[3])) for m in
                     re.findall(r'truth (\S+) (\d+) (\d+) (\d+)', text)]
        self.bypassed, self.back = map(int, re.search(r'bypassed (\d+), back (\d+)', text).groups())

    def sums(self):
        """{site: [one for each of VALUES]}; where all are sampled, a block of no bytes counts for one."""
        sums = {}
        for site, size, allocated, live in self.rows:
            of = sums.setdefault(site, [0] * 4)
            for i, n in enumerate((allocated, allocated * max(size, 1), live, live * max(size, 1))):
                of[i] += n
        return sums


def losses(p):
    """{reason: how many} of what a profile says was given up for the heap."""
    found = (re.fullmatch(r'(heap_\w+): (\d+)', comment) for comment in p.comments)
    return {m[1]: int(m[2]) for m in found if m}


def torture(start, seconds, rate, how=''):
    """Two pairs of what the host says and Read: when it is quiet, and when it has freed all.  Until then
    each reading passes the linter: nothing shrinks, and no more is freed than was allocated."""
    h = start([HOST, seconds, 4096 if rate == 1 else 16384, how], HEAP_RATE=rate, CPU_HZ=100)
    fetching = Background(lambda: h.profile('heap'), repeat=True)
    eventually('it is quiet', lambda: h.stdout.count('ready\n') == 1, seconds + 60)
    fetching.get()
    pairs = [(Shadow(h.stdout), h.profile('heap'))]
    h.say()
    eventually('it has freed all', lambda: h.stdout.count('ready\n') == 2, 60)
    pairs.append((Shadow(h.stdout.split('ready\n')[1]), h.profile('heap')))
    h.lost = losses(pairs[-1][1])
    h.end_of_input()
    assert h.wait(60) == 0 and 'wrong' not in h.stdout
    return h, pairs


def of_site(p, site):
    return [p.total(v, having=site) for v in VALUES]


@pytest.mark.parametrize('how, parts', [('', 2), ('a', 4), ('b', 4)])
def test_exact_at_rate_1(start, how, parts):
    """Objects and bytes, allocated and in use, of each site.  With the letter b some are freed by
    __libc_free: such a block is in use until its address is given out again, and is then counted."""
    h, pairs = torture(start, max(1, SECONDS // parts), 1, how)
    for shadow, p in pairs:
        sums = shadow.sums()
        assert len(sums) == 11 and min(s[0] for s in sums.values()) > 1000
        wrong = {site: (of_site(p, site), truth) for site, truth in sums.items() if of_site(p, site) != truth}
        assert wrong == {}, h.lost
    shadow = pairs[1][0]
    assert h.lost.pop('heap_stale', 0) == shadow.back and (shadow.back > 1000) == (how == 'b')
    assert h.lost == {}


# --- sampled ---

ODDS = 1e-9     # of one comparison by chance; a test makes 44


class Estimate:
    """The sum of independent draws, as it should be, and how far from it chance may take it.

    Each object is drawn with p = 1 - exp(-size / rate), and then stands for 1 / p: the estimate of n of them
    has variance n (1 - p) / p, and no term is larger than 1 / p.  By Bernstein's inequality it is off by more
    than `allowed` with less than ODDS, whatever the distribution."""

    def __init__(self):
        self.truth, self.got, self.variance, self.largest = 0, 0, 0, 0

    def add(self, n, each, size, rate):
        p = -math.expm1(-size / rate)
        self.truth += n * each
        self.variance += n * each * each * (1 - p) / p
        self.largest = max(self.largest, each / p if n else 0)

    @property
    def allowed(self):
        log = math.log(2 / ODDS)
        part = log * self.largest / 3
        return part + math.sqrt(part * part + 2 * log * self.variance)

    def __repr__(self):
        return 'truth %d, got %+.2f %%, allowed +- %.2f %%' % (
            self.truth, 100 * (self.got / self.truth - 1), 100 * self.allowed / self.truth)


@pytest.mark.parametrize('rate, runs', [(4096, 2), (512 << 10, 6)])
def test_unbiased(start, rate, runs):
    """Over several runs, whose threads draw differently.  A site's object of one byte stands for 500,000
    at the rate of 512 KiB: it is the sum of the bytes that says something.  One of no bytes is not drawn."""
    estimates, weights_are_rounded_by = {}, 2.0 ** -16
    for _ in range(runs):
        h, pairs = torture(start, max(1, SECONDS // runs), rate)
        shadow, p = pairs[0]
        for site, size, allocated, live in (row for row in shadow.rows if row[1] > 0):
            for v, n, each in zip(VALUES, (allocated, allocated, live, live), (1, size, 1, size)):
                for name in (site, 'all'):
                    estimates.setdefault((name, v), Estimate()).add(n, each, size, rate)
        for site in {row[0] for row in shadow.rows}:
            for v, got in zip(VALUES, of_site(p, site)):
                estimates[site, v].got += got
                estimates['all', v].got += got
        # What was sampled was taken out again, each with the weight that it had.
        shadow, p = pairs[1]
        assert [of_site(p, site)[2:] for site in shadow.sums()] == [[0, 0]] * len(shadow.sums())
        assert h.lost == {}
    for (site, v), e in sorted(estimates.items()):
        if site == 'all':
            print('%s at %d: %s' % (v, rate, e))
    assert len(estimates) == 48
    for key, e in estimates.items():
        assert abs(e.got - e.truth) <= e.allowed + weights_are_rounded_by * e.truth + runs * 200, (key, e)
    assert estimates['all', 'alloc_space'].allowed < 0.05 * estimates['all', 'alloc_space'].truth
