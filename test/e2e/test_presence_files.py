"""Descriptors: ours are in a table of their own, so the program's numbers, files and ends of pipes are its own,
whatever it closes; and the desk is reachable throughout, at the same port."""
import array
import os
import re
import socket
import subprocess
import sys

import pytest

from clients import EVERYTHING, Clients, answers_unix, need, run_plain, run_with_clients
from hosts import OURS, TOP, Background, environment, eventually, free_port, program


def touch(path):
    with open(path, 'w'):
        pass


# --- what the program closes -----------------------------------------------------------------------

WAYS = re.findall(r'^\t\{ "(\w+)", by_', open(os.path.join(TOP, 'test', 'host', 'closes_ways.c')).read(), re.M)


def test_there_are_ways():
    assert len(WAYS) >= 9


@pytest.mark.parametrize('way', WAYS)
def test_closes_everything(start, way):
    """No request fails meanwhile; what it then opens under our numbers, if we had any, stays as it was."""
    h = start(['closes_ways', way], **EVERYTHING)
    clients = Clients(h.desk)
    clients.have_got(5)
    h.say()
    eventually('it has closed all', lambda: os.path.exists(os.path.join(h.dir, 'ready')))
    clients.have_got(clients.answers + 30)
    assert clients.stop() == []
    # A new connection, at the same port, finds the same process.
    assert h.get('/debug/pprof/heap').status == 200
    touch(os.path.join(h.dir, 'stop'))
    lowest = {'blind': 0, 'standard': 0, 'limit': 0}.get(way, 3)
    assert h.wait() == lowest, '100: a file of its own was touched'
    assert len(h.desks()) == 1


# --- numbers ---------------------------------------------------------------------------------------

def test_listing_of_descriptors(start):
    """/proc/self/fd, the lowest free number and select's sets, at every moment, in threads and children."""
    expected = 'ready\nsurprises 0 here, 0 on a thread, 0 in children, rounds 1\n'
    assert run_with_clients(start, ['fd_watch', 'stay'], answers=100) == (0, expected, '')


def test_listing_from_outside(start):
    """What /proc/PID/fd shows is what the program has without us; only our thread's own list is longer."""
    def fds(pid, tid=None):
        where = '/proc/%d/%sfd' % (pid, 'task/%d/' % tid if tid else '')
        found = {}
        for n in os.listdir(where):
            try:
                found[int(n)] = os.readlink(os.path.join(where, n)).split(':')[0]
            except FileNotFoundError:
                pass
        return found
    plain = start(['exits', 'return'], shim=False)
    h = start(['exits', 'return'], **EVERYTHING)
    clients = Clients(h.desk)
    clients.have_got(5)
    expected = {0: 'pipe', 1: os.path.join(h.dir, 'stdout'), 2: os.path.join(h.dir, 'stderr')}
    eventually('the plain one has its descriptors', lambda: set(fds(plain.pid)) == set(expected))
    for _ in range(300):
        assert fds(h.pid) == expected
    tids = [int(t) for t in os.listdir('/proc/%d/task' % h.pid)]
    ours = [t for t in tids if open('/proc/%d/task/%d/comm' % (h.pid, t)).read() == 'pprofshim\n']
    assert 'socket' in fds(h.pid, ours[0]).values()
    # Of the program's it has none: not its input, not its output.
    for _ in range(300):
        assert not {'pipe', expected[1]} & set(fds(h.pid, ours[0]).values())
    clients.stop()


def test_limit_lowered_at_run_time(start):
    """To 16: the program can open as many as ever, and the desk answers."""
    plain = run_plain(['few_files', 'stay'])
    assert run_with_clients(start, ['few_files', 'stay'], answers=60) == plain


def test_limit_of_sixteen(start):
    """From the start, as ulimit -n 16."""
    command = ['bash', '-c', 'ulimit -n 16 && exec "$0" stay', program('few_files')]
    plain = run_plain(command)
    assert re.match(r'open 13, dup 13, socket 13, pipe 12, received 1[0-3], in a child 13\nanother number 0 times',
                    plain[1]), plain
    assert run_with_clients(start, command, answers=30, SKIP='bash') == plain


def passed_socket():
    s = socket.socket()
    s.bind(('127.0.0.1', free_port()))
    s.listen(20)
    return s


# As systemd does: the socket is 3, the pid is that of the program.
ACTIVATE = '''
import os, sys
fd, argv = int(sys.argv[1]), sys.argv[2:]
os.dup2(fd, 3)
os.closerange(4, 256)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LD_PRELOAD=sys.argv[2])
os.execv(argv[1], argv[1:])
'''


def ask(port, word):
    with socket.create_connection(('127.0.0.1', port), timeout=20) as s:
        s.sendall(word)
        return s.recv(100)


