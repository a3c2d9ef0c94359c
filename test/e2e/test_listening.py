"""Where processes listen: each form of address, what is in the way, the name by which one is found, and who of a
family has a port.  (What is wrong in a list is in test_options.py, the registry in test_registry.py.)"""
import os
import random
import re
import socket
import subprocess
import sys
import time

import pytest

from clients import need
from command import NOBODY, needs_root, shut_in
from failing import UnixDesk
from hosts import LIBRARY, LISTENING, PATIENCE, Desk, eventually, program, run


def said(h, pid=None):
    """The addresses that a process has said, in their order."""
    return [m.group(2) for m in LISTENING.finditer(h.stderr) if int(m.group(1)) == (pid or h.pid)]


def says(h, text):
    """How often our lines have this in them."""
    return sum(text in line for line in h.log)


def desk_at(address):
    if address.startswith('unix:'):
        return UnixDesk(address[5:].replace('@', '\0', 1) if address.startswith('unix:@') else address[5:])
    host, port = address.rsplit(':', 1)
    return Desk(host.strip('[]'), int(port))


def by_name(pid, uid=None):
    return UnixDesk('\0pprofshim.%d.%d' % (os.geteuid() if uid is None else uid, pid))


def command_line(desk):
    """What the process there has been started with; None: nobody is there."""
    try:
        r = desk.get('/debug/pprof/cmdline', timeout=10)
    except OSError:
        return None
    assert r.status == 200, r.body
    return r.text.split('\0')


def has_v6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(('::1', 0))
        return True
    except OSError:
        return False


# --- the list ---

def test_each_form(start, tmp_path):
    forms = [('127.0.0.1:0', r'127\.0\.0\.1:\d+'), (' localhost:0', r'127\.0\.0\.1:\d+'), (':0 ', r'127\.0\.0\.1:\d+'),
             ('127.255.0.9:0', r'127\.255\.0\.9:\d+'),
             ('unix:%s/a%%%%.%%p.sock' % tmp_path, re.escape('unix:%s/a%%.' % tmp_path) + r'PID\.sock'),
             ('unix:@test-x.%p', r'unix:@test-x\.PID'), ('@test-y.%p.%%', r'unix:@test-y\.PID\.%')]
    if has_v6():
        forms.append(('[::1]:0', r'\[::1\]:\d+'))
    h = start(['hold_heap', 1000], ADDR=','.join(f for f, _ in forms), wait=False)
    eventually('it says where it listens', lambda: len(said(h)) == len(forms))
    for address, (form, want) in zip(said(h), forms):
        assert re.fullmatch(want.replace('PID', str(h.pid)), address), form
        assert command_line(desk_at(address)) == h.argv, form
    assert len(set(said(h))) == len(forms)
    h.end_of_input()
    assert h.wait() == 0 and os.listdir(tmp_path) == []


def neighbours(family, host, n):
    """So many sockets that listen at ports one after the other, below those that the kernel gives away."""
    while True:
        port, taken = random.randrange(12000, 30000), []
        try:
            for i in range(n):
                taken.append(socket.socket(family))
                taken[-1].bind((host, port + i))
                taken[-1].listen()
            return port, taken
        except OSError:
            for s in taken:
                s.close()


@pytest.mark.parametrize('family', ['v4', 'v6'])
def test_as_many_ports_as_it_was_told(start, family):
    """Else it answers by its name, says so once, and looks again now and then."""
    if family == 'v6' and not has_v6():
        pytest.skip('no ::1 here')
    host, form = ('127.0.0.1', '127.0.0.1:%d') if family == 'v4' else ('::1', '[::1]:%d')
    port, taken = neighbours(socket.AF_INET if family == 'v4' else socket.AF_INET6, host, 4)
    taken[3].close()        # a fourth is free
    with taken[0], taken[1], taken[2]:
        h = start(['hold_heap', 1000], ADDR=form % port, PORT_TRIES=3, LOG='error', wait=False)
        want = 'cannot listen on %s: address in use; it answers on unix:@pprofshim.%d.%d' % (
            form % port, os.geteuid(), h.pid)
        eventually('it says so', lambda: h.log == ['pprofshim[%d]: %s' % (h.pid, want)])
        assert command_line(by_name(h.pid)) == h.argv
        time.sleep(0.4)     # it has tried again
        taken[2].close()
        eventually('it has the third', lambda: command_line(Desk(host, port + 2)) == h.argv)
        assert len(h.log) == 1
    assert len(h.log) == 1


