"""The options: what each does, and that none, however wrong, disturbs the host."""
import http.client
import json
import os
import re
import socket
import time

import pytest

from clients import need
from hosts import LIBRARY, PATIENCE, Host, OURS, eventually, free_port, program, run


def lines_of_ours(text):
    return [m.group(0).rstrip('\n') for m in OURS.finditer(text)]


# --- bad values ---

BAD = [('CPU_HZ', 'abc'), ('CPU_HZ', '-1'), ('CPU_HZ', '1001'), ('CPU_HZ', '1e3'), ('CPU_HZ', ''),
       ('CPU_HZ', ' 100'), ('CPU_HZ', '99999999999999999999999'), ('HEAP_RATE', '512q'),
       ('HEAP_RATE', '-512k'), ('HEAP_RATE', '1.5m'), ('HEAP_RATE', '99999999999g'), ('DEPTH', '0'),
       ('DEPTH', '1025'), ('DEPTH', 'deep'), ('MEMORY', '1'), ('MEMORY', 'all'), ('MEMORY', '1000000g'),
       ('UNWINDER', 'magic'), ('SYMBOLS', 'lines?'), ('CHILDREN', 'some'), ('LOG', 'loud'),
       ('PORT', '65536'), ('PORT', 'http'), ('PORT', '-1'), ('PORT_TRIES', '0'), ('PORT_TRIES', 'x'),
       ('INSECURE', 'yes'), ('ADDR', 'x' * 600), ('ONLY', 'x' * 600)]


@pytest.mark.parametrize('name, value', BAD, ids=['%s=%s' % (n, v[:12]) for n, v in BAD])
def test_bad_value(name, value):
    """One line with variable, value and what is allowed; the host goes on as without us."""
    r = run(['print_fds'], LOG='error', env={'PPROFSHIM_' + name: value})
    plain = run(['print_fds'], shim=False)
    # print_fds forks and execs itself: both start a library of their own, the fork does not.
    lines = lines_of_ours(r.stderr)
    assert len(lines) == 2, r.stderr
    for line in lines:
        assert 'PPROFSHIM_' + name in line and value[:20] in line and 'allowed' in line
        assert len(line) < 256
    assert (r.status, r.stdout) == (plain.status, plain.stdout)


BAD_ADDRESSES = ['localhost:http', '127.0.0.1:65536', '127.0.0.1:', ':', '[::1', '[::1]', '1.2.3.4.5:80',
                 'unix:', 'unix:' + '/x' * 200, '256.0.0.1:80', '127.0.0.1:0,', ',', 'off,127.0.0.1:0',
                 'http://127.0.0.1:6060', '127.0.0.1:-1', 'unix:relative.sock', '%p', '@', 'unix:@', '@' + 'x' * 120,
                 'unix:/tmp/%d.sock', 'unix:/tmp/%', '::1:0', '[::1%lo]:0', '010.0.0.1:0', 'example.org:0', '127.0.0.1:+1',
                 ',127.0.0.1:0', '127.0.0.1:0,off', ','.join(['127.0.0.1:0'] * 9)]


@pytest.mark.parametrize('addr', BAD_ADDRESSES)
def test_bad_address(addr):
    r = run(['true'], LOG='error', ADDR=addr)
    assert r.status == 0 and r.stdout == ''
    lines = lines_of_ours(r.stderr)
    assert len(lines) == 1 and r.stderr == lines[0] + '\n', r.stderr
    assert 'PPROFSHIM_ADDR' in lines[0]


@pytest.mark.parametrize('addr', ['0.0.0.0:0', '[::]:0', '10.1.2.3:0'])
def test_address_for_others_needs_consent(addr):
    """Whoever can reach it could read the memory of the program: only if told so."""
    r = run(['true'], LOG='error', ADDR=addr)
    lines = lines_of_ours(r.stderr)
    assert r.status == 0 and len(lines) == 1 and 'PPROFSHIM_INSECURE' in lines[0], r.stderr


def test_address_for_others_with_consent(start):
    h = start(['hold_heap', 1000], ADDR='0.0.0.0:0', INSECURE=1, wait=False)
    eventually('it listens', lambda: h.desks())
    desk = h.desks()[h.pid]
    desk.host = '127.0.0.1'
    assert desk.get('/debug/pprof/cmdline').status == 200


