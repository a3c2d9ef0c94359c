"""pprofshim ls and get: which processes can be asked, and what they answer."""
import concurrent.futures
import http.server
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from command import NOBODY, Under, call, installed, line_of, needs_root, shut_in  # noqa: F401
from hosts import Background, environment, eventually
from lint_profile import lint_message
from profile_kinds import read_url
from test_listening import by_name, command_line

ALONE = ['--unshare-net', '--']


@pytest.fixture
def under(installed):  # noqa: F811
    """under(OPTION..., PROGRAM, ...) -- a host that the command has started; all are stopped at the end."""
    running = []

    def start(*argv, **how):
        running.append(Under(installed, argv, **how))
        return running[-1]
    yield start
    for h in running:
        h.stop()


def rows(installed, **how):  # noqa: F811
    """{PID: (user, uptime, [addresses], program)}"""
    done = installed('ls', **how)
    assert done.stderr == ''
    lines = done.stdout.splitlines()
    assert not lines or lines[0].split() == ['PID', 'USER', 'UPTIME', 'ADDRESSES', 'PROGRAM'], lines
    found = {}
    for line in lines[1:]:
        pid, user, uptime, addresses, program = line.split(None, 4)
        assert int(pid) not in found
        found[int(pid)] = user, uptime, addresses.split(','), program
    return found


# --- ls ---

def test_nobody_is_there(installed):  # noqa: F811
    """A network of its own has no socket of anybody."""
    done = installed('ls', before=shut_in(*ALONE))
    assert (done.stdout, done.stderr) == ('', '')


def test_whoever_is_there(installed, under):  # noqa: F811
    a = under('hold_heap', 40)
    b = under('hold_heap', 41)
    found = rows(installed)
    for h, n in (a, '40'), (b, '41'):
        user, uptime, addresses, program = found[h.pid]
        assert addresses == [repr(h.desk)]
        assert program == '%s %s' % (h.desk.exe, n)
        assert user == subprocess.run(['id', '-nu'], capture_output=True, text=True).stdout.strip()
        assert re.fullmatch(r'\d\d:\d\d', uptime)
    # One that stands still cannot answer, but is there.
    os.kill(a.pid, signal.SIGSTOP)
    assert rows(installed)[a.pid][2:] == found[a.pid][2:]
    os.kill(a.pid, signal.SIGKILL)
    a.process.wait()
    assert a.pid not in rows(installed) and b.pid in rows(installed)


def test_all_its_addresses(installed, under, tmp_path):  # noqa: F811
    """As the log says them; not what the program itself listens at."""
    path = tmp_path / 'a b.%p.sock'
    script = ('import socket, sys\n'
              's = socket.create_server(("127.0.0.1", 0))\n'
              'print(s.getsockname()[1], flush=True)\n'
              'sys.stdin.read()\n')
    h = under('--addr=127.0.0.1:0,[::1]:0,[::]:0,0.0.0.0:0,unix:%s,@odd name-%%p' % path, '--insecure=1',
              '/usr/bin/python3', '-c', script)
    h.wait_for_output('\n')
    said = re.findall(r'^pprofshim\[%d\]: listening on (.*)' % h.pid, h.stderr, re.M)
    said = [s.split(' (')[0] for s in said]
    assert len(said) == 6, h.stderr
    done = installed('ls')
    line, = [x for x in done.stdout.splitlines() if x.split()[0] == str(h.pid)]
    assert ' %s ' % ','.join(said) in line
    assert ':' + h.stdout.strip() not in line


def test_uptime(installed, under, tmp_path):  # noqa: F811
    """As ps has it; by a clock since boot that says how long ago the program was started."""
    h = under('hold_heap', 40)
    with open('/proc/%d/stat' % h.pid) as f:
        started = int(f.read().rpartition(')')[2].split()[19]) // os.sysconf('SC_CLK_TCK')
    clock = tmp_path / 'uptime'
    for ago, text in ((0, '00:00'), (75, '01:15'), (3600 + 61, '01:01:01'), (3 * 86400 + 7200 + 9, '3-02:00:09')):
        clock.write_text('%d.99 1.00\n' % (started + ago))
        before = shut_in('--ro-bind', str(clock), '/proc/uptime')
        assert rows(installed, before=before)[h.pid][1] == text


