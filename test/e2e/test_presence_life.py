"""How a program lives and dies with us in it: threads, forks, debuggers, and every way to end.

Everything runs with every allocation sampled, a thousand ticks a second and clients that fetch profiles
all the time; what the program does is compared with what it does without us."""
import ctypes
import glob
import os
import re
import signal
import socket
import subprocess

import pytest

from clients import EVERYTHING, Clients, answers_unix, ask_unix, let_main_go, need, run_plain, run_with_clients
from hosts import LIBRARY, OURS, TOP, Background, assert_of_one, environment, eventually, is_running, program, run


# --- ends ------------------------------------------------------------------------------------------

WAYS = re.findall(r'^\t\{ "([\w-]+)", by_', open(os.path.join(TOP, 'test', 'host', 'exits.c')).read(), re.M)
THROWS = re.findall(r'\{ "([\w-]+)", \w+ \}', open(os.path.join(TOP, 'test', 'host', 'throws.cc')).read())


def test_there_are_ways():
    assert len(WAYS) >= 23 and len(THROWS) >= 8


@pytest.mark.parametrize('way', WAYS)
def test_end(start, way):
    assert run_with_clients(start, ['exits', way]) == run_plain(['exits', way])


@pytest.mark.parametrize('way', THROWS)
def test_end_by_exception(start, way):
    assert run_with_clients(start, ['throws', way]) == run_plain(['throws', way])


def test_main_has_left(start):
    """Its desk reads what a leader that is a zombie does not show: the profile has names as before."""
    h = start(['exits', 'last-returns'], **EVERYTHING)
    let_main_go(h)

    def has_left():
        with open('/proc/%d/task/%d/stat' % (h.pid, h.pid)) as f:
            return f.read().rsplit(')', 1)[1].split()[0] == 'Z'
    eventually('main has left', has_left)
    assert len(h.get('/debug/pprof/cmdline').body) == len('\0'.join(h.argv))
    h.desk.exe = None       # its link is gone, too
    for path in ('heap', 'profile?seconds=1'):
        eventually('names in ' + path, lambda: any(
            'use_heap' in s.frames and 'be_busy' in s.frames for s in h.profile(path).samples))
    h.end_of_input()
    assert h.wait() == 0


@pytest.mark.parametrize('way', ['return', 'thread-exit', 'last-returns', 'exec'])
def test_end_with_requests_under_way(start, way):
    """Twenty profiles of five minutes do not hold up the end, and their clients see it."""
    h = start(['exits', way], **EVERYTHING)
    let_main_go(h)
    waiting = []
    for _ in range(20):
        s = socket.create_connection((h.desk.host, h.desk.port), timeout=20)
        s.sendall(b'GET /debug/pprof/profile?seconds=300 HTTP/1.1\r\nHost: localhost\r\n\r\n')
        waiting.append(s)
    h.get('/debug/pprof/cmdline')       # they have been accepted
    h.end_of_input()
    h.wait()
    assert (h.process.returncode, h.stdout) == run_plain(['exits', way])[:2]
    for s in waiting:
        try:
            assert s.recv(1) == b''
        except ConnectionResetError:
            pass
        s.close()


# --- one thread, then more -------------------------------------------------------------------------

TLS_PLUGIN = """
static __thread char initialised[3000] = "x";
static __thread int counter;
int *tls_counter(void);
int *tls_counter(void) { return initialised[0] == 'x' ? &counter : (int *)0; }
"""


@pytest.fixture(scope='module')
def tls_plugins(tmp_path_factory):
    """Libraries with thread-local data of their own: found at run time, and in the static block."""
    directory, built = tmp_path_factory.mktemp('plugins'), []
    (directory / 'tls.c').write_text(TLS_PLUGIN)
    for name, flags in (('tls_dynamic.so', []),
                        ('tls_static.so', ['-ftls-model=initial-exec', '-DSMALL'])):
        source = TLS_PLUGIN if not flags else TLS_PLUGIN.replace('3000', '300')
        (directory / 'tls.c').write_text(source)
        target = str(directory / name)
        subprocess.run([os.environ.get('CC', 'cc'), '-O1', '-fPIC', '-shared', *flags, '-o', target,
                        str(directory / 'tls.c')], check=True)
        built.append(target)
    return built


def test_threads_come_later(start, tls_plugins):
    """libc's flag, forks from main, a thread and one that nobody knows, libraries loaded by threads."""
    argv = ['late_threads', *tls_plugins]
    plain = run_plain(argv)
    assert 'before: alone 1, child 11\n' in plain[1]
    assert 'tls_dynamic.so: 4000\ntls_static.so: 4000\n' in plain[1]
    assert run_with_clients(start, argv) == plain


# --- forks -----------------------------------------------------------------------------------------