@pytest.mark.parametrize('name, near', [('CPU_HERTZ', 'CPU_HZ'), ('HEAPRATE', 'HEAP_RATE'),
                                        ('ADDRESS', 'ADDR'), ('LOGG', 'LOG')])
def test_unknown_option(name, near):
    r = run(['true'], LOG='error', env={'PPROFSHIM_' + name: '1'})
    lines = lines_of_ours(r.stderr)
    assert r.status == 0 and len(lines) == 1, r.stderr
    assert 'PPROFSHIM_' + name in lines[0] and 'PPROFSHIM_' + near in lines[0]


def test_quiet_is_quiet():
    r = run(['true'], LOG='quiet', ADDR='nonsense', CPU_HZ='x', env={'PPROFSHIM_NONSENSE': '1'})
    assert (r.status, r.stdout, r.stderr) == (0, '', '')


def test_control_characters_do_not_reach_the_terminal():
    r = run(['true'], LOG='error', CPU_HZ='\x1b[31mred\nsecond line')
    assert '\x1b' not in r.stderr
    assert r.stderr.count('\n') == 1


def test_all_options_wrong_at_once():
    r = run(['print_fds'], LOG='error', env={'PPROFSHIM_' + n: v for n, v in BAD if n != 'LOG'})
    plain = run(['print_fds'], shim=False)
    assert (r.status, r.stdout) == (plain.status, plain.stdout)


def test_closed_stderr_gets_nothing():
    """Descriptor 2 closed, or somebody else's by now: no line of ours lands in a file of the host."""
    r = run(['bash', '-c', 'exec 2>&-; exec ' + program('print_fds')], LOG='debug', CPU_HZ='x')
    assert 'pprofshim' not in r.stdout and r.stderr.count('\n') <= 16


# --- where to listen ---

def test_port(start):
    port = free_port()
    h = start(['hold_heap', 1000], PORT=port, env={'PPROFSHIM_ADDR': None})
    assert (h.desk.host, h.desk.port) == ('127.0.0.1', port)


def test_the_next_port_when_taken(start):
    port = free_port()
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', port))
        taken.listen()
        h = start(['hold_heap', 1000], ADDR='127.0.0.1:%d' % port)
        assert port < h.desk.port <= port + 100
        other = start(['hold_heap', 1000], ADDR='127.0.0.1:%d' % port)
        assert h.desk.port < other.desk.port <= port + 100
        for one in (h, other):
            assert one.get('/debug/pprof/cmdline').status == 200


def test_no_port_to_be_had():
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        r = run(['spin_split', 3000], LOG='error', PORT_TRIES=1,
                ADDR='127.0.0.1:%d' % taken.getsockname()[1])
    assert r.status == 0
    lines = lines_of_ours(r.stderr)
    assert len(lines) == 1 and 'address in use' in lines[0]


def test_off():
    r = run(['bash', '-c', 'ls /proc/$$/task | wc -l; exec true'], ADDR='off', LOG='info')
    assert (r.status, r.stdout, r.stderr) == (0, '1\n', '')


def test_ipv6(start):
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(('::1', 0))
    except OSError as e:
        pytest.skip('no ::1 here: %s' % e)
    h = start(['hold_heap', 1000], ADDR='[::1]:0')
    assert h.desk.host == '::1'
    assert h.get('/debug/pprof/cmdline', headers={'Host': '[::1]:%d' % h.desk.port}).status == 200


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def test_unix_socket(start, tmp_path):
    h = start(['hold_heap', 1000], ADDR='unix:%s/%%p.sock' % tmp_path, wait=False)
    path = '%s/%d.sock' % (tmp_path, h.pid)
    eventually('the socket is there', lambda: os.path.exists(path))
    assert os.stat(path).st_mode & 0o077 == 0, 'for nobody but the user'

    def ask():
        try:
            c = UnixConnection(path)
            c.request('GET', '/debug/pprof/cmdline')
            return c.getresponse().status
        except (ConnectionRefusedError, FileNotFoundError):     # while it takes the other's place
            return None
    assert eventually('it answers', ask) == 200
    # A socket file whose server is gone does not stand in the way of the next one.
    h.process.kill()
    h.wait()
    assert os.path.exists(path)
    again = start(['hold_heap', 1000], ADDR='unix:' + path, wait=False)
    assert eventually('it answers', ask) == 200
    assert again.alive()


