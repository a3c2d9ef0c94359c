"""PPROFSHIM_REGISTRY: a file for each process, as Prometheus' file_sd reads it; whole or not there; gone with the
process, or known as dead by those who come after."""
import json
import os
import re
import socket
import subprocess
import tempfile
import time

import pytest

from clients import let_main_go, need
from command import NOBODY, needs_root, shut_in
from hosts import LIBRARY, LISTENING, Background, eventually, program, run
from test_listening import by_name, command_line, neighbours, says

# Prometheus: a label's name; those that begin with __ are not kept, but __meta_ is there for relabelling.
OTHER_BOOT = '01234567-89ab-cdef-0123-456789abcdef'
LABEL = re.compile(r'service_name|__meta_pprofshim_[a-z]+')


def parse(text):
    """(targets, labels) of the one group; strict, as Prometheus is with what it does not know."""
    (group,) = json.loads(text)
    assert set(group) == {'targets', 'labels'}
    assert all(type(t) is str and re.fullmatch(r'[^/\s]+:\d+', t) for t in group['targets'])
    assert all(type(v) is str and LABEL.fullmatch(k) for k, v in group['labels'].items())
    return group['targets'], {k.replace('__meta_pprofshim_', ''): v for k, v in group['labels'].items()}


def names(directory):
    return set(os.listdir(directory))


def path_of(directory, pid):
    return os.path.join(directory, '%d.json' % pid)


def entry(directory, pid):
    """When it is there."""
    def read():
        try:
            with open(path_of(directory, pid)) as f:
                return f.read()
        except FileNotFoundError:
            return None
    return parse(eventually('%d is in the registry' % pid, read))


def where(pids=None, net=None, boot=None):
    """As a process here says it of itself."""
    with open('/proc/sys/kernel/random/boot_id') as f:
        here = f.read().strip()
    return '%s %d %d %d' % (boot or here, pids or os.stat('/proc/self/ns/pid').st_ino,
                            net or os.stat('/proc/self/ns/net').st_ino, os.geteuid())


def leave(directory, name, **how):
    """A file as a process leaves it."""
    labels = {'service_name': 'x', '__meta_pprofshim_where': where(**how)}
    path = os.path.join(directory, name)
    with open(path, 'w') as f:
        json.dump([{'targets': [], 'labels': labels}], f)
    return path


def dead_pid():
    p = subprocess.Popen(['true'])
    p.wait()
    return p.pid


def is_swept(start, directory, before):
    """One that begins now finds what is dead; its own file is not counted."""
    h = start(['hold_heap', 1000], REGISTRY=str(directory), wait=False)
    entry(directory, h.pid)
    eventually('the directory is clean', lambda: names(directory) == before | {'%d.json' % h.pid})
    h.end_of_input()
    assert h.wait() == 0 and names(directory) == before


# --- what it says ---

def test_what_a_scraper_reads(start, tmp_path):
    began = time.time()
    h = start(['bash', '-c', 'umask 077; exec "$0" 1000', program('hold_heap')], ONLY='hold_heap', REGISTRY='%s//' % tmp_path,
              ADDR='unix:%s.sock,127.0.0.1:0,127.0.0.1:0' % tmp_path, wait=False)
    targets, labels = entry(tmp_path, h.pid)
    assert began - 2 <= int(labels.pop('started')) <= time.time() + 2
    said = [m.group(2) for m in LISTENING.finditer(h.stderr)]
    assert len(said) == 3 and targets == [said[1]], 'one of them: each is scraped'
    assert labels == {'service_name': 'hold_heap', 'pid': str(h.pid), 'where': where(),
                      'program': os.path.realpath(program('hold_heap')),
                      'addresses': ','.join(['unix:@pprofshim.%d.%d' % (os.geteuid(), h.pid)] + said)}
    assert os.stat(path_of(tmp_path, h.pid)).st_mode & 0o777 == 0o644, 'whatever the umask: scrapers are other users'
    assert names(tmp_path) == {'%d.json' % h.pid}


def test_a_half_is_never_seen(start, tmp_path):
    """It gets its mode when it is written, and its name then; that takes 0.3 s here. Who looks may be later than that on
    a busy machine, so he looks some times."""
    def is_seen_as_it_is_written(n):
        registry = tmp_path / str(n)
        registry.mkdir()
        h = start([need('strace'), '-f', '-qq', '-e', 'trace=fchmod', '-e', 'inject=fchmod:delay_enter=300000', '-o',
                   '/dev/null', '-E', 'LD_PRELOAD=' + LIBRARY, '-E', 'PPROFSHIM_ADDR=@test-v.%p', '-E',
                   'PPROFSHIM_REGISTRY=%s' % registry, program('hold_heap'), '1000'], shim=False)
        (name,) = eventually('it is being written', lambda: names(registry))
        pid, new = re.fullmatch(r'(\d+)\.json(\.new)?', name).groups()
        try:
            mode = os.stat(registry / name).st_mode & 0o777
        except FileNotFoundError:
            mode = None
        assert entry(registry, int(pid))[1]['pid'] == pid
        assert names(registry) == {'%s.json' % pid}
        h.end_of_input()
        return new and mode == 0o600
    assert any(is_seen_as_it_is_written(n) for n in range(5))


