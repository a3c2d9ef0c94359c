"""No request holds up another: who asks for little is answered while a large profile is made, names are indexed,
threads are looked at or unwind tables compiled.

Nothing here is a matter of the machine's speed.  Which of two answers was made first, the desk itself says: its own
/metrics, asked behind /healthz over the same connection, counts what was answered before.  And its longest step is
compared with the whole work that was cut into steps.  (The 50 ms are for `make bench-http`.)"""
import os
import re
import signal
import socket

import pytest

from hosts import PATIENCE, eventually, program
from test_metrics import metrics, one

# Many times what a step should take, for one that is too long to be called a part of the work.
STEP_S = 0.010
PART = 5
# CPU time may have a part in it that was another guest's of the machine under this one.
TRIES = 5


def has_stopped(pid):
    with open('/proc/%d/stat' % pid) as f:
        return f.read().rsplit(')', 1)[1].split()[0] == 'T'


def send(desk, *paths):
    """A connection with these requests on it, one behind the other."""
    s = socket.create_connection((desk.host, desk.port), timeout=PATIENCE)
    for i, path in enumerate(paths):
        s.sendall(b'GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n' % (
            path.encode(), b'Connection: close\r\n' if i == len(paths) - 1 else b''))
    return s


def receive(s):
    """All that comes."""
    with s:
        return b''.join(iter(lambda: s.recv(1 << 16), b''))


def at_once(h, *connections):
    """Requests that the desk finds when it wakes up, the first connection first: what it has answered."""
    os.kill(h.pid, signal.SIGSTOP)
    try:
        eventually('it has stopped', lambda: has_stopped(h.pid))
        sent = [send(h.desk, *paths) for paths in connections]
    finally:
        os.kill(h.pid, signal.SIGCONT)
    return [receive(s) for s in sent]


def answered(text, endpoint):
    return sum(int(n) for n in re.findall(
        r'^pprofshim_requests_total\{endpoint="%s",[^}]*\} (\d+)$' % endpoint, text, re.M))


def check_overtaken(h, path, endpoint, least_bytes):
    """The large request comes first, and is the last to be answered."""
    before = answered(h.get('/metrics').text, endpoint)
    large, small = at_once(h, [path], ['/healthz', '/metrics'])
    assert large.startswith(b'HTTP/1.1 200 OK\r\n') and len(large) >= least_bytes, large[:200]
    health, _, rest = small.partition(b'ok\n')
    assert health.startswith(b'HTTP/1.1 200 OK\r\n') and rest.startswith(b'HTTP/1.1 200 OK\r\n'), small[:200]
    assert answered(rest.decode(), endpoint) == before, 'it was answered before /healthz and /metrics'
    assert answered(h.get('/metrics').text, endpoint) == before + 1


@pytest.fixture(scope='module')
def many_stacks(module_start):
    h = module_start([program('many_stacks'), '30000'], HEAP_RATE=1, CPU_HZ=0, MEMORY='256m')
    eventually('30000 blocks', lambda: one(h, 'pprofshim_samples_total', profile='heap') >= 30000)
    return h


@pytest.mark.parametrize('path', ['heap', 'heap?debug=1', 'heap?format=json', 'allocs?format=folded', 'delta_heap'])
def test_a_small_request_overtakes_a_large_profile(many_stacks, path):
    """Some 20 steps and more, of which /metrics needs three or four: they take turns.  That 20 in a row are cut so
    short by other programs that these are not enough has odds of less than 1 in 10^12."""
    check_overtaken(many_stacks, '/debug/pprof/' + path, path.partition('?')[0], 100000)


def test_a_small_request_overtakes_the_index_of_names(start):
    h = start([program('many_functions'), '0'])
    with open('/proc/%d/maps' % h.pid) as f:
        address = re.search(r'^([0-9a-f]+)-\S+ r-xp .*many_functions$', f.read(), re.M).group(1)
    check_overtaken(h, '/debug/pprof/symbol?0x' + address, 'symbol', 100)
    assert one(h, 'pprofshim_names_bytes') > 1 << 20


def test_a_small_request_overtakes_a_dump_of_many_threads(start):
    h = start([program('threads_numbered'), '2000'])
    eventually('2000 threads', lambda: one(h, 'pprofshim_sites', profile='threadcreate') > 2000)
    check_overtaken(h, '/debug/pprof/goroutine?debug=2', 'goroutine', 100000)


def test_small_requests_overtake_several_large_ones(many_stacks):
    before = answered(many_stacks.get('/metrics').text, 'heap')
    *large, small = at_once(many_stacks, *[['/debug/pprof/heap']] * 6, ['/healthz', '/metrics'])
    assert all(a.startswith(b'HTTP/1.1 200 OK\r\n') for a in large)
    assert answered(small.decode(), 'heap') == before
    assert answered(many_stacks.get('/metrics').text, 'heap') == before + 6


# --- the longest step --------------------------------------------------------------------------

def check_steps(work):
    """work() has a new host do something, and gives that.  No step of its desk is more than a part of all: the same
    one is so each time, another guest takes its time from any of them."""
    always = None
    for _ in range(TRIES):
        h = work()
        m = metrics(h)
        h.stop()
        everything = m[('pprofshim_desk_cpu_seconds_total',)]
        long = {dict(k[1:])['part']: v for k, v in m.items()
                if k[0] == 'pprofshim_desk_step_max_seconds' and v > max(STEP_S, everything / PART)}
        always = long.keys() if always is None else always & long.keys()
        if not always:
            return
    assert not always, (always, long, everything)


def test_no_step_is_long_where_large_profiles_are_made(start):
    def work():
        h = start([program('many_stacks'), '15000'], HEAP_RATE=1, CPU_HZ=0, MEMORY='256m')
        h.wait_for_output('ready')
        for path in ('heap', 'heap?debug=1', 'goroutine', ''):
            assert h.get('/debug/pprof/' + path).status == 200
        return h
    check_steps(work)


def test_no_step_is_long_where_threads_are_looked_at(start):
    def work():
        h = start([program('threads_numbered'), '2000'])
        for path in ('wall?seconds=1&hz=1000', 'profile?seconds=1', 'threadcreate'):
            assert h.get('/debug/pprof/' + path).status == 200
        assert one(h, 'pprofshim_samples_total', profile='wall') > 2000
        return h
    check_steps(work)


def test_no_step_is_long_where_tables_are_compiled(start):
    """Those of 200,000 functions: when it has run for four seconds, as they may take a hundredth of its time."""
    def work():
        h = start([program('many_functions'), '0'])
        while one(h, 'pprofshim_unwind_tables_bytes') < 1 << 20:
            # Now and then: asking must not be most of what our thread does.
            end = h.cpu_seconds() + 0.5
            assert end < 100, 'it never happens'
            eventually('half a second of CPU time', lambda: h.cpu_seconds() > end)
        return h
    check_steps(work)
