"""Forks, execs and ends: each process has its own desk, and nobody answers for another."""
import http.client
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from hosts import assert_of_one, environment, eventually, free_port, is_running, program, run
from test_real_programs import ports_of


def fork_code(children=1):
    """A parent that spins and its children that spin, and says their pids."""
    return '''
import os, time
def spin():
    while True:
        x = 0
        for i in range(100000):
            x += i
for n in range(%d):
    pid = os.fork()
    if pid == 0:
        spin()
    print(pid, flush=True)
print('ready', flush=True)
spin()
''' % children


def test_fork_child_has_a_desk_of_its_own(start):
    h = start(['/usr/bin/python3', '-c', fork_code(2)])
    h.wait_for_output('ready')
    children = [int(x) for x in h.stdout.split()[:2]]
    eventually('three desks', lambda: set(h.desks()) == {h.pid, *children})
    desks = h.desks()
    assert len({d.port for d in desks.values()}) == 3
    for desk in desks.values():
        p = eventually('a sample', lambda: has_samples(desk.profile('profile?seconds=1')))
        assert_of_one(p, p.total('cpu'))
        assert any('_PyEval_EvalFrameDefault' in s.frames for s in p.samples)
        assert desk.profile('heap') is not None
    # A child that goes takes its desk with it, and only its own.
    os.kill(children[0], signal.SIGKILL)
    eventually('its port is closed', lambda: not answers(desks[children[0]]))
    assert answers(desks[children[1]]) and answers(desks[h.pid])
    # The parent goes: its port is free, although a child of it lives.
    h.process.kill()
    h.wait()
    assert is_running(children[1])
    eventually('the port of the parent is closed', lambda: not answers(desks[h.pid]))
    assert answers(desks[children[1]])


def has_samples(p):
    """The profile, or None if the host had no CPU time in it: on a busy machine that may be."""
    return p if p.samples else None


def answers(desk):
    try:
        return desk.get('/debug/pprof/cmdline').status == 200
    except (ConnectionError, http.client.HTTPException):
        return False


def test_a_child_starts_at_zero(start):
    """What the parent had used and allocated before is not the child's."""
    code = '''
import os
x = 0
for i in range(20000000):
    x += i
pid = os.fork()
if pid == 0:
    while True:
        x += 1
print('ready', flush=True)
os.wait()
'''
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')
    eventually('two desks', lambda: len(h.desks()) == 2)
    child = next(d for pid, d in h.desks().items() if pid != h.pid)
    p = eventually('a sample', lambda: has_samples(child.profile('profile?seconds=1')))
    assert_of_one(p, p.total('cpu'))


def test_heap_of_a_child(start):
    """The child has the parent's blocks: they are still its, and freeing them is no accident."""
    code = '''
import os
kept = [bytes(1 << 20) for _ in range(64)]
pid = os.fork()
if pid == 0:
    del kept[:32]
    more = [bytes(1 << 20) for _ in range(16)]
    print('ready', flush=True)
    while True:
        pass
os.wait()
'''
    h = start(['/usr/bin/python3', '-c', code], HEAP_RATE='16k')
    h.wait_for_output('ready')
    eventually('two desks', lambda: len(h.desks()) == 2)
    child = next(d for pid, d in h.desks().items() if pid != h.pid)
    parent_mib = h.profile('heap').total('inuse_space') >> 20
    child_mib = child.profile('heap').total('inuse_space') >> 20
    assert 64 <= parent_mib <= 75
    # 48 MiB if what it inherited counts, 16 if only its own does; never what it has freed.
    assert 15 <= child_mib <= 60


def test_idle_children_are_cheap(start):
    """A child that has hardly run has no thread and no port yet."""
    code = '''
import os, time
pids = []
for i in range(5):
    pid = os.fork()
    if pid == 0:
        os.read(0, 1)
        os._exit(0)
    pids.append(pid)
print('ready', flush=True)
time.sleep(1)
print(*[len(os.listdir('/proc/%d/task' % p)) for p in pids], flush=True)
print('done', flush=True)
time.sleep(60)
'''
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('done')
    # Python does some work after a fork: a child now and then gets a tick.
    assert set(h.stdout.split()[1:6]) <= {'1', '2'}


def test_children_none(start):
    h = start(['/usr/bin/python3', '-c', fork_code(2)], CHILDREN='none')
    h.wait_for_output('ready')
    time.sleep(1)
    assert set(h.desks()) == {h.pid}
    for pid in h.stdout.split()[:2]:
        assert len(os.listdir('/proc/%s/task' % pid)) == 1
    eventually('a sample', lambda: has_samples(h.profile('profile?seconds=1')))


def test_exec_starts_afresh(start):
    """The same process, another program: the new one's desk answers, the old one's port is closed."""
    h = start(['bash', '-c', 'for ((i = 0; i < 300000; i++)); do :; done; read x; exec %s 0' %
               program('spin_split')])
    first = h.desk
    h.say(b'go\n')
    eventually('a second line', lambda: len(h.log) == 2)
    port = int(re.findall(r'listening on 127\.0\.0\.1:(\d+)', h.stderr)[1])
    second = type(first)('127.0.0.1', port)
    assert b'spin_split' in second.get('/debug/pprof/cmdline').body
    # Where the host has 40 ms of CPU time, none of four ticks is in leaf_70 once in a hundred times.
    eventually('leaf_70', lambda: second.profile('profile?seconds=1').total('cpu', having='leaf_70') > 0)
    # What answers there may be another test's by now.
    assert port == first.port or first.port not in ports_of(h.pid)