def test_list_of_addresses(start, tmp_path):
    h = start(['hold_heap', 1000], ADDR='127.0.0.1:0,unix:%s/a.sock,127.0.0.1:0' % tmp_path, wait=False)
    eventually('three lines', lambda: len(h.log) == 3)
    ports = [int(m) for m in re.findall(r'listening on 127\.0\.0\.1:(\d+)', h.stderr)]
    assert len(set(ports)) == 2
    for port in ports:
        c = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
        c.request('GET', '/debug/pprof/cmdline')
        assert c.getresponse().status == 200


def test_log_line_at_info(start):
    h = start(['hold_heap', 1000], LOG='info')
    assert h.log == ['pprofshim[%d]: listening on 127.0.0.1:%d' % (h.pid, h.desk.port)]
    assert h.stderr == h.log[0] + '\n'


# --- which programs ---

@pytest.mark.parametrize('options, served', [
    ({'ONLY': 'hold_*'}, True), ({'ONLY': 'redis*'}, False), ({'ONLY': 'redis*,hold_heap'}, True),
    ({'ONLY': 'hold_hea'}, False), ({'ONLY': '*'}, True), ({'ONLY': 'hold?heap'}, True),
    ({'SKIP': 'hold_*'}, False), ({'SKIP': 'redis*'}, True), ({'SKIP': 'a,b,hold_heap'}, False),
    ({'ONLY': '*', 'SKIP': 'hold_heap'}, False)])
def test_only_and_skip(start, options, served):
    h = start(['hold_heap', 1000], wait=False, **options)
    h.wait_for_output('ready')
    if served:
        eventually('it listens', lambda: h.desks())
    else:
        time.sleep(0.3)
        assert h.stderr == ''
        assert len(os.listdir('/proc/%d/task' % h.pid)) == 1


def test_a_program_that_is_left_out_runs_its_children_profiled(start):
    h = start(['bash', '-c', '%s 0 & cat' % program('spin_split')], ONLY='spin_*', wait=False)
    eventually('the child listens', lambda: h.desks())
    assert h.pid not in h.desks()


# --- rates ---

def test_everything_off(start):
    """A profile that is switched off is a valid one without samples, not an error."""
    h = start(['spin_split', 0], CPU_HZ=0, HEAP_RATE=0)
    for name in ('heap', 'allocs', 'profile?seconds=1', 'heap?seconds=1'):
        assert h.profile(name).samples == []


def test_depth(start):
    h = start(['deep_stack', 'wait'], DEPTH=10)
    h.wait_for_output('ready')
    p = h.profile('heap')
    assert max(len(s.addresses) for s in p.samples) <= 11
    s = next(s for s in p.samples if 'deep_malloc' in s.frames)
    assert s.frames[:5] == ['deep_malloc', 'level_50', 'level_49', 'level_48', 'level_47']


def test_symbols_none(start):
    h = start(['deep_stack', 'wait'], SYMBOLS='none')
    h.wait_for_output('ready')
    p = h.profile('heap')
    assert p.functions == []
    assert not any(m['has_functions'] for m in p.mappings)
    assert p.total('inuse_space') > 30 << 20


def test_frame_pointers_only(start):
    """Wrong stacks are allowed where there are no frame pointers, a crash is not."""
    h = start(['deep_stack', 'spin'], UNWINDER='fp', HEAP_RATE=1)
    h.wait_for_output('ready')
    assert h.profile('heap').samples
    eventually('samples', lambda: h.profile('profile?seconds=1').samples)
    assert h.alive()


@pytest.mark.parametrize('content_type, body', [
    ('application/json', '{"cpu_hz": 250}'), ('application/json; charset=utf-8', ' {"cpu_hz":"250"} '),
    ('application/x-www-form-urlencoded', 'cpu_hz=250'), (None, 'cpu_hz=250'),
    ('application/x-www-form-urlencoded', '{"cpu_hz": 250}')])
