"""What a single request can do, and cannot: ways out of our paths, two requests that look like one, too much of it.

Forms that are merely wrong are in test_bad_requests.py; lengths to the byte are in the unit tests (request_framing,
request_body, conn_limits)."""
import socket

import pytest

from attacks import GET, HOST, POST, WAIT, connect, resident, status_of, still_serves
from hosts import Background, eventually


@pytest.fixture(scope='module')
def host(module_start):
    return module_start(WAIT)


@pytest.fixture(scope='module')
def desk(host):
    return host.desk


@pytest.fixture(autouse=True)
def lives(host):
    yield
    assert host.alive()


# --- paths ---

CLIMBS = ['/../../../etc/passwd', '/debug/pprof/../../../etc/passwd', '/debug/pprof/..%2f..%2f..%2fetc%2fpasswd',
          '/debug/pprof/%2e%2e/%2e%2e/etc/passwd', '/debug/pprof//etc/passwd', '/debug/pprof/....//....//etc/passwd',
          '/debug/pprof/..\\..\\etc\\passwd', '/debug/pprof/%00/etc/passwd', '/debug/pprof/heap/../../../etc/passwd',
          '/debug/pprof/%c0%ae%c0%ae/etc/passwd', '/debug/pprof/;/etc/passwd', '/debug/pprof/file:///etc/passwd',
          '/%2fetc%2fpasswd', '/debug/pprof/proc/self/environ', '/debug/pprof/.', '/debug/pprof/..', '/.', '/..',
          '//evil.example/..', '/\\evil.example//x', '//\\evil.example/x', '/./\\\\evil.example', '/.//evil.example/x']


@pytest.mark.parametrize('path', CLIMBS)
def test_no_path_leads_to_a_file(desk, path):
    for form in (path, 'http://localhost' + path):
        answer = desk.raw(b'GET %s HTTP/1.1\r\n' % form.encode() + HOST + b'Connection: close\r\n\r\n')
        assert status_of(answer) in (307, 400, 404), answer[:200]
        assert b'root:' not in answer and b'PATH=' not in answer
        if status_of(answer) == 307:
            where = answer.split(b'Location: ')[1].split(b'\r\n')[0]
            assert where.startswith(b'/') and not where.startswith(b'//') and b'\\' not in where, where
            assert b'..' not in where.split(b'/'), where


# --- two requests that look like one, and one that looks like two ---

