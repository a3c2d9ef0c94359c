"""The wall-clock profile beside what each program has measured itself.

Totals are exact: what a thread's time adds up to, and how much of it was on a CPU, the kernel has counted.  Beside the few
milliseconds in which the program and the profile begin and end, nothing is left to chance.  Shares are: of n looks at
independent moments a share p is off by more than six deviations of sqrt(p (1 - p) / n) once in 5e8 times.  The
intervals differ (by a twelfth of a square, and more on a busy machine), looks at threads in a row are not quite
independent: n is halved.  n is what the profile says, "samples"."""
import math
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from walls import between, ticks_of_ours, truth

SECONDS = 6
MS = 1e6


def watch(h, query=''):
    """The profile, and what was so meanwhile."""
    before = truth(h)
    p = h.profile('wall?seconds=%d%s' % (SECONDS, query))
    return p, between(before, truth(h))


def by_label(p, label, value='time'):
    found = {}
    for s in p.samples:
        key = s.labels.get(label)
        found[key] = found.get(key, 0) + s.values[value]
    return found


def off_by(n, share):
    return 6 * math.sqrt(share * (1 - share) / (n / 2))


def assert_share(p, part, whole, said):
    """Of the time in one of the functions `whole` that in `part`."""
    n = sum(p.total('samples', having=f) for f in whole)
    share = p.total('time', having=part) / sum(p.total('time', having=f) for f in whole)
    expected = said['spent', part] / sum(said['spent', f] for f in whole)
    assert n > 50
    assert abs(share - expected) < off_by(n, expected), (part, share, expected, n)


@pytest.fixture(scope='module')
def seen(module_start):
    h = module_start(['wall_shares', 4, 2, 3, 6])
    return watch(h, '&labels=thread,state')


def test_each_thread_counts_as_long_as_it_lives(seen):
    p, said = seen
    threads = by_label(p, 'thread')
    assert len(threads) == 16                       # and main
    for name, ns in threads.items():
        # One that starts to run just then is counted with what it runs before the next look.
        assert abs(ns - p.duration_nanos) < 25 * MS + 0.005 * p.duration_nanos, (name, ns)
    assert p.types == [('samples', 'count'), ('time', 'nanoseconds')]
    assert p.period == 1000000000 // 99


def test_time_on_a_cpu_is_what_the_kernel_has_counted(seen):
    p, said = seen
    on = {}
    for s in p.samples:
        if s.labels.get('state') == 'on-cpu':
            on[s.labels['thread']] = on.get(s.labels['thread'], 0) + s.values['time']
    for name in ('worker-0', 'worker-1', 'napper-0', 'parked-0'):
        cpu = said['cpu', name]
        # At both ends: a burst of nine milliseconds before the first look, and two ticks of it.
        assert abs(on.get(name, 0) - cpu) < 30 * MS + 0.01 * cpu, (name, on.get(name, 0), cpu)


def test_states_are_told_apart(seen):
    p, said = seen
    states = by_label(p, 'state')
    assert set(states) <= {'on-cpu', 'runnable', 'off-cpu'}
    for s in p.samples:
        if 'waits_for_ever' in s.frames or 'read' in s.frames:
            assert s.labels['state'] != 'on-cpu', s.frames
        if s.labels['state'] == 'off-cpu':
            assert not {'burns_much', 'burns_little'} & set(s.frames), s.frames


def test_shares_of_who_sleeps_are_right(seen):
    p, said = seen
    assert_share(p, 'naps_long', ['naps_long', 'naps_short'], said)
    assert_share(p, 'rests', ['rests', 'burns_much', 'burns_little'], said)
    assert abs(p.total('time', having='waits_for_ever') - said['spent', 'waits_for_ever']) < 3 * 25 * MS + \
        0.01 * said['spent', 'waits_for_ever']


def test_a_convoy_waits_for_its_mutex(seen):
    """Six threads, one of which has the mutex."""
    p, said = seen
    assert_share(p, 'stands_in_line', ['stands_in_line', 'holds_it'], said)
    assert p.total('time', having='stands_in_line') > 3 * p.total('time', having='holds_it')


def test_labels_are_off_unless_asked_for(start):
    h = start(['wall_shares'])
    p = h.profile('wall?seconds=1')
    assert all(s.labels == {} for s in p.samples)
    h.desk.error(400, 'invalid value for "labels" - allowed: thread, state', '/debug/pprof/wall?seconds=1&labels=lock')


@pytest.mark.parametrize('hz', ['1', '0'])
def test_it_needs_no_cpu_profile(start, hz):
    """What runs is met all the same, by ticks that a window asks for."""
    h = start(['wall_shares', 0, 2, 0], CPU_HZ=hz)
    p, said = watch(h, '&labels=state')
    burnt = p.total('time', having='burns_much') + p.total('time', having='burns_little')
    assert burnt > 0.8 * sum(said['cpu', 'worker-%d' % i] for i in (0, 1))
    assert p.total('time', having='[running, no stack]') < 0.1 * p.total('time')


def test_a_thousand_threads_cost_no_more_than_they_may(start):
    """A fiftieth of a CPU, and at first a fifth, until all stacks are known."""
    h = start(['wall_shares', 300, 1, 698])
    h.profile('wall?seconds=3')
    before, _ = ticks_of_ours(h)
    p, said = watch(h, '&hz=1000')
    used = (ticks_of_ours(h)[0] - before) / os.sysconf('SC_CLK_TCK')
    # Making the answer is not a part of it, nor are the ends: settled all at once.
    assert used < 0.08 * p.duration_nanos / 1e9, used
    threads = 1000
    assert abs(p.total('time') / (threads * p.duration_nanos) - 1) < 0.02
    assert_share(p, 'naps_long', ['naps_long', 'naps_short'], said)
    assert p.total('time', having='[not looked at]') == 0


def test_clients_share_the_ticks_and_agree(start):
    """Two windows of the same time: at different rates they see the same."""
    h = start(['wall_shares'])
    with ThreadPoolExecutor(2) as pool:
        slow, fast = pool.map(lambda hz: h.profile('wall?seconds=4&hz=%d' % hz), (2, 500))
    assert (slow.period, fast.period) == (500000000, 2000000)
    for p in (slow, fast):
        assert abs(p.total('time') / (10 * p.duration_nanos) - 1) < 0.02
    # The same looks: what differs are the ends, where one was there alone.
    alone = 2 * abs(slow.time_nanos - fast.time_nanos) + abs(slow.duration_nanos - fast.duration_nanos) + 50 * MS
    for f, threads in ('naps_long', 4), ('naps_short', 4), ('rests', 2):
        assert abs(slow.total('time', having=f) - fast.total('time', having=f)) < threads * alone, f
