"""What the CPU profile counts, beside what each thread says of itself by its own clock: threads of every
origin, of unequal load, and of a moment's life; on a machine that is free, and on a busy one."""
import math
import os
import re
import subprocess
import sys
import time
from typing import NamedTuple

import pytest

from hosts import TOP, eventually
from profile_message import Read, decode

CC = os.environ.get('CC', 'cc')
LEAVES = ('leaf_60', 'leaf_30', 'leaf_10')
PERIOD = 0.01


@pytest.fixture
def load(request):
    """Twice as many busy processes as there are processors."""
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
            for _ in range(2 * os.cpu_count() if request.param else 0)]
    yield request.param
    for p in busy:
        p.kill()
        p.wait()


class Window:
    """A CPU profile from now on: the desk answers in the order in which it was asked."""

    def __init__(self, h, seconds):
        self.end = time.monotonic() + seconds
        self.desk, self.path, self.began = h.desk, '/debug/pprof/profile?seconds=%d' % seconds, time.monotonic()
        self.c = h.desk.connection(seconds + 60)
        self.c.request('GET', self.path)
        assert h.get('/debug/pprof/cmdline').status == 200

    def read(self):
        r = self.desk.answer(self.c, 'GET', self.path, self.began)
        assert r.status == 200
        return Read(decode(r.body))


class Truth(NamedTuple):
    """Of a thread: CPU time, slices of each leaf, and of the lumps in which the kernel noticed its periods the
    sum, and the sum of their squares."""
    seconds: float
    leaf_60: int
    leaf_30: int
    leaf_10: int
    periods: int
    squares: int

    def slices(self):
        return self.leaf_60, self.leaf_30, self.leaf_10

    def since(self, before):
        return Truth(*(a - b for a, b in zip(self, before)))


def truth(h):
    """{function that a thread began with: Truth since the start}"""
    return {m[1]: Truth(float(m[2]), *map(int, m[3].split()))
            for m in re.finditer(r'truth (\S+) ([\d.]+) (.*)\n', h.stdout)}


class Workers:
    """unequal_threads: they wait without using the CPU, until they are told to work."""

    def __init__(self, start):
        self.h, self.rounds, self.slow = start(['unequal_threads']), 0, 3.5
        self.h.wait_for_output('ready')

    def work(self, factor):
        """{thread: Truth} of a round, and a profile of a window that has all of it."""
        while True:
            before, w = truth(self.h), Window(self.h, math.ceil(self.slow * factor))
            self.rounds += 1
            began = time.monotonic()
            self.h.say(b'%g\n' % factor)
            self.h.wait_for_output('round %d\n' % self.rounds)
            now = time.monotonic()
            p = w.read()
            self.slow = max(self.slow, 1.4 * (now - began) / factor)    # a busy machine
            if now < w.end:
                break
        return {name: t.since(before.get(name, Truth(0, 0, 0, 0, 0, 0))) for name, t in truth(self.h).items()}, p

    def work_until_all_are_met(self):
        """One that came without a door gets its timer when our thread has come by twice, as it does to count
        threads."""
        def all_met():
            assert self.h.get('/debug/pprof/threadcreate').status == 200
            used, p = self.work(0.2)
            return all(p.total('samples', having=name) for name in used)
        eventually('samples of every thread', all_met)

    def most(self):
        """So much that a round takes a dozen seconds at most."""
        return min(1, 12 / self.slow)