HIDDEN = b'GET /debug/pprof/cmdline HTTP/1.1\r\n' + HOST + b'\r\n'
SMUGGLED = {
    'length and chunks': POST + b'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' + HIDDEN,
    'chunks and length': POST + b'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n' + HIDDEN,
    'two lengths': POST + b'Content-Length: 3\r\nContent-Length: 0\r\n\r\n' + HIDDEN,
    'lengths in one': POST + b'Content-Length: 0, 3\r\n\r\n' + HIDDEN,
    'signed length': POST + b'Content-Length: +0\r\n\r\n' + HIDDEN,
    'negative length': POST + b'Content-Length: -1\r\n\r\n' + HIDDEN,
    'hexadecimal length': POST + b'Content-Length: 0x0\r\n\r\n' + HIDDEN,
    'length beyond 64 bits': POST + b'Content-Length: 18446744073709551616\r\n\r\n' + HIDDEN,
    'blank before the colon': POST + b'Content-Length : 0\r\n\r\n' + HIDDEN,
    'tab before the colon': POST + b'Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n' + HIDDEN,
    'folded field': POST + b'X: y\r\n Content-Length: 0\r\n\r\n' + HIDDEN,
    'folded coding': POST + b'Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n' + HIDDEN,
    'coding twice': POST + b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' + HIDDEN,
    'identity': POST + b'Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n' + HIDDEN,
    'chunked, identity': POST + b'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n' + HIDDEN,
    'vertical tab': POST + b'Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n' + HIDDEN,
    'quoted coding': POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + HIDDEN,
    'NUL in a field': POST + b'X: a\0b\r\nContent-Length: 0\r\n\r\n' + HIDDEN,
    'CR in a field': POST + b'X: a\rContent-Length: 3\r\n\r\n' + HIDDEN,
    'NUL in a name': POST + b'Content-Length\0: 0\r\n\r\n' + HIDDEN,
    'no size': POST + b'Transfer-Encoding: chunked\r\n\r\n\r\n' + HIDDEN,
    'bare LF behind a size': POST + b'Transfer-Encoding: chunked\r\n\r\n0\n\n' + HIDDEN,
    'bare CR behind a size': POST + b'Transfer-Encoding: chunked\r\n\r\n0\r\r\n' + HIDDEN,
    'size with a sign': POST + b'Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n' + HIDDEN,
    'size with 0x': POST + b'Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n' + HIDDEN,
    'size beyond 64 bits': POST + b'Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n' + HIDDEN,
    'size with an underscore': POST + b'Transfer-Encoding: chunked\r\n\r\n1_0\r\n' + HIDDEN,
    'chunk longer than its size': POST + b'Transfer-Encoding: chunked\r\n\r\n1\r\n0x1\r\n0\r\n\r\n' + HIDDEN,
    'LF in an extension': POST + b'Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n' + HIDDEN,
    'coding in 1.0': POST.replace(b'HTTP/1.1', b'HTTP/1.0') + b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n' + HIDDEN,
    'two hosts': b'GET / HTTP/1.1\r\n' + HOST + b'Host: evil.example\r\n\r\n' + HIDDEN,
    'no length': POST + b'Content-Length: \r\n\r\n' + HIDDEN,
    'length with a blank in it': POST + b'Content-Length: 0 0\r\n\r\n' + HIDDEN,
    'length with a parameter': POST + b'Content-Length: 0;x\r\n\r\n' + HIDDEN,
    'chunked, chunked': POST + b'Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n' + HIDDEN,
    'chunked with a parameter': POST + b'Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n' + HIDDEN,
    'almost chunked': POST + b'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n' + HIDDEN,
    'no coding': POST + b'Transfer-Encoding: \r\nContent-Length: 0\r\n\r\n' + HIDDEN,
    'blank before a field': b'POST /debug/pprof/symbol HTTP/1.1\r\n Content-Length: 0\r\n' + HOST + b'\r\n' + HIDDEN,
}


@pytest.mark.parametrize('how', SMUGGLED)
def test_a_doubtful_end_is_the_end(desk, how):
    """One answer, which says no, and nothing more of what that connection had to say."""
    answer = desk.raw(SMUGGLED[how])
    assert status_of(answer) in (400, 501), answer[:200]
    assert answer.count(b'HTTP/1.') == 1
    assert b'Connection: close' in answer and b'deep_stack' not in answer


def test_a_bare_lf_is_the_end_of_a_line_everywhere_in_a_head(desk):
    """As in Go, and as RFC 9112 2.2 allows: so what is behind it is a field, and never a part of a value."""
    answer = desk.raw((GET + b'Connection: close\r\n\r\n').replace(b'\r\n', b'\n'))
    assert status_of(answer) == 200 and answer.count(b'HTTP/1.') == 1
    # A length that somebody in front of us may have taken for a part of X.
    answer = desk.raw(POST + b'X: y\nContent-Length: %d\r\nConnection: close\r\n\r\n' % len(HIDDEN) + HIDDEN)
    assert status_of(answer) == 200 and answer.count(b'HTTP/1.') == 1 and b'deep_stack' not in answer
    # An empty line is the end of the head: what follows is another request, which has no Host.
    answer = desk.raw(POST + b'X: y\r\n\nGET / HTTP/1.1\r\n\r\n' + HIDDEN)
    assert answer.count(b'HTTP/1.') == 2 and answer.endswith(b'missing required Host header')
    # CR alone is none.
    answer = desk.raw(GET.replace(b'\r\n', b'\r') + b'\r\r' + HIDDEN)
    assert status_of(answer) == 400 and answer.count(b'HTTP/1.') == 1