def test_what_is_said_of_a_program_is_harmless(installed, under):  # noqa: F811
    """Its arguments may be anything."""
    h = under('hold_heap', '40\x1b[31m\n\x07red', 'x' * 300)
    program = rows(installed)[h.pid][3]
    assert '40?[31m??red xxx' in program and len(program) == 100


@needs_root
def test_whose_they_are(installed, under):  # noqa: F811
    """Root sees everybody's; another one only those that would answer."""
    mine = under('sleep', '600')
    with open('/etc/passwd') as f:
        nobody = [line.split(':')[0] for line in f if line.split(':')[2] == str(NOBODY)]
    other = under('sh', '-c', 'exec setpriv --reuid=%d --regid=%d --clear-groups sleep 600' % (NOBODY, NOBODY))
    # setpriv has been nobody before.
    eventually('it is nobody', lambda: command_line(by_name(other.pid, NOBODY)) == ['sleep', '600'])
    everybody = rows(installed)
    assert {mine.pid, other.pid} <= set(everybody)
    assert everybody[other.pid][0] == (nobody or [str(NOBODY)])[0] and everybody[mine.pid][0] == 'root'
    assert mine.pid not in rows(installed, user=NOBODY)
    assert installed('get', other.pid, 'cmdline', user=NOBODY).stdout == 'sleep\x00600'
    assert installed('get', other.pid, 'cmdline').stdout == 'sleep\x00600'
    says = line_of(installed('get', mine.pid, 'cmdline', user=NOBODY, status=1))
    assert says == '%d: a process of user 0; only that one and root may ask it' % mine.pid