# --- the file of a unix socket ---

def test_it_is_the_owners_alone_from_the_first_moment(start, tmp_path):
    """bind takes a second here; a file that is given its mode afterwards would be everybody's until then."""
    path = tmp_path / 'sock'
    h = start(['bash', '-c', 'umask 0; exec "$@"', 'bash', need('strace'), '-f', '-qq', '-e', 'trace=bind', '-e',
               'inject=bind:delay_exit=500000', '-o', '/dev/null', '-E', 'LD_PRELOAD=' + LIBRARY, '-E',
               'PPROFSHIM_ADDR=unix:%s' % path, program('hold_heap'), '1000'], shim=False)
    eventually('it is there', lambda: os.path.lexists(path))
    assert os.lstat(path).st_mode & 0o777 == 0o600
    eventually('it answers', lambda: command_line(UnixDesk(str(path))))
    assert os.lstat(path).st_mode & 0o777 == 0o600
    h.end_of_input()


def leave_stale(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


def in_the_way(kind, path):
    """Something at this path; what has to be kept, so that it stays."""
    if kind == 'file':
        path.write_text('precious')
    elif kind == 'directory':
        path.mkdir()
    elif kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'link to nothing':
        path.symlink_to(path.parent / 'nothing')
    elif kind == 'link to a stale socket':
        leave_stale(path.parent / 'other')
        path.symlink_to(path.parent / 'other')
    else:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == 'datagrams' else socket.SOCK_STREAM)
        s.bind(str(path))
        if kind == 'server':
            s.listen(0)
        return s
    return None


IN_THE_WAY = {'file': 'another file', 'directory': 'another file', 'fifo': 'another file',
              'link to nothing': 'a symbolic link', 'link to a stale socket': 'a symbolic link',
              'server': 'address in use', 'not yet a server': 'address in use', 'datagrams': 'address in use'}


@pytest.mark.parametrize('kind', IN_THE_WAY)
def test_what_is_in_the_way_stays(start, tmp_path, kind):
    """One line; and when it has gone we listen there."""
    path = tmp_path / 'sock'
    kept = in_the_way(kind, path)
    before = sorted((n, os.lstat(tmp_path / n).st_ino) for n in os.listdir(tmp_path))
    h = start(['hold_heap', 1000], ADDR='unix:%s' % path, LOG='error', wait=False)
    eventually('it says why not', lambda: says(h, 'cannot listen on unix:%s: %s' % (path, IN_THE_WAY[kind])))
    assert sorted((n, os.lstat(tmp_path / n).st_ino) for n in os.listdir(tmp_path)) == before
    if kind == 'file':
        assert path.read_text() == 'precious'
    if kind == 'server':
        # We have only asked the kernel: nobody has come to it.
        kept.setblocking(False)
        with pytest.raises(BlockingIOError):
            kept.accept()
    if kept:
        kept.close()        # stale now
    elif kind == 'directory':
        path.rmdir()
    else:
        path.unlink()
    eventually('it listens', lambda: command_line(UnixDesk(str(path))) == h.argv)
    assert len(h.log) == 1


def test_one_of_ours_that_lives_is_not_replaced(start, tmp_path):
    path = tmp_path / 'sock'
    h = start(['hold_heap', 1000], ADDR='unix:%s' % path, wait=False)
    eventually('it listens', lambda: said(h))
    other = start(['hold_heap', 1001], ADDR='unix:%s' % path, wait=False)
    eventually('the other does not', lambda: says(other, 'address in use; it answers on unix:@'))
    assert command_line(UnixDesk(str(path))) == h.argv
    h.process.kill()
    h.wait()
    eventually('the other does', lambda: command_line(UnixDesk(str(path))) == other.argv)


def test_a_directory_that_comes_later(start, tmp_path):
    path = tmp_path / 'later' / 'sock'
    h = start(['hold_heap', 1000], ADDR='unix:%s' % path, LOG='error', wait=False)
    eventually('it says why not', lambda: says(h, 'no such directory'))
    path.parent.mkdir()
    eventually('it listens', lambda: command_line(UnixDesk(str(path))))
    assert len(h.log) == 1