def test_it_follows_its_ports(start, tmp_path):
    """Somebody else wants the port, again and again; whoever reads meanwhile reads one state or another."""
    port, taken = neighbours(socket.AF_INET, '127.0.0.1', 6)
    for s in taken:
        s.close()
    h = start(['hold_heap', 1000], ADDR='127.0.0.1:%d' % port, REGISTRY=str(tmp_path), wait=False)
    assert entry(tmp_path, h.pid)[0] == ['127.0.0.1:%d' % port]
    path, seen = path_of(tmp_path, h.pid), []

    def read():
        with open(path) as f:
            seen.append(parse(f.read())[0][0])
    reader = Background(read, repeat=True)
    code = ('import socket, sys\nkept = []\nfor port in range(%d, %d):\n    sys.stdin.readline()\n'
            '    kept.append(socket.create_server(("127.0.0.1", port)))\n    print("has", port, flush=True)\nsys.stdin.read()'
            % (port, port + 5))
    other = start(['/usr/bin/python3', '-c', code], ADDR='@test-u.%p', wait=False)
    for n in range(port, port + 5):
        other.say()
        other.wait_for_output('has %d' % n)
        eventually('it has moved', lambda: seen[-1:] == ['127.0.0.1:%d' % (n + 1)])
    reader.get()
    assert seen == sorted(seen)


def test_the_next_program_of_a_process(start, tmp_path):
    h = start(['bash', '-c', 'read x; exec "$0" 1000', program('hold_heap')], REGISTRY=str(tmp_path), wait=False)
    assert entry(tmp_path, h.pid)[1]['service_name'] == 'bash'
    h.say()
    eventually('it is the other', lambda: entry(tmp_path, h.pid)[1]['service_name'] == 'hold_heap')
    assert names(tmp_path) == {'%d.json' % h.pid}


# --- the end ---

@pytest.mark.parametrize('way', ['return', 'exit', '_exit', '_Exit', 'quick_exit', 'exit_group', 'thread-exit', 'thread-_exit',
                                 'thread-quick_exit', 'last-returns', 'last-exit'])
def test_it_goes_with_the_process(start, tmp_path, way):
    """So does the file of a unix socket."""
    h = start(['exits', way], REGISTRY=str(tmp_path), ADDR='unix:%s/%%p.sock' % tmp_path, wait=False)
    entry(tmp_path, h.pid)
    assert '%d.sock' % h.pid in names(tmp_path)
    let_main_go(h)
    h.end_of_input()
    h.wait()
    assert names(tmp_path) == set()


@pytest.mark.parametrize('way', ['kill', 'abort', 'null', 'exec'])
def test_what_is_left_is_known_as_dead(start, tmp_path, way):
    """Killed, or another program by now, which has not our library."""
    h = start(['exits', way], REGISTRY=str(tmp_path), ONLY='exits,hold_heap', wait=False)
    entry(tmp_path, h.pid)
    h.end_of_input()
    h.wait()
    assert names(tmp_path) == {'%d.json' % h.pid}
    is_swept(start, tmp_path, set())


def test_children_leave_their_parents_alone(start, tmp_path):
    """They end by our doors, in its memory or a copy; then it ends itself, in a handler."""
    h = start(['children_end'], REGISTRY=str(tmp_path), ADDR='unix:%s/%%p.sock' % tmp_path, wait=False)
    entry(tmp_path, h.pid)
    h.say()
    h.wait_for_output('ready')
    assert h.stdout.count(': 1') == 16
    assert names(tmp_path) == {'%d.json' % h.pid, '%d.sock' % h.pid}
    h.end_of_input()
    assert h.wait() == 20 and names(tmp_path) == set()


FORKS = '''
import os, sys
sys.stdin.readline()
pid = os.fork()
if pid == 0:
    while not os.path.exists(sys.argv[1]):
        pass
    %s
os.waitpid(pid, 0)
print('alone', flush=True)
sys.stdin.read()
'''


