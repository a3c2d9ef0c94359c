"""Our own thread: it holds no right that the host gave up, is not there where a host must be alone, and
gives way where it is in the way."""
import http.client
import os
import shutil
import socket
import time

import pytest

from hosts import eventually, free_port, run

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason='not root: there is nothing to give up')


def ours(pid):
    """The status of our thread in this process, as {field: words}; None without one."""
    for tid in os.listdir('/proc/%d/task' % pid):
        try:
            with open('/proc/%d/task/%s/status' % (pid, tid)) as f:
                status = {line.split(':')[0]: line.split(':', 1)[1].split() for line in f}
        except (FileNotFoundError, ProcessLookupError):
            continue
        if status['Name'] == ['pprofshim']:
            status['tid'] = int(tid)
            return status
    return None


# --- rights ------------------------------------------------------------------------------------

@needs_root
@pytest.mark.parametrize('road', ['libc', 'raw', 'capabilities', 'while'])
def test_it_follows_the_host_down(start, road):
    """The host compares all its threads itself; then it still serves."""
    assert run(['gives_up_rights', road], shim=False).stdout == road + ': all threads alike\n'
    h = start(['gives_up_rights', road, 'wait'])
    h.wait_for_output(road)
    assert h.stdout == road + ': all threads alike\n'
    status = eventually('our thread', lambda: ours(h.pid))
    assert status['Uid'] == ['65534'] * 4 and status['Gid'] == ['65534'] * 4
    assert h.get('/debug/pprof/cmdline').status == 200
    assert h.profile('heap') is not None


@needs_root
def test_it_stays_while_the_host_only_plays_another(start):
    """seteuid and back, 200 times: one thread of ours all the time, nobody's connection is cut."""
    code = '''
import os, sys
print('ready', flush=True)
sys.stdin.readline()
for i in range(200):
    os.seteuid(65534)
    os.seteuid(0)
print('done', flush=True)
sys.stdin.readline()
'''
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')
    c = http.client.HTTPConnection(h.desk.host, h.desk.port, timeout=20)
    c.request('GET', '/debug/pprof/cmdline')
    assert c.getresponse().read()
    tid = ours(h.pid)['tid']
    h.say()
    h.wait_for_output('done')
    c.request('GET', '/debug/pprof/cmdline')
    assert c.getresponse().read()
    assert ours(h.pid)['tid'] == tid
    c.close()


def test_no_capability_no_new_privileges_no_priority(start):
    h = start(['spin_split', 0])
    status = ours(h.pid)
    for field in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
        assert int(status[field][0], 16) == 0, field
    assert status['NoNewPrivs'] == ['1']
    assert int(status['SigBlk'][0], 16) & 0x7ffffffe7ffbfeff == 0x7ffffffe7ffbfeff
    tid = status['tid']
    assert os.sched_getscheduler(tid) == os.SCHED_OTHER


@needs_root
def test_no_realtime_priority_from_a_realtime_host(start):
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pytest.skip('no real-time scheduling here')
    try:
        h = start(['spin_split', 0])
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert os.sched_getscheduler(h.pid) == os.SCHED_FIFO
    assert os.sched_getscheduler(ours(h.pid)['tid']) == os.SCHED_OTHER


# --- alone -------------------------------------------------------------------------------------

def test_what_only_a_process_with_one_thread_may_do():
    plain = run(['needs_to_be_alone'], shim=False)
    assert 'unshare thread: ok' in plain.stdout
    for _ in range(3):
        assert run(['needs_to_be_alone']) == plain
        assert run(['needs_to_be_alone'], CPU_HZ=1000, HEAP_RATE=1) == plain


def test_it_comes_back_in_the_new_namespace(start):
    h = start(['needs_to_be_alone', 'stay'])
    h.wait_for_output('ready')
    if 'Operation not permitted\nunshare mount' in h.stdout:
        pytest.skip('no user namespaces here, not even without us')
    eventually('our thread', lambda: ours(h.pid))
    assert os.readlink('/proc/%d/task/%d/ns/user' % (h.pid, ours(h.pid)['tid'])) == \
        os.readlink('/proc/%d/ns/user' % h.pid)
    assert h.get('/debug/pprof/cmdline').status == 200


def test_user_namespace_while_clients_are_there(start):
    """They are cut, the host gets what it asked for."""
    code = '''
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
print('ready', flush=True)
sys.stdin.readline()
print(libc.unshare(0x10000000), ctypes.get_errno(), flush=True)
sys.stdin.readline()
'''
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')
    plain = run(['/usr/bin/python3', '-c', code], shim=False, stdin=b'\n\n')
    c = http.client.HTTPConnection(h.desk.host, h.desk.port, timeout=20)
    c.request('GET', '/debug/pprof/profile?seconds=30')
    time.sleep(0.2)
    h.say()
    eventually('the answer', lambda: h.stdout.count('\n') == 2)
    assert h.stdout == plain.stdout
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        c.getresponse().read()
    eventually('it serves again', lambda: ours(h.pid))
    assert h.get('/debug/pprof/cmdline').status == 200


