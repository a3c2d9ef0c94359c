"""Dumps and wall clock profiles as fast as they can be asked for: no thread notices, and no sample is
lost, gained or moved.

looks_waits has 50 threads in each of 17 calls that wait, and some that compute and wait by turns; it
counts what a signal would do to them.  TORTURE_SECONDS, as `make torture` sets it, is for how long."""
import os
import threading
import time

import pytest

from dumps import Dump, dump_of
from hosts import eventually
from test_accuracy import ODDS, SPLIT, binomial_bounds

SECONDS = int(os.environ.get('TORTURE_SECONDS', '5'))
THREADS = 50
LATE = 0.25             # seconds of CPU time; 0.14 have been seen where the host's CPUs were others' most of the time
WAYS = ['poll', 'ppoll', 'select', 'pselect', 'epoll_wait', 'nanosleep', 'clock_nanosleep',
        'sem_timedwait', 'recv', 'sigtimedwait', 'futex', 'pause', 'read', 'accept', 'connect',
        'msgrcv', 'endless_futex']
ENDLESS = WAYS[WAYS.index('pause'):]


class Askers:
    """Each asks for its path, again and again, until the end; answers: the bodies of the first."""

    def __init__(self, host, *paths):
        self.host, self.answers, self.failures, self._stop = host, [], [], False
        self.threads = [threading.Thread(target=self._ask, args=(i, path), daemon=True)
                        for i, path in enumerate(paths)]
        for t in self.threads:
            t.start()

    def _ask(self, number, path):
        while not self._stop:
            r = self.host.get('/debug/pprof/' + path)
            if r.status != 200:
                self.failures.append((path, r.status, r.text))
                return
            if number == 0:
                self.answers.append(r.text)

    def stop(self):
        self._stop = True
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), 'a client never got an answer'
        assert self.failures == []


def of_way(dump, way):
    return [t for t in dump.others if t.has('by_' + way)]


def has_answered(dump):
    """Who computes was asked, and was still at it when a tick came."""
    return any(t.state == 'running' and t.frames[:1] == ['busy'] for t in dump.others)


@pytest.mark.parametrize('hz', [1000, 0])
def test_no_call_ends_early(start, hz):
    """A busy machine takes its time until all threads are where they wait, and until one that computes is met by
    the tick that it is asked by."""
    h = start(['looks_waits', THREADS, 600], CPU_HZ=hz, BLOCK_RATE=0)
    h.wait_for_output('ready')

    def all_are_there():
        d = dump_of(h)
        return all(len(of_way(d, way)) == THREADS for way in ENDLESS)
    eventually('all are where they wait for ever', all_are_there)
    askers = Askers(h, 'goroutine?debug=2', 'goroutine', 'wall?seconds=1')
    time.sleep(SECONDS)
    seen = 0

    def new_answers():
        nonlocal seen
        seen, since = len(askers.answers), seen
        return any(has_answered(Dump(text)) for text in askers.answers[since:seen])
    eventually('who computes has answered', new_answers)
    askers.stop()
    h.end_of_input()
    assert h.wait() == 0
    assert h.stdout == 'ready\ninterrupted 0, early 0, late 0, other 0, waits many\n'
    dumps = [Dump(text) for text in askers.answers]
    for d in dumps:
        for way in ENDLESS:
            waiting = of_way(d, way)
            assert len(waiting) == THREADS, way
            for t in waiting:
                assert t.has('waiter') and not t.truncated and t.maker == 'main', d.text


def cpu_of_thread(pid, tid):
    """Seconds that the kernel has counted for it, in steps of 10 ms."""
    with open('/proc/%d/task/%d/stat' % (pid, tid)) as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@pytest.mark.parametrize('hz', [100, 250])
def test_questions_are_no_samples(start, hz):
    """One thread computes and is asked all the time.  Its samples are as many as its CPU time has periods:
    either end of the window cuts one, a tick there may be late (LATE), and what is between the window and our two
    looks at the clock can be counted or not.  Were each answer a sample, it would be fifty and more in each second
    of its CPU time.
    And they fall as in test_cpu_split, but that three samples count as one: on a busy machine one tick stands for
    several periods more often."""
    h = start(['spin_split', 0], CPU_HZ=hz)
    h.profile('profile?seconds=1')
    askers = Askers(h, 'goroutine?debug=2', 'goroutine?debug=2', 'goroutine')
    got, total = dict.fromkeys(SPLIT, 0), 0
    for _ in range(12):
        began, before = time.monotonic(), cpu_of_thread(h.pid, h.pid)
        p = h.profile('profile?seconds=5')
        used = cpu_of_thread(h.pid, h.pid) - before
        outside = time.monotonic() - began - p.duration_nanos / 1e9
        seconds = p.total('cpu') / 1e9
        assert -outside - 2 / hz - LATE <= seconds - used <= 2 / hz + LATE, (seconds, used, outside)
        total += p.total('samples', having='main')
        for leaf in SPLIT:
            got[leaf] += p.total('samples', having=leaf)
        if total > 3 * hz:
            break
    askers.stop()
    running = [t for text in askers.answers for t in Dump(text).others if t.has('descend')]
    assert len(running) > 20, 'it has answered'
    n = total // 3
    assert n > 20
    for leaf, truth in SPLIT.items():
        lo, hi = binomial_bounds(n, truth, ODDS)
        assert lo / n <= got[leaf] / total <= hi / n, (leaf, got)