@pytest.mark.parametrize('end', ['os._exit(0)', 'sys.exit(0)'])
def test_a_child_takes_its_own_along(start, tmp_path, end):
    may_go, registry = tmp_path / 'may_go', tmp_path / 'registry'
    registry.mkdir()
    h = start(['/usr/bin/python3', '-c', FORKS % end, str(may_go)], REGISTRY=str(registry))
    entry(registry, h.pid)
    before = os.lstat(path_of(registry, h.pid)).st_ino
    h.say()
    eventually('two of them', lambda: len([n for n in names(registry) if n.endswith('.json')]) == 2)
    may_go.touch()
    h.wait_for_output('alone')
    assert names(registry) == {'%d.json' % h.pid} and os.lstat(path_of(registry, h.pid)).st_ino == before


# --- who is dead ---

def test_who_is_dead_and_who_is_not(start, tmp_path):
    """Of what cannot be known nothing is said, and what is no file of ours is not touched."""
    sleeper = start(['sleep', '600'], shim=False)
    alive = start(['hold_heap', 1000], REGISTRY=str(tmp_path), wait=False)
    entry(tmp_path, alive.pid)
    dead = dead_pid()
    leave(tmp_path, '%d.json' % dead)
    leave(tmp_path, '%d.json' % sleeper.pid)
    leave(tmp_path, '4194304000.json', boot=OTHER_BOOT)     # no number of ours
    leave(tmp_path, '%d.json' % os.getppid(), boot=OTHER_BOOT)
    leave(tmp_path, '%d.7.json' % dead)
    old = leave(tmp_path, '%d.json.new' % dead)
    os.utime(old, (1, 1))
    stays = ['4194304000.json', '1.7.json', '%d.json.new' % sleeper.pid, '%d.json' % os.getpid(), 'notes.txt', 'x.json',
             '%djson' % dead, '1.json.new', '2.json']
    leave(tmp_path, '1.7.json', pids=7)
    leave(tmp_path, '%d.json.new' % sleeper.pid)
    leave(tmp_path, '%d.json' % os.getpid(), net=7)
    for name in ('notes.txt', 'x.json', '%djson' % dead):
        (tmp_path / name).write_text('mine')
    (tmp_path / 'precious').mkdir()
    target = leave(tmp_path / 'precious', 'file')
    (tmp_path / '1.json.new').symlink_to(target)
    os.utime(tmp_path / '1.json.new', (1, 1), follow_symlinks=False)
    (tmp_path / '2.json').symlink_to(leave(tmp_path / 'precious', 'dead', boot=OTHER_BOOT))
    before = os.lstat(path_of(tmp_path, alive.pid)).st_ino
    is_swept(start, tmp_path, {*stays, 'precious', '%d.json' % alive.pid})
    assert os.lstat(path_of(tmp_path, alive.pid)).st_ino == before, 'it was removed, and has come again'
    assert names(tmp_path / 'precious') == {'file', 'dead'}
    assert command_line(by_name(alive.pid))


def test_many_dead_ones(start, tmp_path):
    """More than are looked at in a step."""
    dead = dead_pid()
    for i in range(100):
        leave(tmp_path, '%d.%d.json' % (dead, i + 1))
    is_swept(start, tmp_path, set())


def test_a_number_that_another_namespace_has_too(start, tmp_path):
    leave(tmp_path, 'other', pids=7)
    h = start(['bash', '-c', 'mv "$1"/other "$1"/$$.json; exec "$0" 1000', program('hold_heap'), str(tmp_path)],
              REGISTRY=str(tmp_path), ONLY='hold_heap', wait=False)
    own = '%d.%d.json' % (h.pid, os.stat('/proc/self/ns/pid').st_ino)
    eventually('it has another name', lambda: names(tmp_path) == {'%d.json' % h.pid, own})
    assert parse((tmp_path / own).read_text())[1]['service_name'] == 'hold_heap'
    h.end_of_input()
    assert h.wait() == 0 and names(tmp_path) == {'%d.json' % h.pid}


def test_one_that_was_removed_comes_again(start, tmp_path):
    """Within some seconds; so does one that another has written over."""
    h = start(['hold_heap', 1000], REGISTRY=str(tmp_path), wait=False)
    entry(tmp_path, h.pid)
    os.unlink(path_of(tmp_path, h.pid))
    entry(tmp_path, h.pid)


# --- a directory that is no good ---

def test_what_is_planted_there_is_not_followed(start, tmp_path):
    victim, registry = tmp_path / 'victim', tmp_path / 'registry'
    victim.write_text('precious')
    registry.mkdir()
    h = start(['bash', '-c', 'ln -s "$1" "$2"/$$.json; ln -s "$1" "$2"/$$.json.new; exec "$0" 1000', program('hold_heap'),
               str(victim), str(registry)], REGISTRY=str(registry), ONLY='hold_heap', wait=False)
    eventually('it is written', lambda: names(registry) == {'%d.json' % h.pid}
               and not os.path.islink(path_of(registry, h.pid)))
    assert entry(registry, h.pid)[1]['pid'] == str(h.pid)
    assert victim.read_text() == 'precious' and victim.stat().st_mode & 0o777 != 0o600