def listen_as(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind('\0' + name)
    s.listen()
    return s


def test_a_name_is_no_proof(installed):  # noqa: F811
    """Anybody may take one: of a process that has not the library, of another user, of none."""
    me, uid = os.getpid(), os.geteuid()
    sockets = [listen_as(n) for n in ('pprofshim.%d.%d' % (uid, me), 'pprofshim.4321.%d' % me, 'pprofshim.%d.x' % uid,
                                      'pprofshim.%d.%d.7' % (uid, me), 'xpprofshim.%d.%d' % (uid, os.getppid()),
                                      'pprofshim.%d.08' % uid, 'pprofshim.08.%d' % os.getppid())]
    try:
        assert rows(installed)[me] == (subprocess.run(['id', '-nu'], capture_output=True, text=True).stdout.strip(),
                                       '?', ['?'], '?')
        assert os.getppid() not in rows(installed)
        assert 'somebody else listens under its name' in line_of(installed('get', me, 'heap', status=1))
    finally:
        for s in sockets:
            s.close()
    assert me not in rows(installed)


@needs_root
def test_what_may_not_be_seen(installed, under):  # noqa: F811
    """Root of a container without CAP_SYS_PTRACE, say: it sees no descriptors, and can ask all the same."""
    h = under('hold_heap', 40)
    before = ['setpriv', '--bounding-set=-sys_ptrace', '--']
    seen, less = rows(installed)[h.pid], rows(installed, before=before)[h.pid]
    assert seen[2] == [repr(h.desk)] and less[2] == ['?']
    assert (less[0], less[3]) == (seen[0], seen[3]) and re.match(r'\d', less[1])
    assert installed('get', h.pid, 'cmdline', before=before).stdout == h.get('/debug/pprof/cmdline').text


# Gives lo an address: SIOCSIFADDR of struct in6_ifreq.
ADD_ADDRESS = '''
import fcntl, socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
fcntl.ioctl(s, 0x8916, socket.inet_pton(socket.AF_INET6, sys.argv[1]) + struct.pack("Ii", 128, 1))
'''


def test_another_network(installed):  # noqa: F811
    """A container's processes are seen from inside of it; from outside get says why not."""
    script = ('/usr/bin/python3 -c "$1" fd00:1:2::a:103 || exit; '
              '"$0" run --log=info --insecure=1 --addr=:6060,[fd00:1:2::a:103]:6061 sleep 600 & '
              'read line; "$0" ls; "$0" get $! cmdline; kill $!')
    before = shut_in('--die-with-parent', '--cap-add', 'CAP_NET_ADMIN', *ALONE)
    inside = subprocess.Popen([*before, 'sh', '-c', script, installed.path, ADD_ADDRESS],
                              env=environment(shim=False), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    try:
        pid = int(re.match(r'pprofshim\[(\d+)\]: listening on ', inside.stderr.readline()).group(1))
        assert pid not in rows(installed)
        assert line_of(installed('get', pid, 'heap', status=1)) == \
            '%d: it is in another network namespace (a container); ask from inside of that' % pid
        with listen_as('pprofshim.%d.%d' % (os.geteuid(), pid)):
            assert rows(installed)[pid][1:] == ('?', ['?'], '?'), 'its name is free here'
            assert 'somebody else listens under its name' in line_of(installed('get', pid, 'heap', status=1))
        lines = inside.communicate('go on\n', timeout=120)[0].splitlines()
    finally:
        inside.kill()
        inside.wait()
    assert [line.split()[0] for line in lines[:2]] == ['PID', str(pid)]
    assert lines[1].endswith(' 127.0.0.1:6060,[fd00:1:2:0:0:0:a:103]:6061 sleep 600')
    assert lines[2:] == ['sleep\x00600']


def test_without_proc(installed, under):  # noqa: F811
    """Nothing there, or only the own processes."""
    h = under('hold_heap', 40)
    before = shut_in('--tmpfs', '/proc')
    for words in (['ls'], ['get', h.pid, 'heap']):
        done = installed(*words, status=1, before=before)
        assert line_of(done) == 'cannot read /proc/net/unix, which says who listens'
    assert installed('get', repr(h.desk), 'cmdline', before=before).stdout == h.get('/debug/pprof/cmdline').text
    assert '?' in rows(installed, before=shut_in('--unshare-pid', '--proc', '/proc'))[h.pid][1]


# --- get ---

def test_get_by_pid_and_by_address(installed, under, tmp_path):  # noqa: F811
    path = tmp_path / 'a b.sock'
    h = under('--addr=127.0.0.1:0,[::1]:0,unix:%s,@pprofshim-test-%%p' % path, '--heap-rate=1', 'hold_heap', 40)
    h.wait_for_output('ready')
    port6, = re.findall(r'listening on \[::1\]:(\d+)', h.stderr)
    output = tmp_path / 'a profile.pb.gz'
    for where in (h.pid, '0%d' % h.pid, '127.0.0.1:%d' % h.desk.port, ':%d' % h.desk.port, 'localhost:%d' % h.desk.port,
                  '[::1]:' + port6, 'unix:%s' % path, '@pprofshim-test-%d' % h.pid, 'unix:@pprofshim-test-%d' % h.pid,
                  'http://127.0.0.1:%d' % h.desk.port, 'http://127.0.0.1:%d/' % h.desk.port):
        done = installed('get', '-o', output, where, 'heap')
        assert (done.stdout, done.stderr) == ('', '')
        assert lint_message(output.read_bytes(), 'heap', False) == [], where
        assert installed('get', where, 'cmdline').stdout == h.get('/debug/pprof/cmdline').text, where
        output.unlink()
    assert installed('get', h.pid, 'heap?debug=1&x=[b-a]{').stdout.startswith('heap profile: ')
    assert installed('get', h.pid, '/debug/pprof/config').stdout == h.get('/debug/pprof/config').text
    for words in (['-o%s' % output], ['--output=%s' % output]):
        installed('get', *words, h.pid, 'heap')
        output.unlink()
    installed('get', h.pid, '-o', output, 'heap?debug=1')
    assert output.read_text().startswith('heap profile: ')
    for word in '-o', '--output', '--token-file':
        assert line_of(installed('get', h.pid, 'heap', word, status=2)).startswith(word + ': which ')
    # What curl is told elsewhere, and what is preloaded into what the caller starts, does not matter.
    home = tmp_path / 'home'
    home.mkdir()
    (home / '.curlrc').write_text('output = "%s/taken"\n' % home)
    env = {'HOME': str(home), 'http_proxy': 'http://127.0.0.1:1', 'ALL_PROXY': 'http://127.0.0.1:1',
           'LD_PRELOAD': installed.library, 'PPROFSHIM_NO_SUCH': '1', 'PPROFSHIM_ONLY': 'curl'}
    done = installed('get', repr(h.desk), 'cmdline', env=env)
    assert done.stdout == h.get('/debug/pprof/cmdline').text and os.listdir(str(home)) == ['.curlrc']
    assert done.stderr.count('no such option') <= 1, 'bash itself'


def test_get_an_error(installed, under, tmp_path):  # noqa: F811
    """Its body on stderr, nothing on stdout, nothing written."""
    h = under('sleep', '600')
    output = tmp_path / 'kept'
    output.write_text('as it was')
    for words in (['-o', output], []):
        assert line_of(installed('get', *words, h.pid, 'no-such', status=1)) == '%d: 404: Unknown profile' % h.pid
    assert output.read_text() == 'as it was'
    assert line_of(installed('get', h.pid, 'heap?format=no', status=1)).startswith('%d: 400: invalid value' % h.pid)
    assert line_of(installed('get', h.pid, '/', status=1)).startswith('%d: 307: ' % h.pid), 'no profile'
    for name in '/no/such/directory/x', str(tmp_path):
        assert line_of(installed('get', '-o', name, h.pid, 'heap', status=1)) == name + ': cannot be written'
    where = repr(h.desk)
    h.stop()
    assert line_of(installed('get', h.pid, 'heap', status=1)) == \
        '%d: there is no such process; pprofshim ls shows whom to ask' % h.pid
    assert line_of(installed('get', where, 'heap', status=1)).startswith(where + ': no answer: ')


def test_get_in_time(installed, under, tmp_path):  # noqa: F811
    """One that stands still does not answer; how long it is waited for is what was asked for, and a minute."""
    h = under('sleep', '600')
    os.kill(h.pid, signal.SIGSTOP)
    for where in h.pid, repr(h.desk):
        says = line_of(installed('get', '--timeout=1', where, 'heap', status=1))
        assert re.match('%s: no answer: .*timed out' % re.escape(str(where)), says)
    os.kill(h.pid, signal.SIGCONT)
    assert installed('get', '--timeout=100', h.pid, 'cmdline').stdout.endswith('sleep\x00600')
    (tmp_path / 'curl').write_text('#!/bin/sh\necho "curl: (6) Told: $*\nand more" >&2\nexit 6\n')
    (tmp_path / 'curl').chmod(0o755)
    env = {'PATH': '%s:%s' % (tmp_path, os.environ['PATH'])}
    for words, seconds in ((['heap'], 90), (['profile'], 90), (['profile?seconds=7'], 67),
                           (['wall?hz=9&seconds=0100&x'], 160), (['profile?sseconds=7'], 90),
                           (['--timeout=5', 'profile?seconds=7'], 5)):
        says = line_of(installed('get', ':1', *words, env=env, status=1))
        assert says.startswith(':1: no answer: Told: -q ') and ' --max-time %d ' % seconds in says, words
    for text in '0', '-1', '1.5', 'x':
        says = line_of(installed('get', '--timeout=' + text, h.pid, 'heap', status=2))
        assert says == '--timeout=%s: not a number of seconds' % text


def test_get_from_whom_does_not_listen(installed):  # noqa: F811
    says = '%d: this process does not listen; it was started without the library, or with --addr=off; ' \
        'pprofshim ls shows whom to ask'
    assert line_of(installed('get', os.getpid(), 'heap', status=1)) == says % os.getpid()
    off = subprocess.Popen([installed.path, 'run', '--addr=off', 'sleep', '600'], env=environment(shim=False))
    try:
        eventually('it runs', lambda: os.readlink('/proc/%d/exe' % off.pid).endswith('/sleep'))
        assert line_of(installed('get', off.pid, 'heap', status=1)) == says % off.pid
        assert off.pid not in rows(installed)
    finally:
        off.kill()
        off.wait()
    for where in ('redis', 'host', '127.0.0.1', '-5x', ''):
        says = line_of(installed('get', '--', where, 'heap', status=2))
        assert says.startswith('get: %s: neither a PID nor an address; ' % where)


def on_terminal(installed, *words, timeout=120):  # noqa: F811
    """(status, what a terminal shows)"""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(installed.path, [installed.path, *map(str, words)], environment(shim=False))
    text, end = b'', time.monotonic() + timeout
    try:
        while select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
            text += os.read(fd, 65536)
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text.decode().replace('\r\n', '\n')


REFUSED = 1, 'pprofshim: that is binary, and this is a terminal; use -o FILE, or a pipe, or ?debug=1 for text\n'


def test_binary_is_not_for_terminals(installed, under, tmp_path):  # noqa: F811
    """And nobody has to wait for what is not shown; text is."""
    h = under('sleep', '600')
    assert on_terminal(installed, 'get', h.pid, 'heap') == REFUSED
    assert on_terminal(installed, 'get', h.pid, 'profile?seconds=3000') == REFUSED
    status, text = on_terminal(installed, 'get', h.pid, 'heap?debug=1')
    assert status == 0 and text.startswith('heap profile: ')
    assert on_terminal(installed, 'get', h.pid, 'config') == (0, h.get('/debug/pprof/config').text)
    assert on_terminal(installed, 'get', '-o', tmp_path / 'x', h.pid, 'heap') == (0, '')
    assert (tmp_path / 'x').read_bytes()[:2] == b'\x1f\x8b'
    assert on_terminal(installed, 'get', h.pid, 'no-such') == (1, 'pprofshim: %d: 404: Unknown profile\n' % h.pid)


def test_without_curl(installed, under, tmp_path):  # noqa: F811
    """With the rest of a small system on PATH."""
    h = under('sleep', '600')
    directories = os.environ['PATH'].split(':') + ['/usr/sbin']
    for d in reversed([d for d in directories if os.path.isdir(d)]):
        for name in os.listdir(d):
            if name != 'curl' and not (tmp_path / name).is_symlink():
                (tmp_path / name).symlink_to(os.path.join(d, name))
    env = {'PATH': str(tmp_path)}
    for where in (h.pid, repr(h.desk)):
        assert line_of(installed('get', where, 'heap', env=env, status=1)) == \
            'curl is not installed (Debian: apt-get install curl)'
    assert h.pid in rows(installed, env=env)


def of_processes(name):
    """/proc/PID/NAME of each."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/%s' % (pid, name), 'rb') as f:
                found.append(f.read().decode(errors='replace'))
        except OSError:
            pass
    return found


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked, and with what ps shows of curl meanwhile."""

    def do_GET(self):
        shown = [s for s in of_processes('cmdline') if s.startswith('curl\0')]
        body = '%s\n%s\n%s' % (self.path, self.headers.get('Authorization'), shown)
        self.send_response(200)
        self.send_header('Content-Type', 'application/octet-stream' if 'binary' in self.path else 'text/plain')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def foreign():
    """The address of a server that is not ours, and does not know HEAD."""
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield '127.0.0.1:%d' % server.server_port
    server.shutdown()
    server.server_close()


def test_token(installed, foreign, tmp_path):  # noqa: F811
    """The file's first line, as a bearer token; nobody sees it among the processes."""
    secret = 'an-"odd"\\secret#1'
    token = tmp_path / 'token'
    for text in (secret + '\n', secret, secret + '\nmore\n', ' %s\r\n' % secret):
        token.write_bytes(text.encode())
        path, header, shown = installed('get', '--token-file=%s' % token, foreign, 'heap?debug=1').stdout.split('\n')
        assert (path, header) == ('/debug/pprof/heap?debug=1', 'Bearer ' + secret), text
        assert 'curl' in shown and 'secret' not in shown
    assert installed('get', foreign, '/metrics').stdout.startswith('/metrics\nNone\n')
    for text in '', '\nsecond line':
        token.write_text(text)
        says = line_of(installed('get', '--token-file=%s' % token, foreign, 'heap', status=1))
        assert says.endswith('/token: not readable, or there is no token in it')
    for name in '/no/file', str(tmp_path):
        says = line_of(installed('get', '--token-file=' + name, foreign, 'heap', status=1))
        assert says == name + ': not readable, or there is no token in it'


def test_binary_of_a_foreign_server_is_not_for_terminals(installed, foreign):  # noqa: F811
    assert on_terminal(installed, 'get', foreign, '/text')[1].startswith('/text\nNone\n')
    assert on_terminal(installed, 'get', foreign, '/binary') == REFUSED


def test_token_of_the_library(installed, under, tmp_path):  # noqa: F811
    """The same file for both; by the process id none is needed."""
    token = tmp_path / 'the token'
    token.touch(0o600)
    token.write_text('correct-horse-battery\n')
    h = under('--token-file=%s' % token, 'sleep', '600')
    (tmp_path / 'another').write_text('correct-horse-batterx\n')
    for words in ([], ['--token-file=%s' % (tmp_path / 'another')]):
        says = line_of(installed('get', *words, repr(h.desk), 'cmdline', status=1))
        assert says.startswith('%r: 401: ' % h.desk)
    for words in (['--token-file=%s' % token, repr(h.desk)], [h.pid]):
        assert installed('get', *words, 'cmdline').stdout.endswith('sleep\x00600')


def members(group):
    """Programs of the processes of a group."""
    stats = [re.fullmatch(r'\d+ \((.*)\) (.) \d+ (\d+) .*\n', s, re.S) for s in of_processes('stat')]
    return [s.group(1) for s in stats if s.group(2) != 'Z' and int(s.group(3)) == group]


def test_no_file_is_left_behind(installed, under, tmp_path):  # noqa: F811
    """Also when it is interrupted in the middle of a long profile."""
    h = under('sleep', '600')
    env = {'TMPDIR': str(tmp_path)}
    installed('get', h.pid, 'heap?debug=1', env=env)
    installed('get', h.pid, 'no-such', env=env, status=1)
    assert os.listdir(str(tmp_path)) == []
    p = subprocess.Popen([installed.path, 'get', str(h.pid), 'profile?seconds=3000'], stdout=subprocess.DEVNULL,
                         env=environment(shim=False, env=env), start_new_session=True,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    eventually('it waits for the answer', lambda: 'curl' in members(p.pid))
    os.killpg(p.pid, signal.SIGINT)
    assert Background(lambda: p.wait(60)).get() == -signal.SIGINT
    assert os.listdir(str(tmp_path)) == []
    # Its curl goes on for a moment, if nobody tells that one.
    p = subprocess.Popen([installed.path, 'get', str(h.pid), 'profile?seconds=2'], stdout=subprocess.DEVNULL,
                         env=environment(shim=False, env=env), start_new_session=True)
    # Before, one of bash's own children may be about to open the file.
    eventually('it waits for the answer', lambda: 'curl' in members(p.pid))
    p.terminate()
    Background(lambda: p.wait(60)).get()
    eventually('all of it is gone', lambda: not members(p.pid))
    assert os.listdir(str(tmp_path)) == []
    says = line_of(installed('get', h.pid, 'heap', env={'TMPDIR': '/no/such'}, status=1))
    assert re.fullmatch(r'/no/such/tmp\.\w+, a file in between: cannot be made', says)


FOLDED = re.compile(r'(.+ \d+\n)*')


def test_every_profile_in_every_form(installed, under, tmp_path):  # noqa: F811
    """All that the index lists, as the library has it."""
    h = under('--heap-rate=1', 'hold_heap', 40)
    h.wait_for_output('ready')
    index = installed('get', h.pid, '/debug/pprof/').stdout
    listed = re.findall(r"<a href='([a-z]+)\?debug=1'>", index)
    names = {*listed, 'threads', 'delta_heap', 'delta_block', 'delta_mutex', '/debug/fgprof'} - \
        {'cmdline', 'config', 'symbol'}
    assert {'profile', 'wall', 'heap', 'mmap', 'mutex', 'threadcreate'} < names

    def fetch(name, form):
        output = tmp_path / ('%s %s' % (name.replace('/', '.'), form))
        window = '&seconds=1' if name in ('profile', 'wall', '/debug/fgprof') else ''
        query = '?client=test&format=%s%s' % (form, window)
        done = installed('get', '-o', output, h.pid, name + query)
        assert (done.stdout, done.stderr) == ('', '')
        url = (name if name.startswith('/') else '/debug/pprof/' + name) + query
        body = output.read_bytes()
        if form == 'proto':
            asked = read_url(url)
            assert lint_message(body, asked.kind, asked.delta) == [], url
        elif form == 'json':
            assert json.loads(body)['version'] == 1, url
        elif form == 'folded':
            assert FOLDED.fullmatch(body.decode()), url
        else:
            assert re.match(rb'(heap profile|--- (contention|mutex|wall|cpu)|[a-z]+ profile: |.*total \d)', body), url

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(fetch, name, form) for name in sorted(names)
                     for form in ('proto', 'text', 'folded', 'json')]:
            done.result()
    for path in '/metrics', '/healthz', '/pprof/heap', '/pprof/cmdline', 'symbol?0x1', 'cmdline', 'config':
        assert installed('get', h.pid, path).stdout != '', path
