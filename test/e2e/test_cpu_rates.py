"""profile?hz=: the rate of a request, beside those of others and that of the options."""
import os
import signal
import socket
import time

import pytest

from hosts import Background, eventually
from undisturbed import at_least, at_most, undisturbed

BAD = 'invalid value for "hz" - must be an integer from 1 to 1000'


def check_total(p, used, outside, hz):
    """The CPU time of a window is what the kernel counted, and its samples stand for a period each.  At its
    end up to a tick of the kernel's is not noticed yet (10 ms where CONFIG_HZ is 100), at either end a period
    is cut, and a change of the rate loses a tick; nothing else of it is random."""
    cut = 2 / hz + 0.02
    got = p.total('cpu') / 1e9
    at_least(got, 0.96 * used - outside - cut - 0.1)
    at_most(got, 1.02 * used + cut + 0.02)


def is_at(h, hz):
    """Whether a window of one second has this rate, 0 none.  Or a second window: a tick that was on its way to a thread
    when the rate changed comes when the thread has a processor again, which may be in the first one."""
    def one():
        p = h.profile('profile?seconds=1')
        return p.period == 1e9 / hz if hz else p.total('samples') == 0
    return one() or one()


@pytest.mark.parametrize('base', [0, 100, 500])
@pytest.mark.parametrize('hz', [40, 250, 1000])
@undisturbed
def test_the_rate_of_a_request(start, base, hz):
    h = start(['spin_split', 0], CPU_HZ=base)
    p, used, outside = h.profile_and_cpu('profile?seconds=2&hz=%d' % hz)
    check_total(p, used, outside, max(hz, base))
    # A tick that was under way when the rate changed may have stood for less.
    assert 0 <= 1e9 / max(hz, base) - p.period < 0.02 * 1e9 / max(hz, base), p.period
    assert p.total('cpu') == pytest.approx(p.total('samples') * p.period, rel=1e-3)
    # The options are what they were.
    assert '"cpu_hz": %d,' % base in h.get('/debug/pprof/config').text
    assert is_at(h, base)


@undisturbed
def test_clients_of_different_rates_agree(start):
    """Three at once; the slow one's window begins before the fast one's and ends after it."""
    h = start(['spin_split', 0], CPU_HZ=50)
    before = h.cpu_seconds()
    began = time.monotonic()
    slow = Background(lambda: h.profile('profile?seconds=6'))
    time.sleep(1)
    fast = Background(lambda: h.profile_and_cpu('profile?seconds=2&hz=1000'))
    middle = Background(lambda: h.profile_and_cpu('profile?seconds=3&hz=200'))
    for background, hz in ((fast, 1000), (middle, 200)):
        p, used, outside = background.get()
        check_total(p, used, outside, hz)
    p = slow.get()
    used = h.cpu_seconds() - before
    check_total(p, used, time.monotonic() - began - p.duration_nanos / 1e9, 50)
    assert 1000000 < p.period < 20000000, 'it was sampled faster for a part of its time'
    assert is_at(h, 50)


def test_a_client_that_goes_takes_its_rate_along(start):
    """Without sampling of its own the program has none when nobody asks any more."""
    h = start(['spin_split', 0], CPU_HZ=0)
    with socket.create_connection((h.desk.host, h.desk.port)) as s:
        s.sendall(b'GET /debug/pprof/profile?seconds=300&hz=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n')
        eventually('samples', lambda: h.profile('profile?seconds=1').total('samples'))
    eventually('no samples', lambda: not h.profile('profile?seconds=1').total('samples'))


@undisturbed
def test_a_rate_that_is_set_meanwhile(start):
    h = start(['spin_split', 0], CPU_HZ=100)
    one = Background(lambda: h.profile_and_cpu('profile?seconds=3&hz=200'))
    time.sleep(1)
    for hz in (0, 50, 1000, 0):
        if hz == 1000:
            before = h.cpu_seconds()
        assert h.desk.request('POST', '/debug/pprof/config', body='cpu_hz=%d' % hz).status == 200
        if hz != 0:
            time.sleep(0.2)
    fast = h.cpu_seconds() - before
    p, used, outside = one.get()
    check_total(p, used, outside, 200)
    # It had 1000 for a moment: for 0.2 s, or what they were on this machine.
    got = p.total('cpu') / 1e9
    at_least(p.period, 0.95e9 * got / (200 * got + 800 * fast))
    assert p.period <= 5e6
    assert is_at(h, 0)


@pytest.mark.parametrize('hz', ['0', '-1', '1001', 'fast', '1.5', '99999999999999999999'])
def test_a_bad_rate_is_one_line(start, hz):
    h = start(['spin_split', 0])
    h.desk.error(400, BAD, '/debug/pprof/profile?seconds=300&hz=' + hz)     # at once
    r = h.desk.request('HEAD', '/debug/pprof/profile?hz=' + hz)
    assert (r.status, r.headers['x-go-pprof']) == (400, '1')


FORKS = """
import os, signal
signal.signal(signal.SIGUSR1, lambda *unused: os.fork())
print('ready', flush=True)
while True:
    pass
"""


@pytest.mark.parametrize('base', [0, 100])
def test_a_fork_child_has_nothing_of_its_parents_windows(start, base):
    h = start(['/usr/bin/python3', '-c', FORKS], CPU_HZ=base)
    h.wait_for_output('ready')
    with socket.create_connection((h.desk.host, h.desk.port)) as s:
        s.sendall(b'GET /debug/pprof/profile?seconds=300&hz=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n')
        eventually('the window', lambda: h.profile('profile?seconds=1').period <= 1000000)
        os.kill(h.pid, signal.SIGUSR1)
        child = eventually('its child', lambda: [d for pid, d in h.desks().items() if pid != h.pid])[0]
        if base:
            # A second of a busy machine may have no sample of it.
            p = eventually('samples', lambda: [p for p in [child.profile('profile?seconds=1')] if p.total('samples')])[0]
            assert p.period == 10000000
        else:
            assert child.profile('profile?seconds=1').total('samples') == 0
        # Its parent goes on.
        eventually('samples', lambda: h.profile('profile?seconds=1').period <= 1000000)