def test_two_who_find_the_same_stale_file_take_turns(start, tmp_path):
    """By a lock on its directory, which the test has for so long."""
    import fcntl
    path = tmp_path / 'sock'
    leave_stale(path)
    before = os.lstat(path).st_ino
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        h = start(['hold_heap', 1000], ADDR='unix:%s' % path, wait=False)
        eventually('it is there', lambda: command_line(by_name(h.pid)))
        time.sleep(0.5)
        assert said(h) == [] and os.lstat(path).st_ino == before
    finally:
        os.close(directory)
    eventually('it listens', lambda: command_line(UnixDesk(str(path))) == h.argv)
    assert h.log == ['pprofshim[%d]: listening on unix:%s' % (h.pid, path)]


def test_a_name_that_is_anothers(start):
    name = 'pprofshim-test-%d' % os.getpid()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind('\0' + name)
        h = start(['hold_heap', 1000], ADDR='@' + name, LOG='error', wait=False)
        eventually('it says so', lambda: says(h, 'cannot listen on unix:@%s: address in use' % name))
    eventually('it listens', lambda: command_line(UnixDesk('\0' + name)) == h.argv)


# --- found by its process id ---

@pytest.mark.parametrize('addr', ['127.0.0.1:0', 'unix:@test-z.%p'])
def test_each_process_has_a_name(start, addr):
    h = start(['bash', '-c', 'read x; exec %s 1000' % program('hold_heap')], ADDR=addr, wait=False)
    eventually('it answers', lambda: command_line(by_name(h.pid)) == h.argv)
    h.say()
    want = [program('hold_heap'), '1000']
    eventually('so does the next program of the process', lambda: command_line(by_name(h.pid)) == want)
    assert says(h, '@pprofshim.') == 0, 'nobody asked for it'
    h.end_of_input()
    assert h.wait() == 0
    assert command_line(by_name(h.pid)) is None


ASKS = r'''
import socket, sys
s, answer, wrong = socket.socket(socket.AF_UNIX), b"", ""
s.connect(bytes.fromhex(sys.argv[1]))
try:
    s.sendall(b"GET /debug/pprof/cmdline HTTP/1.0\r\n\r\n" + b"x" * int(sys.argv[2]))
except OSError as e:
    wrong += "%r\n" % e
try:
    while True:
        more = s.recv(65536)
        if not more:
            break
        answer += more
except OSError as e:
    wrong += "%r\n" % e
sys.stdout.buffer.write(answer)
sys.stderr.write(wrong)
'''