def test_bubblewrap():
    if shutil.which('bwrap') is None:
        pytest.skip('no bubblewrap here')
    argv = ['bwrap', '--unshare-all', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', 'id', '-u']
    plain = run(argv, shim=False)
    if plain.status != 0:
        pytest.skip('not even without us: ' + plain.stderr)
    assert run(argv) == plain


@needs_root
@pytest.mark.parametrize('flags', [0x20000, 0x200], ids=['mount', 'fs'])
def test_it_goes_where_the_host_shuts_itself_in(start, tmp_path, flags):
    """A mount namespace or a root of its own: no thread of the process stays outside."""
    code = '''
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(%d), ctypes.get_errno(), flush=True)
os.chroot(%r)
print('ready', flush=True)
sys.stdin.readline()
''' % (flags, str(tmp_path))
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')
    if not h.stdout.startswith('0 '):
        pytest.skip('not even without us: ' + h.stdout)
    tid = eventually('our thread', lambda: ours(h.pid))['tid']
    assert os.readlink('/proc/%d/task/%d/root' % (h.pid, tid)) == str(tmp_path)
    assert os.readlink('/proc/%d/task/%d/ns/mnt' % (h.pid, tid)) == os.readlink('/proc/%d/ns/mnt' % h.pid)
    assert h.get('/debug/pprof/cmdline').status == 200


def test_a_library_that_signals_every_thread(start):
    """It would wait for ever for a thread that has all signals blocked."""
    assert run(['signals_every_thread'], shim=False).stdout == 'others: 0\n'
    h = start(['signals_every_thread', 'wait'])
    h.wait_for_output('ready')
    assert h.stdout == 'others: 0\nready\n'
    eventually('our thread', lambda: ours(h.pid))
    assert h.get('/debug/pprof/cmdline').status == 200


# --- fork --------------------------------------------------------------------------------------

def test_a_parent_that_counts_its_threads(start):
    """CPython from 3.12 on does, and warns: at most one thread after each of 40 forks."""
    assert run(['counts_threads'], shim=False).stdout == 'at most 1\n'
    h = start(['counts_threads', 'wait'])
    h.wait_for_output('ready')
    assert 'at most 1\n' in h.stdout
    eventually('it serves again', lambda: ours(h.pid))
    assert h.get('/debug/pprof/cmdline').status == 200
    assert h.profile('heap') is not None


def newer_pythons():
    return [p for p in ('python3.12', 'python3.13', 'python3.14', 'python3.15') if shutil.which(p)]


@pytest.mark.parametrize('python', newer_pythons() or [None])
def test_python_does_not_warn_at_fork(python):
    if python is None:
        pytest.skip('no Python of 3.12 or later here')
    code = 'import os, warnings; warnings.simplefilter("always")\n' \
           'for i in range(20):\n  sum(range(500000))\n  if os.fork() == 0: os._exit(0)\n  os.wait()'
    assert run([python, '-c', code]) == run([python, '-c', code], shim=False)


# --- sandboxes ---------------------------------------------------------------------------------

@pytest.mark.parametrize('road', ['prctl', 'syscall', 'strict', 'refused', 'doors', 'threads'])
def test_a_program_that_filters_its_system_calls(road):
    """Any call of ours would end it."""
    plain = run(['filters_itself', road], shim=False)
    assert run(['filters_itself', road]) == plain
    assert run(['filters_itself', road], CPU_HZ=1000, HEAP_RATE=1) == plain


def test_after_a_filter_we_are_gone_and_say_so(start):
    h = start(['filters_itself', 'prctl', 'wait'])
    h.wait_for_output('ready')
    assert ours(h.pid) is None
    assert any('filter' in line for line in h.log)


def test_after_a_refused_filter_all_goes_on(start):
    h = start(['filters_itself', 'refused', 'wait'], HEAP_RATE=4096)
    h.wait_for_output('ready')
    eventually('it serves again', lambda: ours(h.pid))
    assert h.profile('heap').total('alloc_space', having='work') > 0


def test_a_question_about_filters_cuts_nobody(start):
    """libseccomp asks with arguments that cannot be meant."""
    code = '''
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
print('ready', flush=True)
sys.stdin.readline()
libc.syscall(317, 0, 1, None)
libc.syscall(317, 1, 1, None)
libc.prctl(22, 2, None, 0, 0)
print('asked', flush=True)
sys.stdin.readline()
'''
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')
    c = http.client.HTTPConnection(h.desk.host, h.desk.port, timeout=20)
    c.request('GET', '/debug/pprof/cmdline')
    assert c.getresponse().read()
    h.say()
    h.wait_for_output('asked')
    c.request('GET', '/debug/pprof/cmdline')
    assert c.getresponse().read()
    assert not any('filter' in line for line in h.log)
    c.close()


# --- ports -------------------------------------------------------------------------------------

BINDS = '''
import socket, sys, time
print('ready', flush=True)
sys.stdin.readline()
s = socket.socket(%s)
%s
try:
    s.bind((%r, int(sys.argv[1])))
    s.listen(5)
    print('bound', flush=True)
except OSError as e:
    print(e, flush=True)
sys.stdin.readline()
'''
REUSE = 's.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)'


@pytest.mark.parametrize('family,option,address', [
    ('socket.AF_INET', '', '127.0.0.1'), ('socket.AF_INET', REUSE, '127.0.0.1'),
    ('socket.AF_INET', REUSE, '0.0.0.0'), ('socket.AF_INET6', REUSE, '::')])
def test_a_port_that_the_host_wants_is_the_hosts(start, family, option, address):
    port = free_port()
    if family == 'socket.AF_INET6' and not os.path.exists('/proc/net/if_inet6'):
        pytest.skip('no IPv6 here')
    h = start(['/usr/bin/python3', '-c', BINDS % (family, option, address), str(port)], ADDR='127.0.0.1:%d' % port)
    h.wait_for_output('ready')
    assert h.desk.port == port
    # With a client that stays, and one that has gone just now.
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    c.request('GET', '/debug/pprof/cmdline')
    c.getresponse().read()
    h.say()
    h.wait_for_output('\n')
    eventually('the answer', lambda: h.stdout.count('\n') == 2)
    assert h.stdout == 'ready\nbound\n'
    moved = eventually('another port', lambda: h.desks()[h.pid] if h.desks()[h.pid].port != port else None)
    assert b'python3' in moved.get('/debug/pprof/cmdline').body
    with socket.create_connection(('127.0.0.1', port), timeout=5):
        pass            # the host's


def test_a_datagram_socket_is_no_reason_to_move(start):
    port = free_port()
    code = BINDS % ('socket.AF_INET, socket.SOCK_DGRAM', '', '127.0.0.1')
    h = start(['/usr/bin/python3', '-c', code.replace('s.listen(5)', 'pass'), str(port)],
              ADDR='127.0.0.1:%d' % port)
    h.say()
    h.wait_for_output('bound')
    assert h.get('/debug/pprof/cmdline').status == 200 and h.desk.port == port


def test_a_port_that_is_anothers_stays_his(start):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen(1)
        port = other.getsockname()[1]
        h = start(['/usr/bin/python3', '-c', BINDS % ('socket.AF_INET', '', '127.0.0.1'), str(port)])
        h.say()
        h.wait_for_output('[Errno 98]')
        assert h.get('/debug/pprof/cmdline').status == 200


def test_a_port_that_a_child_of_the_host_wants(start):
    """A shell under the library got the port; the server that it starts, which has a desk, too, wants it."""
    port = free_port()
    server = BINDS % ('socket.AF_INET', '', '127.0.0.1')
    h = start(['bash', '-c', 'read x; /usr/bin/python3 -c "$0" %d; echo status $?' % port, server],
              ADDR='127.0.0.1:%d' % port)
    assert h.desk.port == port
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    c.request('GET', '/debug/pprof/cmdline')
    c.getresponse().read()
    for _ in range(2):
        h.say()
        eventually('two desks', lambda: len(h.desks()) == 2)
    eventually('the answer', lambda: h.stdout.count('\n') == 2)
    assert h.stdout == 'ready\nbound\n'
    moved = eventually('another port', lambda: h.desks()[h.pid] if h.desks()[h.pid].port != port else None)
    assert b'bash' in moved.get('/debug/pprof/cmdline').body
    assert len({port, *(d.port for d in h.desks().values())}) == 3


def test_a_port_that_a_forked_child_wants(start):
    """The parent's desk holds it, and the child has hardly run."""
    port = free_port()
    code = '''
import os, socket, sys
print('ready', flush=True)
sys.stdin.readline()
if os.fork() == 0:
    s = socket.socket()
    s.bind(('127.0.0.1', %d))
    s.listen(5)
    print('bound', flush=True)
    os._exit(0)
print(os.wait()[1], flush=True)
sys.stdin.readline()
''' % port
    h = start(['/usr/bin/python3', '-c', code], ADDR='127.0.0.1:%d' % port)
    assert h.desk.port == port
    h.wait_for_output('ready')
    h.say()
    eventually('the end of the child', lambda: h.stdout.count('\n') == 3)
    assert h.stdout == 'ready\nbound\n0\n'
    moved = eventually('another port', lambda: h.desks()[h.pid] if h.desks()[h.pid].port != port else None)
    assert moved.get('/debug/pprof/cmdline').status == 200


def test_a_port_that_is_bound_and_not_listened_to_yet(start):
    """With SO_REUSEADDR our desk in a child could take it; then it gives it back."""
    port = free_port()
    code = '''
import socket, subprocess, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', %d))
child = subprocess.Popen(['sleep', '60'])
print('ready', flush=True)
sys.stdin.readline()
try:
    s.listen(5)
    print('listening', flush=True)
except OSError as e:
    print(e, flush=True)
child.kill()
''' % port
    h = start(['/usr/bin/python3', '-c', code], ADDR='127.0.0.1:%d' % port)
    h.wait_for_output('ready')
    eventually('the desk of the child', lambda: len(h.desks()) == 2)
    assert port in [d.port for d in h.desks().values()]
    h.end_of_input()
    h.wait()
    assert h.stdout == 'ready\nlistening\n'