@pytest.mark.parametrize('kind, text', [('nothing', 'no such directory'), ('file', 'not a directory, or only a link to one'),
                                        ('link', 'not a directory, or only a link to one')])
def test_what_is_no_directory(start, tmp_path, kind, text):
    """One line; the program is served all the same, and listed when there is one."""
    path = tmp_path / 'registry'
    (tmp_path / 'elsewhere').mkdir()
    if kind == 'file':
        path.write_text('precious')
    elif kind == 'link':
        path.symlink_to(tmp_path / 'elsewhere')
    h = start(['hold_heap', 1000], REGISTRY='%s/' % path, LOG='error', wait=False)
    want = 'pprofshim[%d]: PPROFSHIM_REGISTRY=%s: %s; this process is not in it' % (h.pid, path, text)
    eventually('it says so', lambda: h.log == [want])
    assert command_line(by_name(h.pid)) and names(tmp_path / 'elsewhere') == set()
    if kind != 'nothing':
        path.unlink()
    path.mkdir()
    entry(path, h.pid)
    assert h.log == [want]


@pytest.mark.parametrize('path', ['relative', './x'])
def test_a_relative_path(path):
    r = run(['true'], REGISTRY=path)
    assert r.status == 0 and r.stderr.count('\n') == 1
    assert 'PPROFSHIM_REGISTRY=%s: not allowed; allowed: an absolute path' % path in r.stderr and r.files == []


def test_a_full_one(start, tmp_path):
    """A file system of one page, which is taken."""
    where_to = tmp_path / 'registry'
    where_to.mkdir()
    h = start([*shut_in('--size', '4096', '--tmpfs', str(where_to), '--'), 'bash', '-c',
               'echo > "$1"/full; exec "$0" 1000', program('hold_heap'), str(where_to)], REGISTRY=str(where_to),
              ONLY='hold_heap', LOG='error', wait=False)
    eventually('it says so', lambda: says(h, 'no space left; this process is not in it'))
    pid = int(re.match(r'pprofshim\[(\d+)\]', h.log[0]).group(1))
    inside = '/proc/%d/root%s' % (pid, where_to)
    assert os.listdir(inside) == ['full'], 'not a half'
    os.unlink(inside + '/full')
    entry(inside, pid)
    assert len(h.log) == 1


BECOMES = '''
import os, sys
sys.stdin.readline()
%s
print('nobody', flush=True)
sys.stdin.readline()
os._exit(3)
'''


@pytest.fixture
def open_path():
    """As tmp_path, where everybody may look."""
    with tempfile.TemporaryDirectory(prefix='pprofshim-test-') as directory:
        os.chmod(directory, 0o755)
        yield directory


@needs_root
def test_rights_that_are_given_up(start, open_path):
    """Who may not write there any more is not listed; nor who finds another user's file in its way."""
    h = start(['/usr/bin/python3', '-c', BECOMES % ('os.setgroups([])\nos.setgid(%d)\nos.setuid(%d)' % (NOBODY, NOBODY))],
              REGISTRY=open_path, LOG='error', wait=False)
    entry(open_path, h.pid)
    h.say()
    h.wait_for_output('nobody')
    eventually('it says so', lambda: says(h, 'permission denied; this process is not in it'))
    assert names(open_path) == set()
    half = path_of(open_path, h.pid) + '.new'
    with open(half, 'w') as f:
        f.write('precious')
    os.chown(half, 1, 1)
    os.chmod(open_path, 0o1777)
    eventually('it says that, too', lambda: says(h, "another user's file is in the way; this process is not in it"))
    assert os.path.getsize(half) == 8
    os.unlink(half)
    assert entry(open_path, h.pid)[1]['where'].endswith(' %d' % NOBODY)
    h.say()
    assert h.wait() == 3 and names(open_path) == set() and len(h.log) == 2


@needs_root
@pytest.mark.parametrize('what', ['os.seteuid(%d)' % NOBODY, 'os.chroot("/proc")'])
def test_an_end_that_cannot_remove_it(start, open_path, what):
    """It is the end that it would have been, and the file is known as dead."""
    h = start(['/usr/bin/python3', '-c', BECOMES % what], REGISTRY=open_path, LOG='error', wait=False)
    entry(open_path, h.pid)
    h.say()
    h.wait_for_output('nobody')
    h.say()
    assert h.wait() == 3 and h.stderr == ''
    is_swept(start, open_path, set())
