"""mutants -- requests as tools make them, changed by a few bits, bytes and pieces, and sent in every bad way: cut,
pipelined, slowly, without reading, with a reset.  What fuzzing does to the parsers, against a desk that serves."""
import os
import random
import re
import select
import socket
import struct
import threading
import time

HOST = b'Host: localhost\r\n'
PROFILES = [b'', b'heap', b'allocs?debug=1', b'block?debug=1', b'mutex?debug=2&labels=lock', b'mutex?view=pairs',
            b'threadcreate?debug=1', b'goroutine', b'goroutine?debug=2', b'mmap?debug=1', b'heap?gc=1&min_age=60',
            b'profile?seconds=1&hz=100', b'heap?seconds=1', b'wall?seconds=1&format=folded', b'cmdline', b'config',
            b'symbol?0x555500000005+0x7f0000000005', b'heap?format=text&symbolize=none', b'allocs?format=folded',
            b'delta_heap?client=a', b'block?format=json']
ELSEWHERE = [b'/', b'/debug/pprof', b'/debug/fgprof?seconds=1', b'/healthz', b'/metrics', b'/pprof/heap', b'/pprof/symbol',
             b'/pprof/profile?seconds=1', b'/pprof/growth', b'/pprof/contention', b'/pprof/wall?seconds=1', b'/pprof/cmdline',
             b'/debug//pprof/../pprof/heap', b'/debug/pprof/%2e%2e/%2e%2e/etc/passwd', b'http://localhost/debug/pprof/']
JSON = b'{"cpu_hz": 100, "heap_rate": "512k", "block_rate": 10000, "mutex_fraction": 1}'
FORM = b'cpu_hz=100&heap_rate=524288'
WORDS = [b'\r\n', b'\n', b'\r', b'\0', b' ', b'\t', b':', b'%', b'%2F', b'%00', b'/../', b'//', b'?', b'&', b'=', b'+', b';', b'0', b'-1',
         b'4294967296', b'18446744073709551616', b'ffffffffffffffff\r\n', b'0\r\n\r\n', b'1e9', b'HTTP/1.0', b'HTTP/1.1',
         b'Transfer-Encoding: chunked\r\n', b'Content-Length: 7\r\n', b'Connection: close\r\n', b'Expect: 100-continue\r\n',
         b'Origin: null\r\n', b'seconds=', b'debug=', b'hz=', b'\xff' * 8, b'x' * 300]


def corpus():
    """Requests that are right, as curl, browsers, go tool pprof, perl pprof and scrapers make them, and two for what is not there."""
    one = [b'GET %s%s HTTP/1.1\r\n' % (b'' if p.startswith((b'/', b'http')) else b'/debug/pprof/', p) + HOST + b'\r\n'
           for p in PROFILES + ELSEWHERE]
    post = b'POST /debug/pprof/%s HTTP/1.1\r\n' + HOST
    symbols = b'+'.join(b'%#x' % (0x555500000000 + 16 * i) for i in range(200))
    return one + [
        b'HEAD /debug/pprof/heap HTTP/1.1\r\n' + HOST + b'\r\n',
        b'GET /debug/pprof/cmdline HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
        b'GET /debug/pprof/heap HTTP/1.1\r\nHost: 127.0.0.1:6060\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n',
        b'GET /debug/pprof/ HTTP/1.1\r\nHost: [::1]\r\nSec-Fetch-Site: none\r\nAuthorization: Bearer abc\r\nAccept: */*\r\n\r\n',
        b'OPTIONS * HTTP/1.1\r\n' + HOST + b'\r\n',
        post % b'config' + b'Content-Type: application/json\r\nContent-Length: %d\r\n\r\n' % len(JSON) + JSON,
        post % b'config' + b'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n' % len(FORM) + FORM,
        post % b'config' + b'Transfer-Encoding: chunked\r\n\r\n5\r\ncpu_h\r\n5;a=b\r\nz=100\r\n0\r\nT: x\r\n\r\n',
        post % b'symbol' + b'Content-Length: %d\r\n\r\n' % len(symbols) + symbols,
        post % b'symbol' + b'Expect: 100-continue\r\nContent-Length: 14\r\n\r\n0x555500000005',
        b'POST /pprof/symbol HTTP/1.1\r\n' + HOST + b'Content-Length: 14\r\n\r\n0x555500000005',
    ]