def test_fork_storm(start):
    """Sixteen threads fork under locks, four use the heap, three clients read: no child ever hangs."""
    plain = run_plain(['fork_storm', 0])
    assert plain == (0, 'some 1, badly 0\n', '')
    assert run_with_clients(start, ['fork_storm', 0], answers=300) == plain


def test_every_way_to_make_a_child(start):
    """Handlers, statuses, and no second task in a child that only ends or execs."""
    plain = run_plain(['fork_ways'])
    assert run_with_clients(start, ['fork_ways']) == plain
    assert ' 7' not in plain[1]


@pytest.fixture(scope='module')
def counting_malloc(tmp_path_factory):
    target = str(tmp_path_factory.mktemp('preload') / 'counting_malloc.so')
    subprocess.run([os.environ.get('CC', 'cc'), '-O1', '-fPIC', '-shared', '-DLIBRARY', '-D_GNU_SOURCE',
                    '-fno-builtin', '-o', target, os.path.join(TOP, 'test', 'host', 'own_malloc.c')],
                   check=True)
    return target


def test_no_malloc_in_a_child_before_its_own(start, counting_malloc):
    """By an allocator behind ours that counts: fork_ways gives status 70 to a child that finds a call."""
    r = run_with_clients(start, ['fork_ways'], after=counting_malloc)
    assert ' 70' not in r[1]
    plain = run_plain(['fork_ways'])
    assert r[1] == plain[1]


def test_own_malloc_of_the_program(start):
    """We call it neither in a child nor while profiles are made."""
    expected = 'in a child 0, here 0\n' * 5 + 'while it waits 0\n'
    assert run_plain(['own_malloc']) == (0, expected, '')
    assert run_with_clients(start, ['own_malloc'], answers=60) == (0, expected, '')


def test_children_of_children(start):
    """Made by main, by threads, by threads that nobody knows: each has a desk, and its CPU time is seen."""
    plain = run_plain(['fork_depth', 6])
    h = start(['fork_depth', 6], **EVERYTHING)
    eventually('seven desks', lambda: len(h.desks()) == 7)
    desks = h.desks().values()
    assert len({d.port for d in desks}) == 7

    def spins(desk):
        return eventually('it spins', lambda: next(
            (p for p in [desk.profile('profile?seconds=1')] if p.total('cpu', having='spin_at_depth') > 0), None))
    for profile in [Background(lambda d=d: spins(d)) for d in desks]:
        p = profile.get()
        # Its own, not that of all.
        assert_of_one(p, p.total('cpu', having='spin_at_depth'))
    clients = [Clients(d) for d in desks]
    for c in clients:
        c.have_got(5)
    h.end_of_input()
    assert h.wait() == 0
    for c in clients:
        c.stop()
    assert h.stdout == plain[1] == '7 processes\n'


