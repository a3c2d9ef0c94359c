"""Who may come in, and what is told to whom: the token, the names of a host, pages in browsers, the command line.

What requests that are none get is in test_bad_requests.py and test_security_requests.py; sockets of other users are in
test_listening.py, too; words and instructions to the byte are in the unit tests (token, guard, conn_guard)."""
import base64
import os
import shutil
import socket
import stat
import subprocess

import pytest

from attacks import GET, WAIT, next_answer, status_of, still_serves
from command import NOBODY, needs_root
from failing import UnixDesk
from golang import environment_of_go, newest_go
from hosts import LIBRARY, PATIENCE, Desk, eventually

TOKEN = 'a-token-of-good-length'
BEARER = {'Authorization': 'Bearer ' + TOKEN}


@pytest.fixture(scope='module')
def host(module_start):
    return module_start(WAIT)


@pytest.fixture(scope='module')
def desk(host):
    return host.desk


def basic(user, password):
    return {'Authorization': 'Basic ' + base64.b64encode((user + ':' + password).encode()).decode()}


# --- the token ---

@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / 'token'
    path.write_text(TOKEN + '\n')
    path.chmod(0o600)
    return path


PATHS = ['/', '/debug/pprof', '/debug/pprof/', '/debug/pprof/cmdline', '/debug/pprof/heap', '/debug/pprof/nope',
         '/debug/pprof/config', '/debug/fgprof', '/healthz', '/metrics', '/pprof/cmdline', '/nothing', '//x']


def test_with_a_token_every_request_needs_it(start, token_file):
    desk = start(WAIT, TOKEN_FILE=token_file).desk
    for path in PATHS:
        r = desk.get(path)
        assert r.status == 401, path
        assert r.headers['www-authenticate'] == 'Basic realm="pprofshim"'
        assert r.headers['x-go-pprof'] == '1' and r.headers['content-type'] == 'text/plain; charset=utf-8'
        assert 'PPROFSHIM_TOKEN_FILE' in r.text and r.text.endswith('\n')
        assert 'deep_stack' not in r.text and TOKEN not in r.text
    for method in ('HEAD', 'POST', 'PUT', 'OPTIONS', 'TRACE'):
        assert desk.request(method, '/debug/pprof/config', body='cpu_hz=1').status == 401
    wrong = [{'Authorization': 'Bearer ' + t} for t in (TOKEN[:-1], TOKEN + 'x', TOKEN.upper(), '', TOKEN + ' x')]
    wrong += [basic('user', ''), basic(TOKEN, ''), basic('', TOKEN + ':'), {'Authorization': TOKEN},
              {'Authorization': 'Digest ' + TOKEN}, {'X-Token': TOKEN}, {'Cookie': 'token=' + TOKEN}]
    for headers in wrong:
        assert desk.get('/debug/pprof/cmdline', headers=headers).status == 401, headers
    for headers in (BEARER, basic('', TOKEN), basic('anybody', TOKEN)):
        assert desk.get('/debug/pprof/cmdline', headers=headers).status == 200, headers
        assert desk.request('POST', '/debug/pprof/config', body='cpu_hz=99', headers=headers).status == 200
    # Neither is the token anything that the desk would tell.
    for path in ('/debug/pprof/', '/metrics', '/debug/pprof/config', '/healthz', '/debug/pprof/goroutine?debug=2'):
        assert TOKEN not in desk.get(path, headers=BEARER).text


def test_it_is_read_once(start, token_file):
    """From a link, as Kubernetes mounts it; and a child that is forked later has the same."""
    link = token_file.parent / 'link'
    link.symlink_to(token_file)
    token_file.chmod(0o440)
    code = 'import os, sys\nsys.stdin.readline()\nif os.fork() == 0:\n  sum(range(10**7))\nsys.stdin.read()'
    h = start(['/usr/bin/python3', '-c', code], TOKEN_FILE=link)
    token_file.write_text('another-token-of-good-length\n')
    assert h.get('/debug/pprof/cmdline', headers=BEARER).status == 200
    assert h.get('/debug/pprof/cmdline', headers={'Authorization': 'Bearer another-token-of-good-length'}).status == 401
    token_file.unlink()
    h.say()
    child = eventually('the child serves', lambda: [d for pid, d in h.desks().items() if pid != h.pid])[0]
    assert child.get('/debug/pprof/cmdline').status == 401
    assert child.get('/debug/pprof/cmdline', headers=BEARER).status == 200
    assert TOKEN not in h.stderr


