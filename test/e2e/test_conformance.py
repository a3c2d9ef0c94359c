"""The checks of the wire contract, asked of a host of ours and of Go's own server: requests and answers.

A test names the numbers that it holds; those of profiles are in test_conformance_profiles.py, of the text forms in
test_conformance_text.py, of go tool pprof in test_go_tool.py. Where we differ: test_conformance_differences.py."""
import glob
import http.client
import os
import re
import subprocess

import pytest

from conformance import GO_OLDEST, LATER, NO_SECONDS, comes_later, desk  # noqa: F401
from golang import environment_of_go, newest_go
from hosts import PATIENCE, Background, Response, eventually

CHECKS = 33
CUSTOM = '/debug/pprof/example.com/kept'     # go_server has it
NAMED = ('heap', 'allocs', 'block', 'mutex', 'goroutine', 'threadcreate')
NO_INT = 'invalid value for "seconds" - must be a positive integer'


def test_every_check_has_a_test():
    here = os.path.dirname(os.path.abspath(__file__))
    held = set()
    for path in glob.glob(os.path.join(here, 'test_*.py')):
        with open(path) as f:
            for numbers in re.findall(r'^@pytest\.mark\.check\(([\d, ]+)\)', f.read(), re.M):
                held |= {int(n) for n in numbers.split(',')}
    assert held == set(range(1, CHECKS + 1))


@pytest.mark.check(33)
def test_the_api():
    """NewProfile, Add, Remove, Profiles, Lookup, Count, StartCPUProfile: not on the wire, and not there."""
    pytest.xfail('check 33 comes with ' + LATER[33])


# --- index, paths ---

@pytest.mark.check(1)
def test_index(server, desk):
    r = desk.get('/debug/pprof/')
    assert r.status == 200
    assert r.headers['content-type'] == 'text/html; charset=utf-8'
    assert r.headers['x-content-type-options'] == 'nosniff'
    assert 'Types of profiles available:' in r.text
    rows = re.findall(r"<tr><td>\d+</td><td><a href='([^']+)\?debug=1'>([^<]+)</a></td></tr>", r.text)
    names = [name for _, name in rows]
    assert names == sorted(set(names)) == [href for href, _ in rows]
    assert {*NAMED, 'cmdline', 'profile', 'symbol'} <= set(names)
    assert ('trace' in names) == (server.kind == 'go')      # LATER[24]
    assert re.search(r'href="goroutine\?debug=2"', r.text)
    assert desk.get('/debug/pprof/?x=1&seconds=zz&debug=2').status == 200


def test_everything_on_the_index_answers(desk):
    names = re.findall(r"<tr><td>\d+</td><td><a href='([^']+)\?debug=1'>", desk.get('/debug/pprof/').text)
    queries = {'profile': '?seconds=1', 'trace': '?seconds=0.1', 'wall': '?seconds=1'}
    asked = {name: Background(lambda name=name: desk.get('/debug/pprof/' + name + queries.get(name, '?debug=1')))
             for name in names}
    assert {name for name, one in asked.items() if one.get().status != 200} == set()


@pytest.mark.check(2)
@pytest.mark.parametrize('query', ['', '?debug=1'])
def test_base_without_slash(desk, query):
    r = desk.get('/debug/pprof' + query)
    assert r.status in (301, 307)
    assert r.headers['location'].endswith('/debug/pprof/' + query)


@pytest.mark.check(3)
@pytest.mark.parametrize('name', ['nosuch', 'heap/', 'Heap', '%3Cscript%3E', 'cmdline/', 'profile/x',
                                  'heap%00', 'a/b/c'])
def test_unknown_profile(desk, name):
    desk.error(404, 'Unknown profile', '/debug/pprof/' + name)


@pytest.mark.parametrize('path', ['/debug', '/debug/', '/favicon.ico', '/debugpprof/heap'])
def test_other_paths(desk, path):
    r = desk.get(path)
    assert (r.status, r.text) == (404, '404 page not found\n')
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert 'x-go-pprof' not in r.headers


@pytest.mark.parametrize('path', ['//debug/pprof/heap', '/debug//pprof/heap', '/debug/pprof/./heap',
                                  '/debug/pprof/a/../heap'])