def change(rnd, data, others):
    """One step: a bit, a byte, or a piece."""
    data = bytearray(data)
    at = rnd.randrange(len(data) + 1)
    kind = rnd.randrange(9)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << rnd.randrange(8)
    elif kind == 1 and at < len(data):
        data[at] = rnd.choice(b'\0\r\n \t:/?&=%+;,-09aAzZ\x7f\x80\xff')
    elif kind == 2:
        del data[at:at + rnd.choice((1, 1, 2, 5, 30))]
    elif kind == 3:
        data[at:at] = rnd.choice(WORDS)
    elif kind == 4:
        piece = data[at:at + rnd.choice((1, 4, 20, 100))]
        data[at:at] = piece * rnd.choice((1, 2, 30))
    elif kind == 5:
        other = rnd.choice(others)
        data[at:] = other[rnd.randrange(len(other)):]
    elif kind == 6:
        data[at:at + 3] = bytes(rnd.randrange(256) for _ in range(3))
    elif kind == 7:         # a number becomes another one
        numbers = list(re.finditer(rb'\d+', bytes(data)))
        if numbers:
            m = rnd.choice(numbers)
            data[m.start():m.end()] = rnd.choice((b'0', b'-1', b'00', b'2147483648', b'9223372036854775807', b'99999999999999999999', b'0x10'))
    else:
        del data[at:]
    return bytes(data)


class Mutants:
    """A stream of changed requests, the same for the same seed."""

    def __init__(self, seed):
        self.rnd, self.corpus = random.Random(seed), corpus()

    def next(self):
        data = self.rnd.choice(self.corpus)
        while self.rnd.random() < 0.25:                 # pipelined
            data += self.rnd.choice(self.corpus)
        for _ in range(self.rnd.choice((0, 1, 1, 1, 2, 3, 8))):
            data = change(self.rnd, data, self.corpus)
        return data[:100000]


def tcp_of(log):
    """Where the TCP socket is that this log tells of; None: not yet."""
    m = re.search(r'listening on 127\.0\.0\.1:(\d+)', log)
    return ('127.0.0.1', int(m.group(1))) if m else None


def connect(address, patience):
    """address: (host, port) of TCP, or the path of a unix socket."""
    s = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    s.settimeout(patience)
    s.connect(address)
    return s


def read_some(s, seconds):
    """What comes until the other side closes or is silent for so long."""
    answer = b''
    try:
        while select.select([s], [], [], seconds)[0]:
            piece = s.recv(65536)
            if not piece:
                break
            answer += piece
    except (ConnectionResetError, BrokenPipeError):
        pass
    return answer


def read_to_end(s, patience):
    """What comes until the other side closes, as it must."""
    answer = b''
    while True:
        assert select.select([s], [], [], patience)[0], ('not closed', answer[:200])
        piece = s.recv(65536)
        if not piece:
            return answer
        answer += piece


def read_first(s, to):
    """The answer to this request, and perhaps what came together with its end."""
    answer = b''
    while True:
        head, end, body = answer.partition(b'\r\n\r\n')
        length = re.search(rb'\r\nContent-Length: (\d+)', head)
        if end and (length is None or to.startswith(b'HEAD') or len(body) >= int(length.group(1))):
            return answer
        piece = s.recv(65536)
        assert piece, answer[:200]
        answer += piece


STATUS = re.compile(rb'HTTP/1\.[01] ([1-5]\d\d) [A-Za-z -]+\r\n')


def check_answer(sent, answer):
    """The first of the answers is one, and its head is whole.  (Behind it a HEAD would have to be known.)"""
    if not answer:
        return 0
    m = STATUS.match(answer)
    assert m, (sent, answer[:200])
    head, end, _ = answer.partition(b'\r\n\r\n')
    assert end, (sent, answer[:200])
    for line in head.split(b'\r\n')[1:]:
        assert re.match(rb'[A-Za-z0-9-]+: [^\0-\x1f\x7f]*$', line), (sent, line)
    return int(m.group(1))