def test_a_port_is_free_after_the_end(start):
    port = free_port()
    h = start(['hold_heap', 1000], ADDR='127.0.0.1:%d' % port)
    assert h.desk.port == port
    h.end_of_input()
    assert h.wait() == 0
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1', port))


@pytest.mark.parametrize('argv', [['main_leaves'], ['true'], ['spin_split', 3000]])
def test_it_ends_when_the_host_ends(argv):
    assert run(argv).status == 0


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT, signal.SIGPROF, signal.SIGSEGV,
                                   signal.SIGUSR1, signal.SIGALRM])
def test_signals_end_it_as_ever(start, signo):
    h = start(['spin_split', 0])
    os.kill(h.pid, signo)
    assert h.wait() == -signo


@pytest.mark.parametrize('how', ['unblock', 'jump'])
def test_sampled_again_when_sigprof_is_let_in(start, how):
    """Its timer stands still while the signal is blocked; the other way back only a scan can see."""
    h = start(['mask_comes_back', how])
    h.wait_for_output('ready')

    def is_seen():
        p = h.profile('profile?seconds=1')
        return any('spin_after' in s.frames for s in p.samples)
    eventually('spin_after in a profile', is_seen)


def test_stop_and_continue(start):
    h = start(['spin_split', 0])
    os.kill(h.pid, signal.SIGSTOP)
    time.sleep(0.3)
    os.kill(h.pid, signal.SIGCONT)
    eventually('a sample', lambda: has_samples(h.profile('profile?seconds=1')))


def test_a_request_under_way_does_not_delay_the_end(start):
    h = start(['hold_heap', 1000])
    c = http.client.HTTPConnection(h.desk.host, h.desk.port, timeout=20)
    c.request('GET', '/debug/pprof/profile?seconds=300')
    time.sleep(0.2)
    h.end_of_input()
    assert h.wait() == 0
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        c.getresponse()


def test_closing_all_descriptors_costs_only_the_desk_a_moment(start):
    """The host closes what it did not open: it lives, and the desk comes back."""
    code = '''
import os, time
os.closerange(3, 65536)
print('ready', flush=True)
x = os.open('/dev/null', os.O_RDONLY)
assert x == 3, x
time.sleep(60)
'''
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')

    def some_desk_answers():
        ports = re.findall(r'listening on 127\.0\.0\.1:(\d+)', h.stderr)
        return [p for p in ports if answers(type(h.desk)('127.0.0.1', int(p)))]
    eventually('a desk answers', some_desk_answers)
    assert h.alive()


def test_descriptors_come_in_order_while_we_work(start):
    """The desk opens and closes files and connections all the time: the host's numbers do not show it."""
    h = start(['lowest_fd', 'watch'])
    h.wait_for_output('ready')
    h.profile('profile?seconds=1')
    for _ in range(50):
        h.profile('heap')
        h.get('/debug/pprof/cmdline')
    h.end_of_input()
    h.wait()
    assert re.search(r'surprises 0 of [1-9]', h.stdout), h.stdout


@pytest.mark.parametrize('options', [{}, {'LOG': 'info'}])
def test_who_reads_our_output_sees_its_end(options):
    """A daemon closes its output while it runs on: whoever waits at the other end of the pipe goes on."""
    p = subprocess.Popen(['bash', '-c', 'sleep 0.3; exec <&- >&- 2>&-; sleep 300; true'], stdin=subprocess.PIPE,
                         env=environment(**options), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         start_new_session=True)
    try:
        p.stdout.read()
        p.stderr.read()
        assert p.poll() is None
    finally:
        os.killpg(p.pid, signal.SIGKILL)
        p.communicate()


def test_working_directory_that_goes_away(start, tmp_path):
    where = tmp_path / 'gone'
    where.mkdir()
    h = start(['deep_stack', 'wait'], cwd=str(where))
    h.wait_for_output('ready')
    where.rmdir()
    assert h.profile('heap').total('inuse_space', having='deep_malloc') > 0


def test_program_replaced_while_it_runs(start, tmp_path):
    """A new version is installed over the running one: names must not come from the new file."""
    copy = tmp_path / 'app'
    copy.write_bytes(open(program('deep_stack'), 'rb').read())
    copy.chmod(0o755)
    h = start([str(copy), 'wait'])
    h.wait_for_output('ready')
    other = tmp_path / 'new'
    other.write_bytes(open(program('spin_split'), 'rb').read())
    other.chmod(0o755)
    other.rename(copy)
    r = h.get('/debug/pprof/heap')
    assert r.status == 200
    h.desk.exe = None       # its name now is another file's
    p = h.profile('heap')
    assert p.total('inuse_space') > 0
    assert 'leaf_70' not in p.functions