def test_go_tool_pprof_takes_it_from_the_address(start, token_file):
    go = newest_go((1, 19))
    desk = start(['hold_heap', 1000], TOKEN_FILE=token_file, HEAP_RATE=1).desk
    url = '%s:%d/debug/pprof/heap' % (desk.host, desk.port)

    def top(address):
        return subprocess.run([go, 'tool', 'pprof', '-top', address], capture_output=True, text=True, timeout=PATIENCE,
                              env=environment_of_go(PPROF_TMPDIR=str(token_file.parent)))
    r = top('http://me:%s@%s' % (TOKEN, url))
    assert r.returncode == 0 and 'inuse_space' in r.stdout, r
    r = top('http://' + url)
    assert r.returncode != 0 and 'unauthorized' in r.stderr and 'PPROFSHIM_TOKEN_FILE' in r.stderr, r


def test_a_unix_socket_needs_none(start, token_file, tmp_path):
    path = tmp_path / 'desk.sock'
    h = start(WAIT, TOKEN_FILE=token_file, ADDR='unix:%s,127.0.0.1:0' % path, wait=False)
    # Its file is there a moment before anybody listens.
    eventually('it listens', lambda: answers(UnixDesk(str(path)), 200))
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(str(path))
        s.sendall(GET + b'Connection: close\r\n\r\n')
        assert status_of(next_answer(s)) == 200
    port = eventually('it listens', lambda: [x.rsplit(':', 1)[1] for x in h.log if 'listening on 127.' in x])[0]
    assert Desk('127.0.0.1', int(port)).get('/debug/pprof/cmdline').status == 401


@needs_root
def test_the_token_is_read_with_the_rights_of_the_start(start, token_file):
    """As servers have it that begin as root: the file may be root's alone."""
    code = ('import os, time\nos.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\n'
            'assert not os.access(%r, os.R_OK)\nprint("other", flush=True)\ntime.sleep(1000)') % str(token_file)
    h = start(['/usr/bin/python3', '-c', code], TOKEN_FILE=token_file)
    h.wait_for_output('other')
    # Our thread was made again, as that user: at the same port or the next.
    desk = eventually('it answers', lambda: [d for d in h.desks().values() if answers(d, 401)])[0]
    assert desk.get('/debug/pprof/cmdline').status == 401
    assert desk.get('/debug/pprof/cmdline', headers=BEARER).status == 200


def answers(desk, status):
    try:
        return desk.get('/debug/pprof/cmdline').status == status
    except OSError:
        return False


BAD_TOKENS = [('missing', None, 'there is no such file'), ('world', TOKEN, 'chmod o-rw'), ('empty', '', 'empty'),
              ('short', 'abc', 'shorter'), ('long', 'x' * 300, 'longer'),
              ('blank', 'with blanks in between it', 'blanks'),
              ('directory', None, 'it is no file'), ('fifo', None, 'it is no file')]


@pytest.mark.parametrize('kind, text, says', BAD_TOKENS, ids=[x[0] for x in BAD_TOKENS])
def test_a_bad_token_closes_all_of_tcp(start, tmp_path, kind, text, says):
    path = tmp_path / 'token'
    if text is not None:
        path.write_text(text + '\n')
        path.chmod(0o644 if kind == 'world' else 0o600)
    if kind == 'directory':
        path.mkdir()
    if kind == 'fifo':
        os.mkfifo(path)         # nobody will ever write to it
    unix = tmp_path / 'desk.sock'
    h = start(WAIT, TOKEN_FILE=path, INSECURE=1, ADDR='127.0.0.1:0,0.0.0.0:0,unix:%s' % unix, wait=False)
    eventually('the socket is there', unix.exists)
    eventually('it has said so', lambda: any('listening on unix' in x for x in h.log))
    errors = [x for x in h.log if 'listening on' not in x]
    assert len(errors) == 1 and says in errors[0] and 'PPROFSHIM_TOKEN_FILE' in errors[0], h.log
    assert not any('listening on' in x and 'unix' not in x and '@' not in x for x in h.log), h.log


def test_where_nothing_may_be_opened_it_is_found_all_the_same(start, tmp_path):
    """By the name that is for its user: TCP is not there, the program is."""
    for options in ({'ADDR': '0.0.0.0:0'}, {'TOKEN_FILE': tmp_path / 'nothing'}):
        h = start(WAIT, wait=False, **options)
        desk = UnixDesk('\0pprofshim.%d.%d' % (os.geteuid(), h.pid))
        eventually('it answers', lambda: answers(desk, 200))
        assert len(h.log) == 1 and 'PPROFSHIM_TOKEN_FILE' in h.log[0]


def test_other_machines_with_a_token_and_not_without(start, token_file):
    h = start(WAIT, TOKEN_FILE=token_file, ADDR='0.0.0.0:0')
    h.desk.host = '127.0.0.1'
    assert h.get('/debug/pprof/cmdline').status == 401
    assert h.get('/debug/pprof/cmdline', headers={**BEARER, 'Host': 'pod-7.cluster.local:6060'}).status == 200
    # One address of a list is refused, not all of them.
    h = start(WAIT, ADDR='0.0.0.0:0,127.0.0.1:0')
    assert h.desk.host == '127.0.0.1'
    still_serves(h.desk)
    errors = [x for x in h.log if 'listening on' not in x]
    assert len(errors) == 1 and '0.0.0.0:0' in errors[0] and 'PPROFSHIM_TOKEN_FILE' in errors[0]
    assert sum('listening on' in x and '@' not in x for x in h.log) == 1