def chance(p, used):
    """That an unbiased sampler is off by as much or more: chi-square over all threads and functions.  The
    functions are drawn at random every 30 us, so what is noticed of one thread in moments 10 ms apart are
    independent draws; how many a thread has is no matter of chance, so two of its three are free.  For an even
    number of those the distribution is a sum.  Where the kernel noticed several periods at once these are one
    draw: the sum of the lumps' squares over the sum of the lumps is by how much more it varies."""
    x, free = 0, 0
    for name, t in used.items():
        got = [sum(s.values['samples'] for s in p.samples if name in s.frames and leaf in s.frames)
               for leaf in LEAVES]
        if sum(got) == 0:
            continue            # on a busy machine a round may be too short for any
        expected = [sum(got) * n / sum(t.slices()) for n in t.slices()]
        x += sum((g - e) ** 2 / e for g, e in zip(got, expected)) * t.periods / t.squares
        free += 2
    return math.exp(-x / 2) * sum((x / 2) ** k / math.factorial(k) for k in range(free // 2))


def test_the_distribution_itself():
    class Sample:
        def __init__(self, leaf, n):
            self.frames, self.values = ['as', leaf], {'samples': n}

    class Profile:
        def __init__(self, *n):
            self.samples = [Sample(*s) for s in zip(LEAVES, n)]
    used = {'as': Truth(1, 600, 300, 100, 100, 100)}
    assert chance(Profile(60, 30, 10), used) == 1
    assert abs(chance(Profile(70, 25, 5), used) - math.exp(-(100 / 60 + 25 / 30 + 25 / 10) / 2)) < 1e-9
    assert chance(Profile(60, 10, 30), used) < 1e-10
    assert chance(Profile(60, 30, 10), {**used, 'another': Truth(0.001, 20, 10, 3, 1, 1)}) == 1
    # In lumps of 5 it is as if there were a fifth of them.
    lumps = {'as': Truth(1, 600, 300, 100, 100, 500)}
    assert abs(chance(Profile(70, 25, 5), lumps) - math.exp(-(100 / 60 + 25 / 30 + 25 / 10) / 10)) < 1e-9


@pytest.mark.parametrize('load', [False, True], indirect=True)
def test_threads_of_unequal_load_and_every_origin(start, load):
    """By thread: nothing is random.  A thread's samples are the periods that were over in its time, and a round
    ends when the kernel has just looked for them, so at either end less than one is missing.

    By function: once in a thousand an attempt fails by chance, so all three do once in 10^9."""
    w = Workers(start)
    w.work_until_all_are_met()
    seen = []
    for _ in range(3):
        used, p = w.work(w.most())
        off = {name: p.total('cpu', having=name) / 1e9 - t.seconds for name, t in used.items()}
        total, samples = sum(t.seconds for t in used.values()), sum(p.total('samples', having=name) for name in used)
        seen.append((max(map(abs, off.values())) < 2 * PERIOD,
                     abs(samples - total / PERIOD) <= 0.02 * total / PERIOD + 3, chance(p, used)))
        print(*seen[-1], off, used, sep='\n')
        if seen[-1][0] and seen[-1][1] and seen[-1][2] > 1e-3:
            return
    print(w.h.get('/metrics').body.decode())
    assert False, seen


@pytest.mark.parametrize('us', [300, 1000, 3000, 10000])
@pytest.mark.parametrize('load', [False, True], indirect=True)
def test_threads_that_live_for_a_moment(start, load, us):
    """Most of them end before the kernel looks at their timers.  What each counts is its time in periods,
    rounded up or down at random: the sum of n is off by sqrt(n) / 2 at most (standard deviation),
    and by six of these once in 10^9."""
    h = start(['short_threads', us], CPU_HZ=1000)
    expected, got, spread, slack = 0, 0, 0, 0
    for _ in range(10):
        p, used, outside = h.profile_and_cpu('profile?seconds=1')
        got += p.total('cpu') / 1e9
        expected += used
        slack += outside
        spread = 3 * math.sqrt(got / us * 1e6) * 1e-3
        if spread < 0.1 * expected:
            break
    # Our own thread is in what the kernel counts, and the creation of a thread in libc before its first step.
    assert 0.90 * expected - spread - slack < got < 1.02 * expected + spread, (got, expected, slack)
    assert p.total('cpu', having='short_life') > 0.6 * p.total('cpu')
    # Their stacks are those of threads.
    for s in p.samples:
        if s.frames[0] == 'short_life':
            assert len(s.frames) > 1, s.frames


@pytest.mark.parametrize('hz', [100, 1000])
def test_a_thread_that_blocks_sigprof_for_moments(start, hz):
    """Each 0.3 ms its timer stands still, mostly before the kernel has looked at it.  What that has missed goes
    to the next tick, which comes after 4 ms of 0.3 each, or 40 times as much once in 10^17.  As a period of
    random phase begins anew each time, n samples are off by sqrt(n); six of these are seen once in 10^9."""
    h = start(['blocks_for_moments', 300], CPU_HZ=hz)
    p, used, outside = h.profile_and_cpu('profile?seconds=4')
    got, spread = p.total('cpu') / 1e9, 6 * math.sqrt(used / hz)
    assert 0.9 * used - outside - 0.16 - spread < got < 1.02 * used + 0.16 + spread, (got, used, outside)


def test_a_thread_that_was_there_before_us(start, tmp_path):
    library = str(tmp_path / 'spins_early.so')
    subprocess.run([CC, '-O1', '-g', '-fPIC', '-fno-omit-frame-pointer', '-shared', '-pthread', '-o', library,
                    os.path.join(TOP, 'test', 'host', 'library', 'spins_early.c')], check=True)
    h = start(['sleep', '600'], after=library)
    eventually('its samples', lambda: h.profile('profile?seconds=1').total('samples', having='spin_early'))
    p, used, outside = h.profile_and_cpu('profile?seconds=3')
    got = p.total('cpu', having='spin_early') / 1e9
    assert 0.9 * used - outside - 0.1 < got < 1.02 * used + 0.05