def test_socket_activation(tmp_path):
    """It is handed a socket as descriptor 3, which nobody else listens on or takes connections from."""
    listener = passed_socket()
    port = listener.getsockname()[1]
    address = str(tmp_path / '%p.sock')
    env = environment(ADDR='unix:' + address, **EVERYTHING)
    preload = env.pop('LD_PRELOAD')
    p = subprocess.Popen([sys.executable, '-c', ACTIVATE, str(listener.fileno()), preload,
                          program('listen_fds')], env=env, pass_fds=[listener.fileno()],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    listener.close()
    try:
        eventually('its desk answers', lambda: answers_unix(address.replace('%p', str(p.pid))))
        for i in range(50):
            word = b'word %d' % i
            assert ask(port, word) == word
            if i % 10 == 0:
                assert answers_unix(address.replace('%p', str(p.pid)))
        assert ask(port, b'end') == b'end'
        out, err = p.communicate(timeout=20)
    finally:
        p.kill()
        p.wait()
    assert out.decode() == 'passed 1, 3 listens 1, next free 4\nserved 51\n'
    assert OURS.sub('', err.decode()) == ''
    with pytest.raises(ConnectionRefusedError):
        ask(port, b'nobody')


def test_socket_activation_by_systemd(tmp_path):
    activate = need('systemd-socket-activate')
    port = free_port()
    p = subprocess.Popen([activate, '-l', '127.0.0.1:%d' % port, '-E', 'LD_PRELOAD=' + environment()['LD_PRELOAD'],
                          '-E', 'PPROFSHIM_ADDR=127.0.0.1:0', '-E', 'PPROFSHIM_LOG=quiet', program('listen_fds')],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=environment(shim=False))
    try:
        def answers():
            try:
                return ask(port, b'one') == b'one'
            except OSError:
                return False
        eventually('it is started by the first connection', answers)
        assert ask(port, b'end') == b'end'
        out = p.communicate(timeout=20)[0].decode()
    finally:
        p.kill()
        p.wait()
    assert out == 'passed 1, 3 listens 1, next free 4\nserved 2\n'


# --- ends ------------------------------------------------------------------------------------------

def test_ends_are_seen_at_once(start):
    """Pipes, sockets and locks of files end with the program's last descriptor: we have no copy."""
    expected = 'ready\ncopies 0 here, 0 on a thread, 0 after fork, 0 after exec\n'
    assert run_with_clients(start, ['pipe_ends', 'stay'], answers=100) == (0, expected, '')


def test_ends_are_seen_at_once_from_the_start(tmp_path):
    """While our thread is being born.  Where the constructor did not wait for it, one start in a hundred had
    a copy: all of these did not, once in 150."""
    copies = [subprocess.run([program('pipe_ends'), 'start'], cwd=str(tmp_path), timeout=20,
                             env=environment(ADDR='127.0.0.1:0', LOG='quiet')).returncode for _ in range(500)]
    assert not any(copies)


def test_a_reader_sees_the_end_of_a_daemon(tmp_path):
    """It closes 0, 1 and 2 while it runs on and is asked for profiles: who reads its output is done."""
    address = str(tmp_path / '%p.sock')
    p = subprocess.Popen([program('closes_ways'), 'standard'], cwd=str(tmp_path), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=environment(ADDR='unix:' + address, LOG='debug', **EVERYTHING))
    address = address.replace('%p', str(p.pid))
    try:
        eventually('it has a desk', lambda: answers_unix(address))
        p.stdin.write(b'\n')
        p.stdin.flush()
        assert Background(p.stdout.read).get(20) == b''
        assert OURS.sub('', Background(p.stderr.read).get(20).decode()) == ''
        assert answers_unix(address) and p.poll() is None
        touch(tmp_path / 'stop')
        assert p.wait(20) == 0
    finally:
        p.kill()
        p.communicate()


# --- descriptor 2 ----------------------------------------------------------------------------------

STDERR_WAYS = re.findall(r'\{ "(\w+)", by_',
                         open(os.path.join(TOP, 'test', 'host', 'stderr_goes.c')).read())


@pytest.mark.parametrize('first', ['pipe', 'file', 'null', 'closed'])
@pytest.mark.parametrize('way', STDERR_WAYS)
def test_stderr_becomes_another_file(way, first, tmp_path):
    """The desk of a child has lines to say when descriptor 2 is a file of the program's: they are not in it."""
    address = str(tmp_path / '%p.sock')
    stderr = {'pipe': subprocess.PIPE, 'null': subprocess.DEVNULL}.get(first)
    if first == 'file':
        stderr = open(tmp_path / 'data', 'wb')      # which the program removes
    p = subprocess.Popen([program('stderr_goes'), way], cwd=str(tmp_path), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=stderr,
                         preexec_fn=(lambda: os.close(2)) if first == 'closed' else None,
                         env=environment(ADDR='unix:' + address, LOG='debug', **EVERYTHING))
    if first == 'file':
        stderr.close()      # so that its inode is free when the program has removed it
    try:
        def child_answers():
            pids = open('/proc/%d/task/%d/children' % (p.pid, p.pid)).read().split()
            return pids and answers_unix(address.replace('%p', pids[0]))
        eventually('the child has a desk', child_answers)
        p.stdin.close()
        out = p.stdout.read().decode()
        assert p.wait(20) == 0
    finally:
        p.kill()
        p.wait()
    assert out == '%s: child 3, lines of others 0\n' % way
    text = (tmp_path / 'data').read_text()
    assert text in ('', 'line of the program\n'), text


# --- clients that go -------------------------------------------------------------------------------

def test_clients_that_go_early(start):
    """They ask and close at once, or reset: no SIGPIPE ends the program."""
    h = start(['exits', 'return'], **EVERYTHING)
    clients = Clients(h.desk)
    for i in range(200):
        s = socket.create_connection((h.desk.host, h.desk.port), timeout=20)
        s.sendall(b'GET /debug/pprof/heap HTTP/1.1\r\nHost: localhost\r\n\r\n' * 5)
        if i % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, array.array('i', [1, 0]).tobytes())
        elif i % 4:
            s.recv(10)
        s.close()
    clients.have_got(clients.answers + 10)
    assert clients.stop() == []
    pending = re.search(r'^SigPnd:\t0*$', open('/proc/%d/status' % h.pid).read(), re.M)
    assert pending and h.alive()
    h.end_of_input()
    assert h.wait() == 2