def test_no_core_dump_has_the_token(start, token_file):
    """Its memory is marked so for the kernel: VmFlags dd of /proc/PID/smaps."""
    h = start(WAIT, TOKEN_FILE=token_file)
    found = []
    with open('/proc/%d/smaps' % h.pid) as f, open('/proc/%d/mem' % h.pid, 'rb', 0) as memory:
        for line in f:
            word = line.split()
            if '-' in word[0] and not word[0].endswith(':'):
                start_of, end_of = (int(x, 16) for x in word[0].split('-'))
                name = word[5] if len(word) > 5 else ''
                text = b''
                if 'r' in word[1] and name not in ('[vvar]', '[vsyscall]') and end_of - start_of < 256 << 20:
                    try:
                        memory.seek(start_of)
                        text = memory.read(end_of - start_of)
                    except OSError:
                        pass
            elif word[0] == 'VmFlags:' and TOKEN.encode() in (text or b''):
                found.append('dd' in word[1:])
    assert found and all(found), found


# --- names and pages ---

def test_without_a_token_names_must_be_known(start):
    h = start(WAIT, ADDR='0.0.0.0:0', INSECURE=1, HOSTS='pod.example,*.cluster.local')
    h.desk.host = '127.0.0.1'
    for name, want in (('127.0.0.1', 200), ('10.9.8.7:6060', 200), ('[2001:db8::1]', 200), ('pod.example:80', 200),
                       ('a.b.cluster.local', 200), ('evil.example', 403), ('pod.example.evil', 403),
                       ('10.9.8.7.evil.example', 403), ('xcluster.local', 403)):
        r = h.get('/debug/pprof/cmdline', headers={'Host': name})
        assert r.status == want, name
        if want == 403:
            assert 'PPROFSHIM_HOSTS' in r.text and r.headers['x-go-pprof'] == '1' and 'deep_stack' not in r.text


def test_a_page_changes_nothing(desk):
    before = desk.get('/debug/pprof/config').text
    for headers in ({'Origin': 'http://%r' % desk}, {'Sec-Fetch-Site': 'same-origin'}, {'Origin': 'null'},
                    {'Origin': 'http://%r' % desk, 'Sec-Fetch-Site': 'same-origin'}):
        for method, path in (('POST', '/debug/pprof/config'), ('POST', '/debug/pprof/config?cpu_hz=7')):
            assert desk.request(method, path, body='cpu_hz=7', headers=headers).status == 403, headers
    for method in ('GET', 'HEAD', 'PUT', 'DELETE', 'PATCH'):
        desk.request(method, '/debug/pprof/config?cpu_hz=7', body='cpu_hz=7')
    assert desk.get('/debug/pprof/config').text == before


def test_pages_may_read_if_they_are_listed(start):
    speedscope = {'Origin': 'https://www.speedscope.app', 'Sec-Fetch-Site': 'cross-site'}
    desk = start(WAIT).desk
    r = desk.get('/debug/pprof/heap', headers=speedscope)
    assert r.status == 403 and not any('access-control' in x or x == 'vary' for x in r.headers)
    h = start(WAIT, CORS='https://ui.perfetto.dev,https://www.speedscope.app')
    r = h.get('/debug/pprof/heap', headers=speedscope)
    assert (r.status, r.headers['access-control-allow-origin'], r.headers['vary']) == (
        200, 'https://www.speedscope.app', 'Origin')
    assert 'access-control-allow-credentials' not in r.headers
    r = h.desk.request('OPTIONS', '/debug/pprof/heap', headers={**speedscope, 'Access-Control-Request-Method': 'GET',
                                                               'Access-Control-Request-Headers': 'authorization'})
    assert (r.status, r.headers['access-control-allow-methods'], r.body) == (200, 'GET, HEAD', b'')
    for bad in ('https://evil.example', 'https://www.speedscope.app.evil.example', 'null', 'http://www.speedscope.app'):
        r = h.get('/debug/pprof/heap', headers={'Origin': bad})
        assert r.status == 403 and 'access-control-allow-origin' not in r.headers
        r = h.desk.request('OPTIONS', '/debug/pprof/heap', headers={'Origin': bad})
        assert r.status == 403 and 'access-control-allow-origin' not in r.headers
    assert h.desk.request('POST', '/debug/pprof/config', body='cpu_hz=7', headers=speedscope).status == 403