def test_an_unknown_field_is_no_length(desk):
    """Names are compared whole: what looks like one is not, so there is no body, and what follows is no request."""
    for field in (b'Transfer_Encoding: chunked', b'Content_Length: 5', b'Content-Lengths: 5', b'XContent-Length: 5',
                  b'X-Transfer-Encoding: chunked'):
        answer = desk.raw(POST + field + b'\r\n\r\n0\r\n\r\n' + HIDDEN)
        assert answer.count(b'HTTP/1.') == 2 and b' 400 ' in answer.split(b'num_symbols: 1\n')[1], field
        assert b'deep_stack' not in answer


def test_what_a_get_brings_along_is_no_request(desk):
    """Its body is read and dropped, and the next request is the next one."""
    answer = desk.raw(GET + b'Content-Length: %d\r\n\r\n' % len(HIDDEN) + HIDDEN +
                      b'GET /debug/pprof/symbol HTTP/1.1\r\n' + HOST + b'Connection: close\r\n\r\n')
    assert answer.count(b'HTTP/1.') == 2 and answer.endswith(b'num_symbols: 1\n')


# --- too much ---

def test_a_header_without_end(host, desk):
    before = resident(host.pid)
    with connect(desk) as s:
        sent, line = 0, b'X-Flood: ' + b'y' * 4000 + b'\r\n'
        s.sendall(GET)
        try:
            while sent < 64 << 20:
                sent += s.send(line)
        except OSError:
            pass
    assert sent < 64 << 20
    still_serves(desk)
    assert resident(host.pid) < before + 4


def test_an_answer_begins_when_the_head_is_too_long(desk):
    """Not when it ends: a client that never ends it is told so."""
    for flood, status in ((b'X: y\r\n' * 1400, 431), (b'X: ' + b'y' * 8200, 431), (b'X: y\n' * 2000, 431)):
        with connect(desk) as s:
            s.sendall(GET + flood)
            assert status_of(s.recv(4096)) == status
    with connect(desk) as s:
        s.sendall(b'GET /' + b'y' * 8200)
        assert status_of(s.recv(4096)) == 414


ADDRESSES = 4000000 // 19


@pytest.fixture(scope='module')
def large_body(host, desk):
    """4 MB of addresses; those of the program's own functions, all of which have names."""
    desk.request('POST', '/debug/pprof/symbol', body=b'0x1')
    with open('/proc/%d/maps' % host.pid) as f:
        base = int(next(x for x in f if 'deep_stack' in x and ' r-xp ' in x).split('-')[0], 16)
    return b'+'.join(b'0x%016x' % (base + i % 4096) for i in range(ADDRESSES))


@pytest.mark.parametrize('how', ['counted', 'chunked'])
def test_large_symbol_request(host, desk, large_body, how):
    """Answered whole, others meanwhile; it takes some times its size, and that comes back."""
    before = resident(host.pid)
    body = large_body if how == 'counted' else iter([large_body[i:i + 7777] for i in range(0, len(large_body), 7777)])
    large = Background(lambda: desk.request('POST', '/debug/pprof/symbol', body=body))
    most = before
    while large.thread.is_alive():
        still_serves(desk, '/healthz')
        most = max(most, resident(host.pid))
    r = large.get()
    assert r.status == 200 and r.text.count('\n') == 1 + ADDRESSES
    # The body, the answer, and room to grow in.
    assert most < before + 2 * (len(large_body) + len(r.body)) / (1 << 20) + 4
    eventually('the memory is back', lambda: resident(host.pid) < before + 4)


@pytest.mark.parametrize('how', ['counted', 'chunked'])
def test_a_body_has_an_end(desk, how):
    """Refused by what it says, or where it is too long; what is sent all the same is read for a while, not kept."""
    with connect(desk) as s:
        if how == 'counted':
            s.sendall(POST + b'Content-Length: %d\r\n\r\n' % ((8 << 20) + 1) + b'+' * 100000)
        else:
            s.sendall(POST + b'Transfer-Encoding: chunked\r\n\r\n400000\r\n' + b'+' * (4 << 20) + b'\r\n400001\r\n')
        answer = s.recv(65536)
        assert status_of(answer) == 413 and b'Connection: close' in answer