def test_unclean_paths_redirect(desk, path):
    r = desk.get(path)
    assert r.status in (301, 307)
    assert r.headers['location'] == '/debug/pprof/heap'


def test_escapes_in_the_path(desk):
    assert desk.get('/debug/pprof/%63mdline').body == desk.get('/debug/pprof/cmdline').body
    answer = desk.raw(b'GET /debug/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert answer.startswith(b'HTTP/1.1 400 Bad Request\r\n')


# --- headers, parameters ---

@pytest.mark.check(4)
@pytest.mark.parametrize('name', NAMED)
def test_headers_of_a_profile(desk, name):
    r = desk.get('/debug/pprof/' + name)
    assert r.status == 200
    assert r.headers['content-type'] == 'application/octet-stream'
    assert r.headers['content-disposition'] == 'attachment; filename="%s"' % name
    assert r.headers['x-content-type-options'] == 'nosniff'
    assert 'x-go-pprof' not in r.headers
    assert r.body.startswith(b'\x1f\x8b')


@pytest.mark.check(4)
@pytest.mark.parametrize('path', ['heap', '', 'nosuch', 'cmdline', 'heap?debug=1'])
def test_headers_that_must_not_be_there(desk, path):
    r = desk.get('/debug/pprof/' + path)
    for name in ('content-encoding', 'etag', 'access-control-allow-origin', 'server'):
        assert name not in r.headers, name
    assert 'date' in r.headers
    assert ('content-length' in r.headers) != ('transfer-encoding' in r.headers)


@pytest.mark.check(18)
@pytest.mark.parametrize('seconds', ['0', '-1', 'abc', '1.5', '1s', '%201', '0x1', '99999999999999999999'])
def test_delta_with_bad_seconds(desk, seconds):
    for name in NAMED:
        desk.error(400, NO_INT, '/debug/pprof/%s?seconds=%s' % (name, seconds))
    desk.error(400, NO_INT, '/debug/pprof/heap?debug=1&seconds=' + seconds)


@pytest.mark.check(19)
def test_bad_seconds_of_what_is_not_there(desk):
    """An unknown name is looked at before its seconds are."""
    desk.error(404, 'Unknown profile', '/debug/pprof/nosuch?seconds=zz')


@pytest.mark.check(19)
def test_a_custom_profile_has_no_delta(server, desk):
    with comes_later(server, 19):
        desk.error(400, '"seconds" parameter is not supported for this profile type', CUSTOM + '?seconds=300')
        desk.error(400, NO_INT, CUSTOM + '?seconds=zz')


@pytest.mark.check(20)
def test_delta_with_debug(desk):
    desk.error(400, 'seconds and debug params are incompatible',
               '/debug/pprof/heap?seconds=300&debug=1')        # at once
    asked = [Background(lambda q=q: desk.get('/debug/pprof/heap?' + q))
             for q in ('seconds=1&debug=x', 'seconds=1&debug=0', 'seconds=%2B1', 'seconds=01&seconds=zz')]
    for one in asked:
        assert one.get().status == 200
    assert desk.get('/debug/pprof/heap?seconds=').headers['content-disposition'].endswith('"heap"')


@pytest.mark.check(28)
@pytest.mark.parametrize('query, text', [
    ('debug=abc', False), ('debug=0x1', False), ('debug=0', False), ('debug=', False),
    ('debug=1&debug=0', True), ('debug=0&debug=1', False), ('debug=%31', True), ('debug=2', True),
    ('debug=-1', True), ('gc=1', False), ('gc=1&debug=1', True), ('gc=x', False), ('unknown=1', False),
    ('DEBUG=1', False), ('debug=1;x', False), ('%zz=1&debug=1', True), ('debug=+1', False)])
def test_debug_parameter(desk, query, text):
    r = desk.get('/debug/pprof/heap?' + query)
    assert r.status == 200
    assert r.headers['content-type'] == ('text/plain; charset=utf-8' if text else 'application/octet-stream')
    assert r.body.startswith(b'heap profile: ' if text else b'\x1f\x8b')


# --- profile, trace ---

def left_alone(desk, path, patience=0.3):
    """Asks and goes when nothing has come for so long. The answer, if one came."""
    c = http.client.HTTPConnection(desk.host, desk.port, timeout=patience)
    try:
        c.request('GET', '/debug/pprof/' + path)
        r = c.getresponse()
        return Response(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read(), 0)
    except TimeoutError:
        return None
    finally:
        c.close()


@pytest.mark.check(23)
@pytest.mark.parametrize('query', NO_SECONDS)
def test_profile_with_bad_seconds_is_no_error(original, query):
    """Of Go's only that nothing comes soon, since it has one at once: ours are in test_thirty_seconds."""
    eventually('nothing comes of it', lambda: left_alone(original.desk, 'profile' + query, 0.1) is None)


@pytest.mark.check(22)
def test_others_answer_while_a_profile_is_taken(desk):
    def all_answered():
        long = Background(lambda: desk.profile('profile?seconds=1&seconds=300'))
        for name in NAMED + ('cmdline', 'symbol', ''):
            assert desk.get('/debug/pprof/' + name).status == 200
        meanwhile = long.thread.is_alive()
        assert 1e9 <= long.get().duration_nanos < 30e9
        return meanwhile
    eventually('all answer within a second', all_answered)     # a busy machine may hold them up


@pytest.mark.check(22)
def test_after_a_client_has_left(desk):
    assert left_alone(desk, 'profile?seconds=300') is None
    r = eventually('the profile of who went has ended', lambda: (
        lambda r: r if r.status == 200 else None)(desk.get('/debug/pprof/profile?seconds=1')))
    assert r.seconds >= 1


@pytest.mark.check(24)
def test_trace(server, desk, tmp_path):
    if server.kind == 'ours':
        desk.error(404, 'Unknown profile', '/debug/pprof/trace?seconds=0.2')      # no empty 200
    with comes_later(server, 24):
        r = desk.get('/debug/pprof/trace?seconds=0.2')
        assert r.status == 200 and r.body.startswith(b'go 1.')
        assert r.headers['content-disposition'] == 'attachment; filename="trace"'
        (tmp_path / 'trace').write_bytes(r.body)
        subprocess.run([newest_go(GO_OLDEST), 'tool', 'trace', '-d=parsed', str(tmp_path / 'trace')], check=True,
                       env=environment_of_go(), stdout=subprocess.DEVNULL)


@pytest.mark.check(24)
def test_two_traces_at_once(server, desk):
    def refused():
        asked = [Background(lambda: desk.get('/debug/pprof/trace?seconds=0.5')) for _ in range(2)]
        return [r for r in (one.get() for one in asked) if r.status != 200]
    with comes_later(server, 24):
        assert desk.get('/debug/pprof/trace?seconds=0.1').status == 200
        second = eventually('one of them is refused', refused)[0]
        assert (second.status, second.text) == (
            500, 'Could not enable tracing: execution tracer already enabled\n')


# --- cmdline, symbol ---

@pytest.mark.check(25)
def test_cmdline(server, desk):
    with open('/proc/%d/cmdline' % server.pid, 'rb') as f:
        want = f.read()
    r = desk.get('/debug/pprof/cmdline?x=1')
    assert r.body == want[:-1]
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert r.headers['x-content-type-options'] == 'nosniff'


def address_of(server, name):
    s = server.samples('heap', name)[0]
    return s.addresses[s.frames.index(server.name(name))]


@pytest.mark.check(26)
def test_symbol_by_get(server, desk):
    assert desk.get('/debug/pprof/symbol').text == 'num_symbols: 1\n'
    a = address_of(server, 'keep_blocks')
    line = '0x%x %s\n' % (a, server.name('keep_blocks'))
    r = desk.get('/debug/pprof/symbol?0x%x' % a)
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert r.text == 'num_symbols: 1\n' + line
    # Twice, in other bases; an address of nothing; rubbish; empty words.
    r = desk.get('/debug/pprof/symbol?0x%X+0x1+%d++zz+0x+0%o+0b%s+0' % (a, a, a, bin(a)[2:]))
    assert r.text == 'num_symbols: 1\n' + 4 * line
    # The query is not decoded.
    assert desk.get('/debug/pprof/symbol?0x%x%%2B0x%x' % (a, a)).text == 'num_symbols: 1\n'


# --- methods ---

@pytest.mark.check(27)
@pytest.mark.parametrize('path', ['/debug/pprof/', '/debug/pprof/heap', '/debug/pprof/goroutine?debug=2',
                                  '/debug/pprof/heap?debug=1', '/debug/pprof/cmdline',
                                  '/debug/pprof/symbol', '/debug/pprof/nosuch', '/nosuch',
                                  '/debug/pprof/heap?seconds=0', '/debug/pprof'])
def test_head(desk, path):
    head, get = desk.request('HEAD', path), desk.get(path)
    assert (head.status, head.body) == (get.status, b'')
    for name in ('content-type', 'content-disposition', 'x-go-pprof', 'x-content-type-options',
                 'location'):
        assert head.headers.get(name) == get.headers.get(name), name


@pytest.mark.check(27)
@pytest.mark.parametrize('method', ['PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'POST'])
@pytest.mark.parametrize('path', ['/debug/pprof/', '/debug/pprof/heap', '/debug/pprof/cmdline',
                                  '/debug/pprof/profile?seconds=1'])
def test_other_methods(desk, method, path):
    r = desk.request(method, path, body=b'')
    assert (r.status, r.text) == (405, 'Method Not Allowed\n')
    assert r.headers['allow'] == 'GET, HEAD'
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert r.headers['x-content-type-options'] == 'nosniff'
    assert 'x-go-pprof' not in r.headers


# --- framing ---

def test_keep_alive_and_pipelining(desk):
    c = desk.connection(PATIENCE)
    for _ in range(20):
        c.request('GET', '/debug/pprof/cmdline')
        assert c.getresponse().read()
    c.close()
    one = b'GET /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n\r\n'
    answer = desk.raw(one * 5 + one.replace(b'\r\n\r\n', b'\r\nConnection: close\r\n\r\n'))
    assert answer.count(b'HTTP/1.1 200 OK\r\n') == 6
    assert answer.count(b'num_symbols: 1\n') == 6


@pytest.mark.parametrize('name', [b'heap', b'cmdline'])
def test_http_1_0(desk, name):
    answer = desk.raw(b'GET /debug/pprof/%s HTTP/1.0\r\n\r\n' % name, timeout=20)
    head, _, body = answer.partition(b'\r\n\r\n')
    assert head.startswith(b'HTTP/1.0 200 OK\r\n')
    assert b'chunked' not in head.lower()
    assert body == desk.get('/debug/pprof/cmdline').body or body[:2] == b'\x1f\x8b'


def test_host_is_wanted(desk):
    answer = desk.raw(b'GET /debug/pprof/cmdline HTTP/1.1\r\n\r\n')
    head, _, body = answer.partition(b'\r\n\r\n')
    assert head.startswith(b'HTTP/1.1 400 Bad Request')
    assert body.strip() == b'400 Bad Request: missing required Host header'


def test_absolute_form(desk):
    answer = desk.raw(b'GET http://localhost/debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n'
                      b'Connection: close\r\n\r\n')
    assert answer.startswith(b'HTTP/1.1 200 OK\r\n')


def test_a_body_that_nobody_wants(desk):
    """Counted or in chunks: what follows it on the connection is answered, too."""
    end = b'GET /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    for body in (b'Content-Length: 5\r\n\r\nGET /', b'Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n'):
        answer = desk.raw(b'GET /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n' + body + end)
        assert answer.count(b'HTTP/1.1 200 OK\r\n') == 2, answer
        assert answer.endswith(desk.get('/debug/pprof/cmdline').body)


def test_a_client_that_has_said_all(desk):
    """printf ... | nc: it still wants to hear."""
    for path in (b'cmdline', b'heap'):
        answer = desk.raw(b'GET /debug/pprof/%s HTTP/1.1\r\nHost: localhost\r\n\r\n' % path,
                          half_close=True)
        assert answer.startswith(b'HTTP/1.1 200 OK\r\n')