class Sender:
    """Delivers one mutant after the other to one address and keeps some connections that never end."""
    HELD = 40

    def __init__(self, address, seed, patience=60):
        self.address, self.patience = address, patience
        self.mutants = Mutants(seed)
        self.rnd = self.mutants.rnd
        self.held, self.sent, self.statuses = [], 0, {}

    def _slowly(self, s, data):
        step = 1 + len(data) // 20
        for at in range(0, len(data), step):
            s.sendall(data[at:at + step])
            time.sleep(0.001)

    def one(self):
        data = self.mutants.next()
        how = self.rnd.randrange(20)
        s = connect(self.address, self.patience)
        self.sent += 1
        try:
            if how == 0:
                self._slowly(s, data)
            else:
                s.sendall(data)
            if how == 1:                # left open, and neither read nor ended
                self.held.append(s)
                if len(self.held) > self.HELD:
                    self.held.pop(self.rnd.randrange(len(self.held))).close()
                return
            if how == 2:                # reset
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            elif how == 3:              # an answer that nobody takes any more
                read_some(s, 0.001)
            else:
                if how > 4:             # a shell's pipe: the last word is said
                    s.shutdown(socket.SHUT_WR)
                self._count(check_answer(data, read_some(s, 0.05 if how <= 4 else self.patience)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        except OSError as e:
            if e.errno != 107:          # ENOTCONN: it was closed before we could say the last word
                raise
        s.close()

    def _count(self, status):
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def end(self):
        for s in self.held:
            s.close()
        self.held = []


# --- what must stay as it was ---

def status_kib(pid, field='VmRSS'):
    with open('/proc/%d/status' % pid) as f:
        return int(re.search(r'^%s:\s+(\d+)' % field, f.read(), re.M).group(1))


def descriptors(pid):
    """Of all threads: the desk has a table of its own.  Without those of programs and libraries, one of each: they are opened
    when a function of theirs is first to be named, and may be so at any time."""
    with open('/proc/%d/maps' % pid) as f:
        mapped = set(re.findall(r' (/.*)$', f.read(), re.M))
    n, objects = 0, set()
    for tid in os.listdir('/proc/%d/task' % pid):
        folder = '/proc/%d/task/%s/fd/' % (pid, tid)
        for fd in os.listdir(folder):
            try:
                to = os.readlink(folder + fd)
            except FileNotFoundError:
                continue
            if to in mapped:
                objects.add(to)
            n += 1
    return n - len(objects)


class Siege:
    """A process under fire at all of its addresses: run() for some seconds; what is wrong fails an assertion.

    is_right()    asked now and then, and at the end: the host does its own work
    grows_kib     how much memory may come on top of that after the warm-up: the tables of the ground
                  (PPROFSHIM_MEMORY), for mutants do turn rates up"""
    CONTROL = b'GET /debug/pprof/cmdline HTTP/1.1\r\n' + HOST + b'Connection: close\r\n\r\n'

    def __init__(self, pid, addresses, seed, is_right, grows_kib):
        self.pid, self.addresses, self.is_right, self.grows_kib = pid, addresses, is_right, grows_kib
        self.senders = [Sender(a, seed + i) for i, a in enumerate(addresses)]
        self.rss = []
        self.failures = []

    def _check(self, address):
        with connect(address, 60) as s:
            s.sendall(self.CONTROL)
            answer = read_to_end(s, 60)
        assert answer.startswith(b'HTTP/1.1 200 OK\r\n'), answer[:200]
        assert self.is_right()

    def _fire(self, sender, end):
        try:
            while time.monotonic() < end and not self.failures:
                sender.one()
                if sender.sent % 200 == 0:
                    self._check(sender.address)
        except Exception as e:
            self.failures.append('%s, number %d: %r' % (sender.address, sender.sent, e))

    def _volley(self, seconds):
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._fire, args=(s, end)) for s in self.senders]
        for t in threads:
            t.start()
        for t in threads:
            while t.is_alive():
                t.join(5)
                self.rss.append(status_kib(self.pid))
        assert self.failures == []

    def _calm(self):
        """All connections are over: descriptors."""
        for s in self.senders:
            s.end()
        for address in self.addresses:
            self._check(address)
        before, end = None, time.monotonic() + 60
        while time.monotonic() < end:       # until two looks agree
            now = descriptors(self.pid)
            if now == before:
                return now
            before = now
            time.sleep(0.5)
        raise AssertionError('descriptors come and go')

    def _warm(self, seconds):
        for address in self.addresses:
            for request in corpus():
                with connect(address, 60) as s:
                    s.sendall(request)
                    s.shutdown(socket.SHUT_WR)
                    read_to_end(s, 60)
        self._volley(seconds)
        return self._calm()

    def run(self, seconds):
        """Returns a line about it."""
        fds = self._warm(seconds / 6)
        rss = status_kib(self.pid)
        self.rss = []
        self._volley(seconds * 5 / 6)
        fds_after, rss_after = self._calm(), status_kib(self.pid)
        statuses = {}
        for sender in self.senders:
            assert any(sender.statuses.get(s) for s in (200, 400)), sender.statuses
            for status, n in sender.statuses.items():
                statuses[status] = statuses.get(status, 0) + n
        line = 'pid %d: %d requests, answers %s; VmRSS %d -> %d KiB (at most %d), descriptors %d -> %d' % (
            self.pid, sum(s.sent for s in self.senders), dict(sorted(statuses.items())), rss, rss_after,
            max(self.rss), fds, fds_after)
        assert fds_after == fds, line
        assert rss_after <= rss + self.grows_kib, line
        return line
