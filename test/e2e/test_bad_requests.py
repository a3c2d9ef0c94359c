"""Whatever comes over the wire gets the documented answer, and the host lives."""
import os
import random
import socket
import time

import pytest

from hosts import PATIENCE

HOST = b'Host: localhost\r\n'


@pytest.fixture(scope='module')
def host(module_start):
    return module_start(['deep_stack', 'wait'])


@pytest.fixture(scope='module')
def desk(host):
    return host.desk


@pytest.fixture(autouse=True)
def lives(host):
    yield
    assert host.alive()
    assert host.get('/debug/pprof/cmdline').status == 200


def raw(desk, data, **how):
    """What comes until the desk closes, as it does after all of these, on a busy machine perhaps late."""
    return desk.raw(data, timeout=PATIENCE, **how)


def read_all(s):
    """Until the desk closes the connection."""
    answer = b''
    while True:
        piece = s.recv(65536)
        if not piece:
            return answer
        answer += piece


def status_of(answer):
    assert answer.startswith(b'HTTP/1.'), answer[:100]
    return int(answer.split(b' ', 2)[1])


# --- who may ask ---

@pytest.mark.parametrize('name', ['localhost', '127.0.0.1', '[::1]', 'localhost:6060', '127.0.0.1:1',
                                  '[::1]:9999', 'LOCALHOST'])
def test_host_names_that_are_us(desk, name):
    assert desk.get('/debug/pprof/cmdline', headers={'Host': name}).status == 200


@pytest.mark.parametrize('name', ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example',
                                  'evil.example:6060', '127.0.0.2', '0.0.0.0', '10.0.0.1', '[::2]',
                                  'localhost@evil.example', ' ', 'localhost:80:80', 'localhost,evil',
                                  '[::1', 'localhost/', '127.1', '2130706433', 'local\thost'])
def test_other_host_names(desk, name):
    """A page in somebody's browser whose name leads to 127.0.0.1 (DNS rebinding)."""
    answer = raw(desk, b'GET /debug/pprof/cmdline HTTP/1.1\r\nHost: %s\r\n\r\n' % name.encode())
    assert status_of(answer) in (400, 403)
    assert b'deep_stack' not in answer


def test_evil_host_is_forbidden(desk):
    r = desk.get('/debug/pprof/heap', headers={'Host': 'evil.example'})
    assert r.status == 403
    assert r.headers['content-type'].startswith('text/plain')


def test_host_of_an_absolute_target_counts(desk):
    answer = raw(desk, b'GET http://evil.example/debug/pprof/cmdline HTTP/1.1\r\n' + HOST + b'\r\n')
    assert status_of(answer) in (400, 403)


def test_missing_and_double_host(desk):
    answer = raw(desk, b'GET /debug/pprof/cmdline HTTP/1.1\r\n\r\n')
    assert status_of(answer) == 400 and b'missing required Host header' in answer
    assert status_of(raw(desk, b'GET / HTTP/1.1\r\n' + HOST + b'Host: evil.example\r\n\r\n')) == 400


@pytest.mark.parametrize('headers', [
    {'Origin': 'http://evil.example'}, {'Origin': 'null'}, {'Sec-Fetch-Site': 'cross-site'},
    {'Sec-Fetch-Site': 'same-site'}, {'Origin': 'http://localhost.evil.example:6060'}])
def test_post_from_another_site(desk, headers):
    for path, body in (('/debug/pprof/config', '{"cpu_hz": 50}'), ('/debug/pprof/symbol', '0x1')):
        r = desk.request('POST', path, body=body, headers=headers)
        assert r.status == 403, path
    assert desk.get('/debug/pprof/config').text.find('"cpu_hz": 50') < 0


# --- request lines and headers ---

