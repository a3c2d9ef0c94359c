"""failing -- runs programs under the library whose kernel fails (test/fake/sys_failing.c)."""
import errno
import functools
import http.client
import os
import re
import socket
import struct
import subprocess
import tempfile

import hosts
from hosts import BUILD, OURS, Host, eventually, run

LIBRARY = os.path.join(BUILD, 'presence', 'libpprofshim_failing.so')
NUMBERS = 512


@functools.lru_cache(None)
def system_calls():
    """{name: number}, from the system's headers."""
    text = subprocess.run([os.environ.get('CC', 'cc'), '-E', '-dM', '-include', 'sys/syscall.h', '-x', 'c',
                           '/dev/null'], capture_output=True, text=True, check=True).stdout
    return {m.group(1): int(m.group(2)) for m in re.finditer(r'^#define __NR_(\w+) (\d+)$', text, re.M)}


def name_of(number):
    return next((k for k, v in system_calls().items() if v == number), str(number))


def fail(call, n=1, error=0, then=False):
    """A rule: the nth call (None: of any kind) fails, and then all after it."""
    number = -1 if call is None else system_calls()[call]
    return '%d:%d:%d:%d' % (number, n, getattr(errno, error) if error else 0, then)


class Record:
    """What was called and what failed, over all processes that were given it."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix='pprofshim-record-')
        self.file.write(bytes(4 * (3 + 2 * NUMBERS)))
        self.file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def read(self):
        with open(self.file.name, 'rb') as f:
            words = struct.unpack('%dI' % (3 + 2 * NUMBERS), f.read())
        self.calls, self.failed, self.last = words[0], words[1], name_of(words[2])
        self.of = {name_of(i): n for i, n in enumerate(words[3:3 + NUMBERS]) if n}
        self.failed_of = {name_of(i): n for i, n in enumerate(words[3 + NUMBERS:]) if n}
        return self


def variables(record, rules=(), hide_tls=False):
    """For a program's environment."""
    e = {'LD_PRELOAD': LIBRARY}
    if record:
        e['SHIM_RECORD'] = record.file.name
    if rules:
        e['SHIM_FAIL'] = ','.join(rules)
    if hide_tls:
        e['SHIM_HIDE_TLS'] = '1'
    return e


def split(stderr):
    """What the host wrote, and our lines."""
    return OURS.sub('', stderr), [m.group(0) for m in OURS.finditer(stderr)]


def run_failing(argv, *rules, hide_tls=False, timeout=120, **options):
    """Result of a program, its stderr without our lines; and the record, and our lines."""
    with Record() as record:
        r = run(argv, env=variables(record, rules, hide_tls), timeout=timeout, **options)
        record.read()
    r.stderr, lines = split(r.stderr)
    return r, record, lines


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class UnixDesk(hosts.Desk):
    """A desk whose address is known without its log."""

    def __init__(self, path):
        super().__init__('localhost', 0)
        self.path = path

    def connection(self, timeout):
        return UnixConnection(self.path, timeout)

    def request(self, method, path, **how):
        try:
            return super().request(method, path, **how)
        except http.client.HTTPException as e:
            raise ConnectionError('half an answer: %r' % e)


class FailingHost(Host):
    """A program that runs on, and serves on a socket beside its output."""

    def __init__(self, argv, *rules, hide_tls=False, **options):
        self.record = Record()
        self.where = tempfile.mkdtemp(prefix='pprofshim-desk-')
        self.socket = os.path.join(self.where, 'desk')
        options.setdefault('ADDR', 'unix:' + self.socket)
        super().__init__(argv, wait=False, env=variables(self.record, rules, hide_tls), **options)
        self._desk = UnixDesk(self.socket)

    def excuses(self, of):
        """As a desk's (hosts.py)."""
        self._desk.excuses = of

    def try_get(self, path, timeout=5):
        """A response, or None if the connection came to nothing."""
        try:
            return self._desk.get(path, timeout=timeout)
        except OSError:
            return None

    def said(self, text):
        return any(text in line for line in self.log)

    def given_up(self):
        """{reason: how often}, from the index."""
        page = self.get('/debug/pprof/').text.partition('given up')[2]
        return {m.group(1): int(m.group(2)) for m in re.finditer(r'<li>(\w+) (\d+):', page)}

    def is_served(self):
        return eventually('%s is served' % self.argv, lambda: self.try_get('/debug/pprof/'))

    def stop(self):
        if self.err.closed:
            return
        super().stop()
        self.record.file.close()
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        os.rmdir(self.where)
