"""What many clients can do together, or for long, and cannot: connections, slow and silent and gone; profiles without
end.  Times and places to the byte are in the unit tests (conn_limits, conn_trouble)."""
import resource
import socket
import time

import pytest

from attacks import (GET, HOST, POST, WAIT, connect, descriptors, next_answer, resident, status_of,
                     still_serves)
from hosts import PATIENCE, Background, eventually


@pytest.fixture(scope='module')
def host(module_start):
    return module_start(WAIT)


@pytest.fixture(scope='module')
def desk(host):
    return host.desk


# --- for ever ---

HUGE = [2**31, 2**32, 2**62, 2**63 - 1]
SNAPSHOTS = ['heap', 'allocs', 'block', 'mutex', 'goroutine', 'threadcreate', 'mmap']


def test_huge_seconds_cost_nothing(host, desk):
    """As long as its client waits, and no longer."""
    clients = []
    for path in ['profile', 'wall', *SNAPSHOTS]:
        for n in HUGE:
            clients.append(connect(desk))
            clients[-1].sendall(b'GET /debug/pprof/%s?seconds=%d HTTP/1.1\r\n' % (path.encode(), n) + HOST + b'\r\n')
    still_serves(desk)
    time.sleep(0.3)
    for s in clients:
        s.setblocking(False)
        with pytest.raises(BlockingIOError):
            s.recv(100)
    before = descriptors(host.pid)
    for s in clients:
        s.close()
    eventually('they are gone', lambda: descriptors(host.pid) <= before - len(clients))
    # Beyond 64 bits is no number.
    for path in SNAPSHOTS:
        assert desk.get('/debug/pprof/%s?seconds=%d' % (path, 2**63)).status == 400


def test_profiles_without_end_keep_nobody_out(start):
    """A place each for 208 of them, and 48 that are for others."""
    desk = start(WAIT).desk
    request = b'GET /debug/pprof/profile?seconds=1000000&symbolize=none HTTP/1.1\r\n' + HOST + b'\r\n'
    clients = [connect(desk) for _ in range(300)]
    for s in clients:
        s.sendall(request)
    for s in clients:
        s.setblocking(False)

    def refused():
        n = 0
        for s in clients:
            try:
                said = s.recv(100, socket.MSG_PEEK)
                n += said == b'' or said.startswith(b'HTTP/1.1 503 ')   # it gave way, before it said anything
            except BlockingIOError:
                pass
            except ConnectionError:
                n += 1
        return n
    eventually('the others are refused', lambda: refused() == 300 - 208)
    for _ in range(5):
        still_serves(desk)
        for path in ('profile?seconds=1', 'profile?seconds=1&symbolize=none', 'heap?seconds=1'):
            assert desk.get('/debug/pprof/' + path).status == 503
    for s in clients:
        s.close()
    eventually('their places are free', lambda: desk.get('/debug/pprof/profile?seconds=1').status == 200)


# --- too many ---

def allow_descriptors(n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < n:
        pytest.skip('not so many descriptors allowed here')
    if soft != resource.RLIM_INFINITY and soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, hard))


@pytest.mark.parametrize('says', [b'', b'GET /debug/pprof/heap HTTP/1.1\r\nHost: loc', GET + b'\r\n'],
                         ids=['nothing', 'half a request', 'a request, and it stays'])
def test_ten_thousand_connections(start, says):
    """Those who ask for nothing make room; who asks is answered; nothing grows."""
    allow_descriptors(10500)
    h = start(WAIT)
    desk = h.desk
    still_serves(desk)
    before, most, worst, clients = resident(h.pid), 0, 0, []
    try:
        for i in range(10000):
            s = connect(desk)
            try:
                s.sendall(says)
            except OSError:
                pass
            clients.append(s)
            if i % 500 == 499:
                worst = max(worst, still_serves(desk))
                most = max(most, descriptors(h.pid))
        assert most <= 256 + 24
        assert resident(h.pid) < before + 24
    finally:
        for s in clients:
            s.close()
    eventually('all of them are gone', lambda: descriptors(h.pid) < 24)
    eventually('the memory is back', lambda: resident(h.pid) < before + 4)
    still_serves(desk)