LINES = [b'\r\n\r\n', b'GET\r\n\r\n', b'GET /\r\n\r\n', b' GET / HTTP/1.1\r\n' + HOST + b'\r\n',
         b'GET  / HTTP/1.1\r\n' + HOST + b'\r\n', b'GET / HTTP/1.1 \r\n' + HOST + b'\r\n',
         b'GET / HTTP/9.9\r\n' + HOST + b'\r\n', b'GET / HTTP/2.0\r\n' + HOST + b'\r\n',
         b'GET / HTTP/1.11\r\n' + HOST + b'\r\n', b'GET / http/1.1\r\n' + HOST + b'\r\n',
         b'GET / HTTP/\r\n' + HOST + b'\r\n', b'GET nothing HTTP/1.1\r\n' + HOST + b'\r\n',
         b'G\0T / HTTP/1.1\r\n' + HOST + b'\r\n', b'GET /\0 HTTP/1.1\r\n' + HOST + b'\r\n',
         b'GET /a b HTTP/1.1\r\n' + HOST + b'\r\n', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' * 20,
         b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', b'\xff' * 100 + b'\r\n\r\n', b'(GET) / HTTP/1.1\r\n' + HOST + b'\r\n',
         b'GET / HTTP/1.1\r\n' + HOST + b'no colon\r\n\r\n',
         b'GET / HTTP/1.1\r\n' + HOST + b': no name\r\n\r\n',
         b'GET / HTTP/1.1\r\n' + HOST + b'sp ace: x\r\n\r\n',
         b'GET / HTTP/1.1\r\n' + HOST + b'Name : x\r\n\r\n',
         b'GET / HTTP/1.1\r\n' + HOST + b' folded: x\r\n\r\n',
         b'GET / HTTP/1.1\r\n' + HOST + b'X: a\0b\r\n\r\n',
         b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Content-Length: x\r\n\r\n',
         b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Content-Length: -1\r\n\r\n',
         b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Content-Length: 1\r\nContent-Length: 2\r\n\r\nab',
         b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Content-Length: 99999999999999999999999\r\n\r\n',
         b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
         b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Transfer-Encoding: gzip\r\n\r\n']


@pytest.mark.parametrize('line', LINES, ids=[repr(x[:24]) + str(len(x)) for x in LINES])
def test_bad_request(desk, line):
    """A 4xx or 5xx that says so, or nothing for what is no HTTP; never a 200, never more than one."""
    # Where no line ends nothing would come for long.
    answer = raw(desk, line, half_close=b'\n' not in line)
    if answer:
        assert 400 <= status_of(answer) <= 505, answer[:200]
        assert answer.count(b'HTTP/1.') == 1
    assert b'200 OK' not in answer


def test_smuggled_request(desk):
    """After a request with a bad length nothing more is read from that connection."""
    answer = raw(desk, b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST +
                      b'Content-Length: 0x10\r\n\r\nGET /debug/pprof/cmdline HTTP/1.1\r\n' + HOST + b'\r\n')
    assert status_of(answer) == 400
    assert b'deep_stack' not in answer


def test_header_too_large(desk):
    answer = raw(desk, b'GET / HTTP/1.1\r\n' + HOST + b'X: ' + b'x' * 100000 + b'\r\n\r\n')
    assert status_of(answer) == 431
    many = b''.join(b'X%d: y\r\n' % i for i in range(20000))
    assert status_of(raw(desk, b'GET / HTTP/1.1\r\n' + HOST + many + b'\r\n')) == 431


def test_target_too_long(desk):
    answer = raw(desk, b'GET /' + b'x' * 100000 + b' HTTP/1.1\r\n' + HOST + b'\r\n')
    assert status_of(answer) in (414, 431)


def test_body_too_large(desk):
    answer = raw(desk, b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST +
                      b'Content-Length: 1000000000\r\n\r\n' + b'0x1+' * 10000)
    assert status_of(answer) == 413
    answer = raw(desk, b'POST /debug/pprof/config HTTP/1.1\r\n' + HOST +
                      b'Content-Length: 10000000\r\n\r\n' + b' ' * 10000)
    assert status_of(answer) == 413


def test_chunked_body(desk):
    answer = raw(desk, b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Connection: close\r\n'
                      b'Transfer-Encoding: chunked\r\n\r\n3\r\n0x1\r\n1\r\n+\r\n0\r\n\r\n')
    assert status_of(answer) in (200, 411, 501)


def test_expect_continue(desk):
    """curl asks before it sends a body of more than a megabyte, Java before any."""
    with socket.create_connection((desk.host, desk.port), timeout=PATIENCE) as s:
        s.sendall(b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST +
                  b'Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n')
        time.sleep(0.1)
        s.sendall(b'0x1')
        assert b'num_symbols: 1' in read_all(s)


# --- slow, many, gone ---

def test_byte_by_byte(desk):
    request = b'GET /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Connection: close\r\n\r\n'
    with socket.create_connection((desk.host, desk.port), timeout=PATIENCE) as s:
        for i in range(len(request)):
            s.sendall(request[i:i + 1])
        assert read_all(s).endswith(b'num_symbols: 1\n')


def test_silent_clients_hold_up_nobody(desk):
    held = []
    try:
        for i in range(300):
            s = socket.create_connection((desk.host, desk.port), timeout=PATIENCE)
            s.sendall(b'GET /debug' if i % 2 else b'')
            held.append(s)
            if i % 50 == 0:
                assert desk.get('/debug/pprof/cmdline').status == 200
        # With all of these open somebody new may be refused, or take the place of the oldest.
    finally:
        for s in held:
            s.close()
    assert desk.get('/debug/pprof/cmdline').status == 200


def test_client_that_reads_nothing(desk):
    held = []
    try:
        for _ in range(20):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            s.connect((desk.host, desk.port))
            s.sendall((b'GET /debug/pprof/heap?debug=1 HTTP/1.1\r\n' + HOST + b'\r\n') * 200)
            held.append(s)
        assert desk.get('/debug/pprof/cmdline').status == 200
    finally:
        for s in held:
            s.close()


def test_clients_that_go_away(desk):
    for i in range(200):
        s = socket.create_connection((desk.host, desk.port), timeout=PATIENCE)
        # Reset instead of an orderly end.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        s.sendall(b'GET /debug/pprof/heap%s HTTP/1.1\r\n' % (b'?seconds=30' if i % 2 else b'') + HOST + b'\r\n')
        s.close()


def test_noise(desk):
    """A thousand requests with something wrong in each: seeded, so a failure comes again."""
    good = [b'GET /debug/pprof/heap?debug=1&seconds=1 HTTP/1.1\r\n' + HOST + b'Accept: */*\r\n\r\n',
            b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Content-Length: 6\r\n\r\n0x1234',
            b'POST /debug/pprof/config HTTP/1.1\r\n' + HOST + b'Content-Type: application/json\r\n'
            b'Content-Length: 14\r\n\r\n{"cpu_hz": 77}']
    seed = int(os.environ.get('TEST_SEED', '1'))
    rng = random.Random(seed)
    for n in range(1000):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            how = rng.randrange(4)
            if how == 0:
                data[at] = rng.randrange(256)
            elif how == 1:
                del data[at:at + rng.randint(1, 8)]
            elif how == 2:
                data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
            else:
                data[at:at] = data[at:at + rng.randint(1, 40)] * rng.randint(1, 5)
        with socket.create_connection((desk.host, desk.port), timeout=PATIENCE) as s:
            s.settimeout(0.02)
            try:
                s.sendall(bytes(data))
                s.recv(100)
            except OSError:
                pass
