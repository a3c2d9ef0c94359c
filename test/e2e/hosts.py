"""hosts -- starts programs with and without the library, and talks to its desk."""
import functools
import http.client
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from lint_profile import lint_answer, lint_error, lint_pair
from profile_kinds import KINDS, read_url
from profile_message import Read, decode

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
BUILD = os.path.realpath(os.path.join(TOP, os.environ.get('B', 'build')))
LIBRARY = os.path.join(BUILD, 'libpprofshim.so')
HOSTS = os.path.join(BUILD, 'test', 'host')
BENCHES = os.path.join(BUILD, 'test', 'bench')

# Machines of a test farm are slow at times; a wait that runs into this has failed.
PATIENCE = float(os.environ.get('TEST_PATIENCE', '60'))

LISTENING = re.compile(r'^pprofshim\[(\d+)\]: listening on (\S+)', re.M)
OURS = re.compile(r'^pprofshim(\[\d+\])?: .*\n', re.M)


def program(name):
    """A test host of ours, else a program of the system."""
    for directory in (HOSTS, BENCHES):
        path = os.path.join(directory, name)
        if os.path.exists(path):
            return path
    path = shutil.which(name, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
    if path is None:
        raise FileNotFoundError(name)
    return path


def build_plugins():
    """What dlopen_cxx and dlopen_loop open, beside them."""
    os.makedirs(HOSTS, exist_ok=True)
    for source, compiler, name in (('c.c', os.environ.get('CC', 'cc'), 'plugin_c.so'),
                                   ('cxx.cc', os.environ.get('CXX', 'c++'), 'plugin_cxx.so')):
        source = os.path.join(TOP, 'test', 'host', 'plugin', source)
        target = os.path.join(HOSTS, name)
        if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
            # Another pytest may be at it, too (Makefile: beside).
            mine = '%s.%d' % (target, os.getpid())
            subprocess.run([compiler, '-O2', '-g', '-fPIC', '-shared', '-o', mine, source], check=True)
            os.replace(mine, target)


def environment(shim=True, before='', after='', env=None, **options):
    """A small environment: nothing of ours that the caller's shell might have set.
    before, after: other libraries to preload on either side; options: ADDR=..., CPU_HZ=..."""
    e = {k: v for k, v in os.environ.items()
         if not k.startswith('PPROFSHIM_') and k not in ('LD_PRELOAD', 'PYTHONDONTWRITEBYTECODE')}
    e['LC_ALL'] = 'C.UTF-8'
    preload = [x for x in (before, LIBRARY if shim else '', after) if x]
    if preload:
        e['LD_PRELOAD'] = ' '.join(preload)
    if shim:
        e['PPROFSHIM_ADDR'] = '127.0.0.1:0'
        e['PPROFSHIM_LOG'] = 'info'
        for name, value in options.items():
            e['PPROFSHIM_' + name] = str(value)
    e.update(env or {})
    return {k: v for k, v in e.items() if v is not None}


def eventually(what, condition, patience=None):
    """Waits until condition() is true and returns what it gave."""
    end = time.monotonic() + (patience or PATIENCE)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError('not within %g s: %s' % (patience or PATIENCE, what))
        time.sleep(0.02)


def free_port():
    """One that is free with the next one, and that nobody is given who asks for any port: of those another test
    takes a few each second, so that one that was free just now is taken once in thousands of times."""
    with open('/proc/sys/net/ipv4/ip_local_port_range') as f:
        given = int(f.read().split()[0])
    while True:
        port = random.randrange(10000, max(given - 200, 11000))
        with socket.socket() as s, socket.socket() as t:
            try:
                s.bind(('', port))
                t.bind(('', port + 1))
                return port
            except OSError:
                continue


def is_running(pid):
    """False also for a zombie."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


def build_id_of(path):
    text = subprocess.run(['readelf', '-n', path], capture_output=True, text=True).stdout
    m = re.search(r'Build ID: ([0-9a-f]+)', text)
    return m.group(1) if m else ''


def add_until(is_right, fetch, times=6):
    """A profile, to whose samples those of further ones are added until it is right; or six of them.  A busy machine
    gives a host so little CPU time in one that a single tick, or one that stands for several, is a tenth of it."""
    p = fetch()
    for _ in range(times - 1):
        if is_right(p):
            break
        p.samples += fetch().samples
    return p


def assert_of_one(p, value):
    """CPU time of one thread is no more than the window is long; and what a tick stands for that came late into it,
    0.14 s were seen.  Of two processes, each with a CPU, it would be twice as much."""
    assert 0 < value < p.duration_nanos + 0.3e9, (value, p.duration_nanos)


class Response:
    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    @property
    def text(self):
        return self.body.decode()


class Desk:
    """The address where one process serves."""

    def __init__(self, host, port, exe=None):
        self.host, self.port, self.exe = host, port, exe
        self.image = None               # the same file, also when another one has its name
        self.last = {}

    def __repr__(self):
        return '%s:%d' % (self.host, self.port)

    def url(self, path):
        return 'http://%s:%d%s' % (self.host, self.port, path)

    def connection(self, timeout):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=None):
        began = time.monotonic()
        c = self.connection(timeout or PATIENCE + 10)
        try:
            c.request(method, path, body=body, headers=headers or {})
            return self.answer(c, method, path, began)
        finally:
            c.close()

    def answer(self, c, method, path, began):
        """What comes on a connection where this was asked; whatever profile it is, it must pass the linter."""
        r = c.getresponse()
        data = r.read()
        response = Response(r.status, {k.lower(): v for k, v in r.getheaders()}, data, time.monotonic() - began)
        if method == 'GET':
            self.lint(path, response)
        return response

    @functools.cached_property
    def build_id(self):
        if not self.exe:
            return None
        # A program whose main has left has no image any more.
        return (build_id_of(self.image) if self.image else '') or build_id_of(self.exe)

    def lint(self, path, r):
        """Of any answer to a GET."""
        asked = read_url(path)
        if asked is None:
            return
        found = lint_answer(path, r.status, r.headers, r.body, exe=self.exe, build_id=self.build_id)
        found = [f for f in found if not self.excuses(asked.kind, f)]
        assert found == [], (path, found, r.status, r.body[:200])

    def get(self, path, **how):
        return self.request('GET', path, **how)

    def error(self, status, text, path, method='GET', **how):
        """An error exactly as Go words it."""
        r = self.request(method, path, **how)
        assert (r.status, r.text) == (status, text + '\n'), path
        assert lint_error(r.status, r.headers, r.body) == [], path
        return r

    def excuses(self, kind, finding):
        """What the linter says of a profile that is known; nothing of ours is."""
        return False

    def profile(self, path, timeout=None):
        """A profile, as its reader sees it."""
        if not path.startswith('/'):
            path = '/debug/pprof/' + path
        asked = read_url(path)
        assert asked is not None and asked.file is not None, path
        r = self.get(path, timeout=timeout)
        assert r.status == 200, (path, r.status, r.body[:200])
        if KINDS[asked.kind][4] and not asked.delta and '?' not in path:
            self.lint_with_last(asked.kind, r.body)
        read = Read(decode(r.body))
        read.response = r
        if asked.delta and 'delta_' not in path:
            # The window is a part of the time that it took.
            assert 0 < read.duration_nanos / 1e9 <= r.seconds, path
        return read

    def lint_with_last(self, kind, body):
        if kind in self.last:
            found = [f for f in lint_pair(self.last[kind], body, kind) if not self.excuses(kind, f)]
            assert found == [], (kind, found)
        self.last[kind] = body

    def raw(self, data, timeout=PATIENCE, half_close=False):
        """Sends these bytes, reads until the desk closes, or has been silent for so long."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as s:
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            answer = b''
            try:
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        break
                    answer += piece
            except (ConnectionResetError, socket.timeout):
                pass
            return answer


def default_signals():
    """A shell that started us in the background has its children ignore these."""
    for signo in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(signo, signal.SIG_DFL)


class Host:
    """A program, started.  Its output goes to files, so nothing blocks on us."""

    def __init__(self, argv, shim=True, before='', after='', env=None, cwd=None, stdin=None,
                 wait=True, **options):
        self.dir = tempfile.mkdtemp(prefix='pprofshim-test-')
        self.argv = [program(argv[0])] + [str(a) for a in argv[1:]]
        self.out = open(os.path.join(self.dir, 'stdout'), 'w+b')
        self.err = open(os.path.join(self.dir, 'stderr'), 'w+b')
        e = environment(shim=shim, before=before, after=after, env=env, **options)
        self.process = subprocess.Popen(
            self.argv, env=e, cwd=cwd or self.dir, start_new_session=True,
            stdin=subprocess.PIPE if stdin is None else stdin, stdout=self.out, stderr=self.err,
            preexec_fn=default_signals)
        self.pid = self.process.pid
        self._desk = None
        if shim and wait:
            try:
                self.desk
            except BaseException:
                self.stop()
                raise

    def _text(self, name):
        with open(os.path.join(self.dir, name), 'rb') as f:
            return f.read().decode('utf-8', 'replace')

    @property
    def stdout(self):
        return self._text('stdout')

    @property
    def stderr(self):
        return self._text('stderr')

    @property
    def log(self):
        """Our lines on its stderr."""
        return [m.group(0).rstrip('\n') for m in OURS.finditer(self.stderr)]

    def desks(self):
        """{pid: Desk} of all processes that have said where they listen."""
        found = {}
        for m in LISTENING.finditer(self.stderr):
            addr, port = m.group(2).rsplit(':', 1)
            found[int(m.group(1))] = Desk(addr.strip('[]'), int(port))
        return found

    @property
    def desk(self):
        """The desk of the process that was started."""
        if self._desk is None:
            def known():
                if self.process.poll() is not None:
                    raise AssertionError('%s ended with %s: %s' % (
                        self.argv, self.process.returncode, self.stderr[-2000:]))
                return self.desks().get(self.pid)
            self._desk = eventually('%s listens; it said %r' % (self.argv[0], self.stderr), known)
            self._desk.image = '/proc/%d/exe' % self.pid
            self._desk.exe = os.path.realpath(self._desk.image)
        return self._desk

    def get(self, path, **how):
        return self.desk.get(path, **how)

    def profile(self, path, **how):
        return self.desk.profile(path, **how)

    def profile_and_cpu(self, path, busy=1):
        """A profile; the CPU seconds that the kernel has counted meanwhile; and how many of these may be from
        before or after its window, if so many threads were busy all the time."""
        began, before = time.monotonic(), self.cpu_seconds()
        p = self.profile(path)
        used = self.cpu_seconds() - before
        return p, used, busy * (time.monotonic() - began - p.duration_nanos / 1e9)

    def window(self, path, change, prepare=lambda: None):
        """A delta of some seconds in which change() was called and was done.  Opening a window takes a moment that
        nobody sees, and a busy machine may come to the change too late: the profile says when it ended and how long
        it was, and then a longer one is tried."""
        for seconds in (2, 10, 50):
            prepare()
            asking = Background(lambda: self.profile('%s?seconds=%d' % (path, seconds)))
            time.sleep(seconds / 4)
            before = time.time_ns()
            change()
            after = time.time_ns()
            p = asking.get()
            if p.time_nanos - p.duration_nanos + 1e8 < before and after < p.time_nanos:
                return p
        raise AssertionError('not even in 50 seconds')

    def cpu_seconds(self):
        """What the kernel has counted for it, our own thread included; exact."""
        return time.clock_gettime(~self.pid << 3 | 2)      # CLOCK_PROCESS_CPUTIME_ID of another process

    def wait_for_output(self, text):
        eventually('%s prints %r' % (self.argv[0], text), lambda: text in self.stdout)

    def alive(self):
        return self.process.poll() is None

    def say(self, what=b'\n'):
        """Writes to its input."""
        self.process.stdin.write(what)
        self.process.stdin.flush()

    def end_of_input(self):
        if self.process.stdin:
            self.process.stdin.close()

    def wait(self, timeout=None):
        return self.process.wait(timeout or PATIENCE)

    def stop(self):
        """Ends it and everything that it started."""
        if self.process.stdin and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.out.close()
        self.err.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Result:
    """How a program ended."""

    def __init__(self, status, stdout, stderr, files):
        self.status, self.stdout, self.stderr, self.files = status, stdout, stderr, files

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return 'status %s\nstdout %r\nstderr %r\nfiles %r' % (
            self.status, self.stdout[-3000:], self.stderr[-3000:], self.files)


def run(argv, shim=True, timeout=120, stdin=b'', **how):
    """Runs a program to its end in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix='pprofshim-test-') as directory:
        how.setdefault('LOG', 'error')
        e = environment(shim=shim, **how)
        e['HOME'] = e['TMPDIR'] = directory
        p = subprocess.Popen([program(argv[0])] + [str(a) for a in argv[1:]], env=e, cwd=directory,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True)
        try:
            out, err = p.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            raise AssertionError('%s does not end; so far %r %r' % (argv, out[-2000:], err[-2000:]))
        files = sorted(os.path.relpath(os.path.join(d, f), directory)
                       for d, _, fs in os.walk(directory) for f in fs)
        return Result(p.returncode, out.decode('utf-8', 'replace'), err.decode('utf-8', 'replace'),
                      files)


class Background:
    """Calls of f in a thread, until told to stop; or once, with its result."""

    def __init__(self, f, repeat=False):
        self.result, self.failed, self._stop = None, None, threading.Event()

        def body():
            try:
                self.result = f()
                while repeat and not self._stop.is_set():
                    self.result = f()
            except BaseException as e:
                self.failed = e
        self.thread = threading.Thread(target=body, daemon=True)
        self.thread.start()

    def get(self, timeout=120):
        self._stop.set()
        self.thread.join(timeout)
        assert not self.thread.is_alive()
        if self.failed:
            raise self.failed
        return self.result