def test_a_star_is_no_origin(start, token_file):
    h = start(WAIT, CORS='null,*', TOKEN_FILE=token_file)
    assert any('PPROFSHIM_CORS' in x and 'not an origin' in x for x in h.log), h.log
    for origin in ('https://evil.example', 'null', '*'):
        r = h.get('/debug/pprof/heap', headers={**BEARER, 'Origin': origin})
        assert r.status == 403 and 'access-control-allow-origin' not in r.headers, origin


@pytest.mark.parametrize('mode', ['full', 'argv0', 'off'])
def test_command_line(start, mode):
    h = start([*WAIT, '--password=secret'], CMDLINE=mode)
    for path in ('/debug/pprof/cmdline', '/pprof/cmdline'):
        r = h.get(path)
        assert (r.status, 'secret' in r.text) == {'full': (200, True), 'argv0': (200, False), 'off': (403, False)}[mode]
        if mode == 'argv0':
            assert r.text.rstrip('\n').endswith('deep_stack')
        if mode == 'off':
            assert 'PPROFSHIM_CMDLINE' in r.text
    if mode != 'full':
        for path in ('', 'heap?debug=1', 'goroutine?debug=2', 'heap?format=text', 'config'):
            assert b'secret' not in h.get('/debug/pprof/' + path).body, path
        for path in ('/metrics', '/healthz'):
            assert b'secret' not in h.get(path).body, path


# --- other users ---

KNOCK = r'''
import socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1].replace('@', '\0', 1))
    s.sendall(b"GET /debug/pprof/cmdline HTTP/1.0\r\n\r\n")
    print(b''.join(iter(lambda: s.recv(65536), b'')).decode())
except PermissionError:
    print("no way in")
'''


@pytest.fixture
def open_directory():
    """Where everybody may look; pytest's own are their user's."""
    directory = '/tmp/pprofshim-open-%d' % os.getpid()
    os.mkdir(directory)
    os.chmod(directory, 0o755)
    yield directory
    shutil.rmtree(directory)


@needs_root
def test_a_unix_socket_is_its_users(start, open_directory, token_file):
    """By name or by path; also of a path that somebody has opened to all.  No token makes up for it."""
    path = open_directory + '/desk.sock'
    h = start(WAIT, ADDR='unix:%s,@security-%%p' % path, TOKEN_FILE=token_file, wait=False)
    eventually('the socket is there', lambda: os.path.exists(path))

    def ask(name, uid=NOBODY):
        return subprocess.run(['/usr/bin/python3', '-c', KNOCK, name], user=uid, group=uid, extra_groups=[],
                              capture_output=True, text=True, timeout=PATIENCE).stdout
    eventually('root is served', lambda: 'deep_stack' in ask(path, 0))
    assert ask(path) == 'no way in\n'
    os.chmod(path, 0o777)
    for name in (path, '@security-%d' % h.pid):
        answer = ask(name)
        assert answer.startswith('HTTP/1.1 403 ') and 'same user' in answer and 'deep_stack' not in answer, answer
        assert 'deep_stack' in ask(name, 0)


# --- programs with more rights than who starts them ---

SECURE = r'''
#include <dirent.h>
#include <stdio.h>
#include <sys/auxv.h>
int main(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = -2;
	while (readdir(d) != NULL)
		n++;
	printf("secure %lu threads %d\n", getauxval(AT_SECURE), n);
	return 0;
}
'''


@needs_root
def test_in_a_setuid_program_there_is_nothing_of_us(open_directory, token_file):
    """Not preloaded, for that the loader would not do: linked, as /etc/ld.so.preload would have it."""
    program = os.path.join(open_directory, 'program')
    shutil.copy(LIBRARY, open_directory)
    with open(program + '.c', 'w') as f:
        f.write(SECURE)
    subprocess.run([os.environ.get('CC', 'cc'), '-o', program, program + '.c', '-Wl,--no-as-needed',
                    os.path.join(open_directory, os.path.basename(LIBRARY)), '-Wl,-rpath,' + open_directory],
                   check=True)

    def run():
        return subprocess.run([program], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True,
                              env={'PPROFSHIM_ADDR': '127.0.0.1:0', 'PPROFSHIM_LOG': 'debug', 'PPROFSHIM_NOSUCH': '1',
                                   'PPROFSHIM_REGISTRY': open_directory, 'PPROFSHIM_TOKEN_FILE': str(token_file)})
    r = run()
    assert (r.returncode, r.stdout) == (0, 'secure 0 threads 2\n') and 'no such option' in r.stderr
    os.chmod(program, 0o4755)
    assert os.stat(program).st_mode & stat.S_ISUID
    r = run()
    if r.stdout.startswith('secure 0'):
        pytest.skip('no setuid programs in /tmp here')
    assert (r.returncode, r.stdout, r.stderr) == (0, 'secure 1 threads 1\n', '')