def ask_as(uid, name, more=0):
    """A client that goes on writing behind its request, if told so."""
    return subprocess.Popen([sys.executable, '-c', ASKS, name.encode().hex(), str(more)], user=uid, group=uid,
                            extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@needs_root
def test_only_its_user_and_root_may_ask(start):
    """A name keeps nobody out by its mode, so the kernel is asked who is there."""
    code = ('import os, sys\nsys.stdin.readline()\nos.setgroups([])\nos.setgid(%d)\nos.setuid(%d)\n'
            'print("nobody", flush=True)\nsys.stdin.read()' % (NOBODY, NOBODY))
    h = start(['/usr/bin/python3', '-c', code], ADDR='@test-w.%p', wait=False)
    eventually('it answers', lambda: command_line(by_name(h.pid)))
    h.say()
    h.wait_for_output('nobody')
    own = '\0pprofshim.%d.%d' % (NOBODY, h.pid)
    eventually('it has the name of its new user', lambda: command_line(by_name(h.pid, NOBODY)))
    assert command_line(by_name(h.pid)) is None, 'the former one'
    for name in (own, '\0test-w.%d' % h.pid):
        for uid in (0, NOBODY):
            answer, wrong = ask_as(uid, name).communicate()
            assert re.match(r'HTTP/1\.[01] 200 OK', answer) and h.argv[0] in answer, (uid, answer, wrong)
        # More of them than wait at a time; and they are in nobody's way.
        strangers = [ask_as(1, name, 50000) for _ in range(10)]
        assert command_line(UnixDesk(name)) == h.argv
        for stranger in strangers:
            answer, wrong = stranger.communicate()
            assert re.match(r'HTTP/1\.[01] 403 Forbidden', answer) and h.argv[0] not in answer, (answer, wrong)
    # Who is still writing sees no broken pipe, if it does not take a second (one of five does not).
    assert any(ask_as(1, own, 50000).communicate()[1] == '' for _ in range(5))


def test_off_means_no_socket_at_all(tmp_path):
    """In a network of its own there is nothing else to be seen."""
    script = ('for ((i = 0; i < $0; i++)); do mapfile t < /proc/net/tcp; mapfile u < /proc/net/unix\n'
              '[[ ${t[*]} == *0100007F:* && ${u[*]} == *@pprofshim.* ]] && break; sleep 0.1; done\n'
              'cat /proc/net/unix /proc/net/tcp /proc/net/tcp6 /proc/net/udp; ls /proc/$$/task | wc -l')

    def look(addr, tenths):
        return run([*shut_in('--unshare-net', '--'), 'bash', '-c', script, '%d' % tenths], ADDR=addr, ONLY='bash',
                   LOG='error', REGISTRY=str(tmp_path))
    r = look('127.0.0.1:0', 10 * PATIENCE)
    assert '@pprofshim.' in r.stdout and ' 0100007F:' in r.stdout, (r.stdout, r.stderr)
    r = look('off', 3)
    lines = r.stdout.splitlines()
    assert r.stderr == '' and lines[-1] == '1' and len(lines) == 5, 'no more than headings: ' + r.stdout
    assert os.listdir(tmp_path) == []


# --- families ---

def test_a_child_has_a_port_when_it_has_lived_for_a_while(start):
    """100 ms; most of what a shell starts is over by then.  It has its name meanwhile."""
    h = start(['bash', '-c', 'echo $EPOCHREALTIME; %s 1000 <&0 & echo $!; wait' % program('hold_heap')])
    eventually('it has started', lambda: len(h.stdout.split()) >= 2)
    began, child = float(h.stdout.split()[0]), int(h.stdout.split()[1])
    eventually('it listens', lambda: said(h, child))
    assert time.time() - began >= 0.1
    assert command_line(desk_at(said(h, child)[0])) == command_line(by_name(child)) == [program('hold_heap'), '1000']


FORKS = ('import os, sys\npid = os.fork()\nx = 0\nif pid == 0:\n    while True:\n        x += 1\n'
         'print(pid, flush=True)\nsys.stdin.read()\nos.kill(pid, 9)\n')
CHILDREN = {'forked': ['/usr/bin/python3', '-c', FORKS],
            'executed': ['bash', '-c', '%s 1000 <&0 & echo $!; wait' % program('hold_heap')]}


@pytest.mark.parametrize('how', CHILDREN)
@pytest.mark.parametrize('options, ported', [({}, True), ({'CHILDREN': 'socket'}, False),
                                             ({'PORT_TRIES': 1}, False)], ids=['all', 'socket', 'no port free'])
def test_who_of_a_family_has_a_port(start, tmp_path, how, options, ported):
    """All of them are found; a port that a child does not get is no error."""
    port, taken = neighbours(socket.AF_INET, '127.0.0.1', 1)
    taken[0].close()
    h = start(CHILDREN[how], ADDR='127.0.0.1:%d' % port, LOG='error', REGISTRY=str(tmp_path), wait=False, **options)
    eventually('there is a child', lambda: re.search(r'^\d+\n', h.stdout, re.M))
    child = int(re.search(r'^(\d+)\n', h.stdout, re.M).group(1))
    # It is written when it is known where it listens.
    eventually('both are known', lambda: {'%d.json' % h.pid, '%d.json' % child} <= set(os.listdir(tmp_path)))
    entry = (tmp_path / ('%d.json' % child)).read_text()
    assert ('127.0.0.1:' in entry) == ported, entry
    assert 'unix:@pprofshim.%d.%d' % (os.geteuid(), child) in entry
    assert '"127.0.0.1:%d"' % port in (tmp_path / ('%d.json' % h.pid)).read_text()
    assert command_line(by_name(child))
    assert h.stderr == ''
    if 'PORT_TRIES' in options:
        with_line = start(CHILDREN[how], ADDR='127.0.0.1:%d' % port, wait=False, **options)
        eventually('at LOG=info it says so', lambda: says(with_line, 'address in use; it answers on unix:@pprofshim.'))