def test_config(start, content_type, body):
    h = start(['spin_split', 0])
    r = h.get('/debug/pprof/config')
    assert r.status == 200 and r.headers['content-type'].startswith('application/json')
    before = json.loads(r.text)
    assert (before['cpu_hz'], before['heap_rate']) == (100, 524288)
    headers = {'Content-Type': content_type} if content_type else {}
    r = h.desk.request('POST', '/debug/pprof/config', body=body, headers=headers)
    assert r.status == 200, r.body
    assert json.loads(r.text) == dict(before, cpu_hz=250)
    assert json.loads(h.get('/debug/pprof/config').text) == dict(before, cpu_hz=250)
    assert h.profile('profile?seconds=1').period == 4000000
    eventually('samples', lambda: h.profile('profile?seconds=1').samples)


def test_config_of_the_heap(start):
    h = start(['cpp_containers', 1000], HEAP_RATE='1g')
    assert h.profile('heap').period == 1 << 30
    few = h.profile('heap?seconds=1')
    r = h.desk.request('POST', '/debug/pprof/config', body='heap_rate=4k')
    assert json.loads(r.text)['heap_rate'] == 4096
    assert h.profile('heap').period == 4096
    many = h.profile('heap?seconds=1')
    assert len(many.samples) > len(few.samples) + 5
    assert h.desk.request('POST', '/debug/pprof/config', body='heap_rate=0&cpu_hz=0').status == 200
    # A thread follows within 1 MiB of its allocations.
    eventually('no samples any more', lambda: h.profile('heap?seconds=1').total('alloc_space') == 0)
    assert h.profile('profile?seconds=1').samples == []


@pytest.mark.parametrize('body', [
    '{"cpu_hz": -1}', '{"cpu_hz": 5000}', '{"cpu_hz": "fast"}', '{"cpu_hz": 1.5}', '{"cpu_hz": null}',
    '{"cpu_hz": {}}', '{"cpu_hz": [1]}', '{"cpu_hz": 50', '{"cpu_hz": 50}}', '{"cpu_hz": 50, "cpu_hz": 60}',
    '{"nonsense": 1}', '{"cpu_hz": 50, "nonsense": 1}', 'cpu_hz', 'cpu_hz=', 'cpu_hz=50&x=1', '[]',
    '{"heap_rate": "64q"}', '{"heap_rate": true}', 'heap_rate=-1', '{"cpu_hz": 50, "heap_rate": -5}',
    '{' * 5000, 'x' * 5000, '%zz=1', '{"\\ud800": 1}'])
def test_bad_config(start, body):
    """400 with a line that says why, and nothing changed: not even the good half."""
    h = start(['hold_heap', 1000])
    before = h.get('/debug/pprof/config').text
    r = h.desk.request('POST', '/debug/pprof/config', body=body)
    assert r.status == 400, r.body
    assert r.headers['content-type'].startswith('text/plain')
    assert re.fullmatch(r'[ -~]+\n', r.text)
    assert h.get('/debug/pprof/config').text == before


def test_the_rates_hold_before_anybody_can_ask(start):
    """The first timer comes after a look at the alternate stack, which takes a second here; the desk comes after both."""
    h = start([need('strace'), '-f', '-qq', '-e', 'trace=sigaltstack', '-e', 'inject=sigaltstack:delay_enter=1000000', '-o', '/dev/null',
               '-E', 'LD_PRELOAD=' + LIBRARY, '-E', 'PPROFSHIM_ADDR=127.0.0.1:0', '-E', 'PPROFSHIM_LOG=info',
               program('hold_heap'), '1000'], shim=False)
    desk = next(iter(eventually('it serves', lambda: h.desks()).values()))
    assert json.loads(desk.get('/debug/pprof/config').text)['cpu_hz'] == 100


def test_a_host_is_only_asked_at_its_own_start(start):
    """What a program does to its environment later is its own business."""
    code = ("import os, time\nos.environ['PPROFSHIM_ADDR'] = 'off'\nos.environ.clear()\n"
            "print('ready', flush=True)\ntime.sleep(60)")
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')
    assert h.get('/debug/pprof/cmdline').status == 200
    assert isinstance(h, Host)