@pytest.mark.parametrize('how', ['daemon', 'twice'])
def test_daemon(how, tmp_path):
    """The parent and the one in the middle end at once; the daemon has a desk at last, and ends by itself."""
    pid_file = tmp_path / 'pid'
    sockets = str(tmp_path / '%p.sock')
    p = subprocess.Popen([program('becomes_daemon'), how, str(pid_file)], cwd=str(tmp_path),
                         env=environment(ADDR='unix:' + sockets, **EVERYTHING),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        out = p.communicate(timeout=20)[0].decode()     # it has closed our pipe
        assert p.returncode == 0
        assert OURS.sub('', out) == run_plain(['becomes_daemon', how])[1]
        pid = int(eventually('its pid', lambda: pid_file.exists() and pid_file.read_text()))
        address = sockets.replace('%p', str(pid))
        eventually('the daemon has a desk', lambda: answers_unix(address))
        status, body = ask_unix(address, 'heap?debug=1')
        assert status == 200 and b'heap profile' in body
        assert ask_unix(address, 'profile?seconds=1')[0] == 200
        assert is_running(pid)
    finally:
        pid_file.unlink()
    eventually('the daemon ends', lambda: not is_running(pid))


def test_titles(start):
    """Arguments and environment are written over: the options were read before."""
    plain = run_plain(['sets_title'])
    assert "title 'server: worker', HOME is set, 0 variables elsewhere" in plain[1]
    assert run(['sets_title'], **EVERYTHING).stdout == plain[1]
    h = start(['sets_title', 'stay'], **EVERYTHING)
    eventually('a desk in the worker', lambda: len(h.desks()) == 2)
    titles = {d.get('/debug/pprof/cmdline').body.rstrip(b'\0') for d in h.desks().values()}
    assert titles == {b'server: master process', b'server: worker'}
    for desk in h.desks().values():
        eventually('it works', lambda: any(
            'work_until_the_end' in s.frames for s in desk.profile('profile?seconds=1').samples))
    h.end_of_input()
    assert h.wait() == 0


# --- watched by others -----------------------------------------------------------------------------

def gdb(*commands, args=(), cwd=None):
    argv = [need('gdb'), '-batch', '-nx', '-iex', 'set auto-load off', '-iex', 'set debuginfod enabled off']
    for c in commands:
        argv += ['-ex', c]
    r = subprocess.run(argv + [str(a) for a in args], capture_output=True, text=True, cwd=cwd, timeout=120,
                       stdin=subprocess.DEVNULL)
    return r.stdout + r.stderr


def wrapper(**options):
    """For gdb, which itself shall not have the library: the environment of the program alone."""
    e = environment(**options)
    return 'env ' + ' '.join('%s=%s' % (k, v) for k, v in e.items()
                             if k.startswith('PPROFSHIM_') or k == 'LD_PRELOAD')


def test_gdb_runs_it(tmp_path):
    """A breakpoint, a stack, our thread by its name, a call of a function, and on to the same end."""
    need('gdb')
    out = tmp_path / 'out'
    said = gdb('set exec-wrapper ' + wrapper(**EVERYTHING), 'break by_exit',
               'run thread-exit < /dev/null > %s' % out, 'bt', 'info threads', 'print (int)getpid() > 1',
               'print errno >= 0', 'continue', args=[program('exits')], cwd=str(tmp_path))
    assert re.search(r'^#0 .*by_exit', said, re.M), said
    assert re.search(r'^#1 .* go ', said, re.M), said
    assert re.search(r'LWP.*"pprofshim"', said), said
    assert said.count(' = 1\n') == 2, said
    assert 'exited with code 03' in said, said
    assert out.read_text() == run_plain(['exits', 'thread-exit'])[1]


def test_gdb_comes_and_goes(start, tmp_path):
    """Attached to it while it serves, takes a core of it, leaves: it serves on, and the core can be read."""
    need('gdb')
    h = start(['exits', 'return'], **EVERYTHING)
    clients = Clients(h.desk)
    clients.have_got(5)
    core = tmp_path / 'core'
    said = gdb('info threads', 'thread apply all bt 3', 'gcore %s' % core, 'detach', args=['-p', h.pid])
    assert 'Saved corefile' in said, said
    assert '"pprofshim"' in said, said
    before = clients.answers
    clients.have_got(before + 10)
    h.end_of_input()
    assert h.wait() == 2
    clients.stop()
    said = gdb('info threads', 'thread apply all bt', args=[program('exits'), core])
    assert 'be_busy' in said and 'end_of_input' in said, said
    assert len(re.findall(r'^\*? +\d+ +(?:Thread|LWP)', said, re.M)) == 5, said
    core.unlink()


@pytest.mark.parametrize('way', ['null', 'thread-null', 'abort', 'last-abort'])
def test_core_dump(way, tmp_path):
    """The kernel writes one as ever, and gdb finds the place in it."""
    with open('/proc/sys/kernel/core_pattern') as f:
        piped = f.read().startswith('|')
    dumped = {}
    for shim in (False, True):
        where = tmp_path / str(shim)
        where.mkdir()
        p = subprocess.Popen(['bash', '-c', 'ulimit -c unlimited && exec "$0" ' + way, program('exits')],
                             cwd=str(where), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL,
                             env=environment(shim=shim, SKIP='bash', **(EVERYTHING if shim else {})))
        _, status = os.waitpid(p.pid, 0)
        p.returncode = status
        dumped[shim] = (os.WTERMSIG(status), os.WCOREDUMP(status), len(glob.glob(str(where / '*core*'))))
    assert dumped[True] == dumped[False]
    if piped or not dumped[True][2]:
        return
    core = glob.glob(str(tmp_path / 'True' / '*core*'))[0]
    # Untouched memory takes no room: some MiB more, not what is reserved.
    plain = glob.glob(str(tmp_path / 'False' / '*core*'))[0]
    assert os.stat(core).st_blocks * 512 < os.stat(plain).st_blocks * 512 + (24 << 20)
    said = gdb('bt', 'info threads', args=[program('exits'), core])
    os.unlink(core)
    assert re.search(r'by_(null|abort)', said), said


def test_strace(start, tmp_path):
    """The program does not know that it is traced, nor that we are traced with it."""
    for argv in (['exits', 'thread-exit'], ['fork_tree'], ['fork_storm', 2]):
        r = run([need('strace'), '-f', '-qq', '-o', str(tmp_path / 'trace'), '-E', 'LD_PRELOAD=' + LIBRARY,
                 program(argv[0]), *argv[1:]], env={'LD_PRELOAD': None}, **EVERYTHING)
        assert (r.status, r.stdout, r.stderr) == run_plain(argv), argv
        assert 'pprofshim' in (tmp_path / 'trace').read_text()


def test_strace_comes_and_goes(start, tmp_path):
    strace = need('strace')
    h = start(['exits', 'return'], **EVERYTHING)
    clients = Clients(h.desk)
    clients.have_got(5)
    for _ in range(3):
        p = subprocess.Popen([strace, '-f', '-qq', '-o', str(tmp_path / 'trace'), '-p', str(h.pid)],
                             stderr=subprocess.PIPE)
        before = clients.answers
        clients.have_got(before + 10)
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=20)
    before = clients.answers
    clients.have_got(before + 10)
    h.end_of_input()
    assert h.wait() == 2
    clients.stop()
    assert h.stdout == run_plain(['exits', 'return'])[1]