def test_a_flood_that_comes_again_and_again(start):
    """Each that is closed comes back at once, with a drop of a request; scrapers still get theirs.

    One that is held up for 100 ms between its connection and its request is one of the flood by then: where a busy
    machine does that once in ten thousand times, it does to more than two of 40 once in 100 million."""
    desk = start(WAIT).desk
    clients, lost = {}, 0

    def flood():
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            for n in range(400):
                try:
                    s = clients[n] = clients.get(n) or connect(desk)
                    s.send(b'G' if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 else b'')
                except OSError:
                    if clients.get(n):
                        clients.pop(n).close()
    background = Background(flood, repeat=True)
    try:
        for path in ('/debug/pprof/cmdline', '/debug/pprof/heap') * 20:
            try:
                still_serves(desk, path)
            except ConnectionError:
                lost += 1
        assert lost <= 2
    finally:
        background.get()
        for s in clients.values():
            s.close()


def test_a_connection_that_is_used_outlives_those_that_are_not(start):
    """A scraper's, between two scrapes."""
    desk = start(WAIT).desk
    scraper = connect(desk)
    held = []
    try:
        for _ in range(3):
            scraper.sendall(GET + b'\r\n')
            assert status_of(next_answer(scraper)) == 200
            for _ in range(400):
                s = connect(desk)
                s.sendall(b'G')
                held.append(s)
    finally:
        scraper.close()
        for s in held:
            s.close()


def test_a_client_whose_machine_is_gone_is_found_out(desk):
    """Nobody tells; so the kernel asks now and then, as for a server in Go: timer 2 of /proc/net/tcp."""
    with connect(desk) as s:
        s.sendall(b'GET /debug/pprof/profile?seconds=1000 HTTP/1.1\r\n' + HOST + b'\r\n')
        ours, its = desk.port, s.getsockname()[1]

        def is_asked():
            with open('/proc/net/tcp') as f:
                for line in list(f)[1:]:
                    word = line.split()
                    if (int(word[1][-4:], 16), int(word[2][-4:], 16)) == (ours, its):
                        return word[5].startswith('02:')
        eventually('there is a timer', is_asked)



# --- slow ---

class Crowd:
    """200 clients: 50 that never end a head, 50 that never end a body, 50 that do not read, 50 that say their last
    word early.  Those of the first two kinds say a drop more whenever they are asked to."""

    def __init__(self, desk):
        self.heads, self.bodies, self.deaf, self.half = ([connect(desk) for _ in range(50)] for _ in range(4))
        for s in self.heads:
            s.sendall(GET)
        for s in self.bodies:
            s.sendall(POST + b'Content-Length: 8000000\r\n\r\n')
        for s in self.deaf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            s.sendall((b'GET /debug/pprof/heap?debug=1 HTTP/1.1\r\n' + HOST + b'\r\n') * 100)
        for i, s in enumerate(self.half):
            s.sendall([GET, GET + b'\r\n', b'', POST + b'Content-Length: 9\r\n\r\n0x1'][i % 4])
            s.shutdown(socket.SHUT_WR)
        self.slow = self.heads + self.bodies

    def drop(self):
        """Takes out those who were told to go, or were closed on."""
        for s in list(self.slow):
            try:
                s.sendall(b'X: y\r\n' if s in self.heads else b'+')
                s.setblocking(False)
                ended = s.recv(100) != b'!'
            except BlockingIOError:
                ended = False
            except OSError:
                ended = True
            s.setblocking(True)
            if ended:
                self.slow.remove(s)

    def close(self):
        for s in self.heads + self.bodies + self.deaf + self.half:
            s.close()


def test_slow_clients_hold_up_nobody_and_not_for_ever(start):
    """Each drop of a head or a body gives no more time for the rest of it."""
    h = start(WAIT)
    still_serves(h.desk)
    before, most = resident(h.pid), 0
    crowd = Crowd(h.desk)
    try:
        for s in crowd.half:
            while s.recv(65536):
                pass                    # an answer, or none, and the end
        assert len(crowd.slow) == 100

        def all_told():
            nonlocal most
            crowd.drop()
            still_serves(h.desk, '/healthz')
            most = max(most, resident(h.pid))
            time.sleep(0.2)
            return not crowd.slow
        eventually('nobody may send for ever', all_told)
        assert most < before + 24
    finally:
        crowd.close()
    eventually('all of them are gone', lambda: descriptors(h.pid) < 24)
    eventually('the memory is back', lambda: resident(h.pid) < before + 4)