def test_ltrace():
    argv = [need('ltrace'), '-o', '/dev/null', program('own_malloc')]
    plain = run(argv, shim=False)
    r = run([*argv[:3], 'env', 'LD_PRELOAD=' + LIBRARY, argv[3]], env={'LD_PRELOAD': None}, **EVERYTHING)
    assert (r.status, r.stdout) == (plain.status, plain.stdout)


@pytest.mark.parametrize('tool', ['none', 'memcheck'])
def test_valgrind(tool):
    """Output, status and the number of errors are the program's own."""
    valgrind = [need('valgrind'), '--tool=' + tool, '--fair-sched=yes', '--error-exitcode=99']
    for argv in (['exits', 'thread-exit'], ['fork_depth', '2']):
        plain = run([*valgrind, program(argv[0]), *argv[1:]], shim=False)
        r = run([*valgrind, program(argv[0]), *argv[1:]])
        assert (r.status, r.stdout) == (plain.status, plain.stdout), (r, plain)
        errors = [re.findall(r'ERROR SUMMARY: (\d+)', x.stderr) for x in (plain, r)]
        assert errors[0] == errors[1], r.stderr


def tasks(pid):
    """{tid: name}"""
    found = {}
    for tid in os.listdir('/proc/%d/task' % pid):
        with open('/proc/%d/task/%s/comm' % (pid, tid)) as f:
            found[int(tid)] = f.read().rstrip('\n')
    return found


# linux/ptrace.h, linux/wait.h
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


def test_our_thread_is_stopped_by_a_tracer(start):
    """Held by ptrace it does not answer, and the program runs on; let go, it answers what was asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    code = 'while True:\n [bytearray(600) for _ in range(20000)]\n print("on", flush=True)'
    h = start(['/usr/bin/python3', '-c', code], **EVERYTHING)
    ours = [t for t in tasks(h.pid) if tasks(h.pid)[t] == 'pprofshim']
    assert len(ours) == 1
    if libc.ptrace(PTRACE_SEIZE, ours[0], 0, 0) != 0:
        pytest.skip('ptrace is not allowed here')
    try:
        assert libc.ptrace(PTRACE_INTERRUPT, ours[0], 0, 0) == 0
        os.waitpid(ours[0], WALL)
        asking, said = Clients(h.desk), len(h.stdout)
        eventually('the program works on', lambda: len(h.stdout) > said + 30)
        assert asking.answers == 0 and asking.failures == []
    finally:
        libc.ptrace(PTRACE_DETACH, ours[0], 0, 0)
    asking.have_got(10)
    assert h.alive() and asking.stop() == []


def test_stopped_and_continued_by_a_shell(start):
    """As by Ctrl-Z and fg, again and again, while profiles are made."""
    h = start(['exits', 'return'], **EVERYTHING)
    clients = Clients(h.desk)
    for _ in range(20):
        os.kill(h.pid, signal.SIGSTOP)
        _, status = os.waitpid(h.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.kill(h.pid, signal.SIGCONT)
        before = clients.answers
        clients.have_got(before + 2)
    h.end_of_input()
    assert h.wait() == 2
    clients.stop()
    assert h.stdout == run_plain(['exits', 'return'])[1]


def test_checkpoint(start, tmp_path):
    """Where criu can dump the plain program it can dump it with us, and both run on."""
    criu = need('criu')
    for shim in (False, True):
        h = start(['exits', 'return'], shim=shim, **(EVERYTHING if shim else {}))
        images = tmp_path / str(shim)
        images.mkdir()
        r = subprocess.run([criu, 'dump', '--shell-job', '--leave-running', '-t', str(h.pid), '-D', str(images)],
                           capture_output=True, text=True, timeout=60)
        if not shim and r.returncode != 0:
            pytest.skip('criu cannot dump a plain program here: ' + r.stderr[-300:])
        assert r.returncode == 0, r.stderr
        assert not shim or h.get('/debug/pprof/heap').status == 200
        h.end_of_input()
        assert h.wait() == 2
