"""What makes us indistinguishable from a Go program's /debug/pprof: the checks of the wire contract.

One busy program (deep_stack, spinning) is asked everything; no request may end it."""
import http.client
import os
import re
import threading
import time

import pytest

from hosts import Background, Response

PROFILES = ('heap', 'allocs')


@pytest.fixture(scope='module')
def host(module_start):
    h = module_start(['deep_stack', 'spin'], CPU_HZ=100)
    h.wait_for_output('ready')
    return h


@pytest.fixture(scope='module')
def desk(host):
    return host.desk


# --- index ---

def test_index(desk):
    r = desk.get('/debug/pprof/')
    assert r.status == 200
    assert r.headers['content-type'] == 'text/html; charset=utf-8'
    assert r.headers['x-content-type-options'] == 'nosniff'
    assert 'Types of profiles available:' in r.text
    names = re.findall(r"<tr><td>\d+</td><td><a href='([^']+)\?debug=1'>", r.text)
    assert names == sorted(names)
    assert {'allocs', 'cmdline', 'heap', 'profile', 'symbol'} <= set(names)
    assert len(names) == len(set(names))


def test_everything_on_the_index_answers(desk):
    text = desk.get('/debug/pprof/').text
    for name in re.findall(r"<tr><td>\d+</td><td><a href='([^']+)\?debug=1'>", text):
        query = '?seconds=1' if name in ('profile', 'trace') else '?debug=1'
        assert desk.get('/debug/pprof/' + name + query).status == 200, name


def test_index_ignores_the_query(desk):
    assert desk.get('/debug/pprof/?x=1&seconds=zz').status == 200


def test_base_without_slash_redirects(desk):
    r = desk.get('/debug/pprof')
    assert r.status in (301, 307)
    assert r.headers['location'].endswith('/debug/pprof/')
    r = desk.get('/debug/pprof?debug=1')
    assert r.headers['location'].endswith('/debug/pprof/?debug=1')


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


# --- profiles ---

@pytest.mark.parametrize('name', PROFILES)
def test_named_profile(desk, name):
    p = desk.profile(name)          # the linter looks at everything
    assert p.total('inuse_space') > 30 << 20
    assert p.period == 512 << 10


def test_heap_and_allocs_list_the_same_stacks(desk):
    def stacks(name):
        return {tuple(s.addresses) for s in desk.profile(name).samples}
    heap = stacks('heap')
    assert heap and heap <= stacks('allocs')


def test_stack_is_complete_and_in_order(desk):
    """Fifty frames without frame pointers, leaf first, down to main."""
    want = ['deep_malloc'] + ['level_%02d' % n for n in range(50, 0, -1)] + ['main']
    p = desk.profile('heap')
    ours = [s for s in p.samples if 'deep_malloc' in s.frames]
    assert ours
    for s in ours:
        assert s.frames[:len(want)] == want     # the allocator's own frames are left out
    p = desk.profile('profile?seconds=1')
    want[0] = 'deep_spin'
    ours = [s for s in p.samples if 'deep_spin' in s.frames]
    assert sum(s.values['cpu'] for s in ours) > 0.9 * p.total('cpu')
    for s in ours:
        assert s.frames[:len(want)] == want


def test_no_frames_of_our_own(desk):
    for path in ('heap', 'allocs', 'profile?seconds=1'):
        for s in desk.profile(path).samples:
            assert not [f for f in s.files if 'pprofshim' in f], (path, s)


def test_addresses_are_those_of_the_calls(desk, host):
    """No location is a return address: each lies inside of its function's symbol, and for a frame
    that called another one before the end of the call instruction."""
    p = desk.profile('heap')
    s = next(s for s in p.samples if 'deep_malloc' in s.frames)
    exe = open(os.path.realpath('/proc/%d/exe' % host.pid), 'rb').read()
    base = p.mappings[0]['start'] - p.mappings[0]['offset']
    for frame, address in list(zip(s.frames, s.addresses))[:50]:
        # A direct call is e8 and four bytes; the address is its last byte.
        offset = address - base
        assert exe[offset - 4] == 0xe8, (frame, hex(offset), exe[offset - 8:offset + 2].hex())


def test_heap_text(desk):
    binary = desk.profile('heap')
    r = desk.get('/debug/pprof/heap?debug=1')
    assert r.status == 200
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert 'content-disposition' not in r.headers
    lines = r.text.split('\n')
    head = re.match(r'^heap profile: (\d+): (\d+) \[(\d+): (\d+)\] @ heap/(\d+)$', lines[0])
    assert head, lines[0]
    inuse, inuse_bytes, alloc, alloc_bytes, rate = map(int, head.groups())
    assert rate == 2 * binary.period
    assert alloc_bytes != inuse_bytes
    sums = [0, 0, 0, 0]
    for line in lines[1:]:
        m = re.match(r'^(\d+): (\d+) \[(\d+): (\d+)\] @( 0x[0-9a-f]+)+$', line)
        if m:
            row = [int(x) for x in m.groups()[:4]]
            assert (row[0] == 0) == (row[1] == 0) and (row[2] == 0) == (row[3] == 0), line
            sums = [a + b for a, b in zip(sums, row)]
        else:
            assert line == '' or line.startswith('#'), line
    assert sums[:3] == [inuse, inuse_bytes, alloc]
    assert sums[3] in (alloc_bytes, alloc_bytes - 1)
    assert '# runtime.MemStats\n' in r.text
    assert re.search(r'^# MaxRSS = \d+$', r.text, re.M)
    assert re.search(r'^#\t0x[0-9a-f]+\t+deep_malloc\+0x[0-9a-f]+', r.text, re.M)
    assert desk.get('/debug/pprof/allocs?debug=1').text.startswith('heap profile: ')


@pytest.mark.parametrize('query, text', [
    ('debug=abc', False), ('debug=0x1', False), ('debug=0', False), ('debug=', False),
    ('debug=1&debug=0', True), ('debug=0&debug=1', False), ('debug=%31', True), ('debug=2', True),
    ('debug=-1', True), ('gc=1', False), ('gc=1&debug=1', True), ('unknown=1', False),
    ('DEBUG=1', False), ('debug=1;x', False), ('%zz=1&debug=1', True)])
def test_debug_parameter(desk, query, text):
    r = desk.get('/debug/pprof/heap?' + query)
    assert r.status == 200
    assert r.body.startswith(b'heap profile: ' if text else b'\x1f\x8b')


# --- windows ---

def test_heap_delta(desk):
    took = []
    for name in PROFILES:
        p = desk.profile(name + '?seconds=1')
        took.append(p.duration_nanos)
        assert p.response.headers['content-disposition'].endswith('"%s-delta"' % name)
        # What it holds was allocated before the window.
        assert p.total('alloc_space', having='deep_malloc') == 0
    # A busy machine may hold up the one or the other.
    assert 1e9 <= min(took) < 2e9


def test_delta_keeps_the_default_sample_type(desk):
    """Go loses it."""
    assert desk.profile('allocs?seconds=1').default_sample_type == 'alloc_space'


@pytest.mark.parametrize('seconds', ['0', '-1', 'abc', '1.5', '1s', '%201', '99999999999999999999'])
def test_delta_with_bad_seconds(desk, seconds):
    for name in PROFILES:
        desk.error(400, 'invalid value for "seconds" - must be a positive integer',
                   '/debug/pprof/%s?seconds=%s' % (name, seconds))


def test_delta_with_debug(desk):
    desk.error(400, 'seconds and debug params are incompatible',
               '/debug/pprof/heap?seconds=300&debug=1')        # at once
    assert desk.get('/debug/pprof/heap?seconds=1&debug=x').status == 200
    assert desk.get('/debug/pprof/heap?seconds=').status == 200


def test_profile(desk, host):
    p, used, outside = host.profile_and_cpu('profile?seconds=2')
    assert 2e9 <= p.duration_nanos
    assert p.period == 10000000
    # One thread that never sleeps; a machine that is shared gives it less than two seconds.
    assert 0.9 * used - outside - 0.1 < p.total('cpu') / 1e9 < 1.05 * used + 0.05
    for s in p.samples:
        assert s.values['cpu'] == s.values['samples'] * p.period


def test_first_of_two_seconds_counts(desk):
    assert 1e9 <= desk.profile('profile?seconds=1&seconds=300').duration_nanos
    assert 1e9 <= desk.profile('heap?seconds=1&seconds=zz').duration_nanos


@pytest.mark.parametrize('seconds', ['0', '-1', 'abc', '1.5', None])
def test_profile_with_bad_seconds_takes_thirty(desk, seconds):
    """Nothing comes in the first second, neither an error nor a profile; and then we go."""
    c = http.client.HTTPConnection(desk.host, desk.port, timeout=1)
    c.request('GET', '/debug/pprof/profile' + ('' if seconds is None else '?seconds=' + seconds))
    with pytest.raises(TimeoutError):
        c.getresponse()
    c.close()


def test_after_a_client_has_left(desk):
    c = http.client.HTTPConnection(desk.host, desk.port)
    c.request('GET', '/debug/pprof/profile?seconds=300')
    time.sleep(0.2)
    c.close()
    assert 1e9 <= desk.profile('profile?seconds=1').duration_nanos


def test_everyone_has_their_own_window(desk, host):
    """Go says "already in use" to the second one."""
    long = Background(lambda: host.profile_and_cpu('profile?seconds=8'))
    time.sleep(0.5)
    short = [Background(lambda: desk.profile('profile?seconds=1')) for _ in range(3)]
    delta = Background(lambda: desk.profile('heap?seconds=2'))
    # Meanwhile nobody waits for anybody: all this is over before the longest window is.
    for _ in range(10):
        assert desk.get('/debug/pprof/cmdline').status == 200
        desk.profile('heap')
    for one in short:
        p = one.get()
        assert 1e9 <= p.duration_nanos
        assert 0 < p.total('cpu') < 1.05 * p.duration_nanos + 0.1e9
    assert 2e9 <= delta.get().duration_nanos
    assert long.thread.is_alive()
    p, used, outside = long.get()
    assert 8e9 <= p.duration_nanos
    assert 0.9 * used - outside - 0.2 < p.total('cpu') / 1e9 < 1.05 * used + 0.05


# --- cmdline, symbol ---

def test_cmdline(desk, host):
    with open('/proc/%d/cmdline' % host.pid, 'rb') as f:
        want = f.read()
    r = desk.get('/debug/pprof/cmdline')
    assert r.body == want[:-1]
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert r.headers['x-content-type-options'] == 'nosniff'


def address_of(desk, name):
    s = next(s for s in desk.profile('heap').samples if name in s.frames)
    return s.addresses[s.frames.index(name)]


def test_symbol_by_get(desk):
    assert desk.get('/debug/pprof/symbol').text == 'num_symbols: 1\n'
    a = address_of(desk, 'level_17')
    line = '0x%x level_17\n' % a
    r = desk.get('/debug/pprof/symbol?0x%x' % a)
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert r.text == 'num_symbols: 1\n' + line
    # Twice, in another base; an address of nothing; rubbish; empty words.
    r = desk.get('/debug/pprof/symbol?0x%X+0x1+%d++zz+0x' % (a, a))
    assert r.text == 'num_symbols: 1\n' + line + line


@pytest.mark.parametrize('content_type', ['application/octet-stream',
                                          'application/x-www-form-urlencoded'])
def test_symbol_by_post(desk, content_type):
    a = address_of(desk, 'level_17')
    r = desk.request('POST', '/debug/pprof/symbol', body='0x%032x+0x1' % a,
                     headers={'Content-Type': content_type})
    assert r.status == 200
    assert r.text == 'num_symbols: 1\n0x%x level_17\n' % a


def test_symbol_of_many_addresses(desk):
    a = address_of(desk, 'level_17')
    r = desk.request('POST', '/debug/pprof/symbol', body='+'.join(['0x%x' % a] * 3000))
    assert r.text == 'num_symbols: 1\n' + 3000 * ('0x%x level_17\n' % a)


def test_symbol_at_any_depth(desk):
    """pprof makes this address out of that of a custom profile."""
    a = address_of(desk, 'level_17')
    r = desk.get('/debug/pprof/example.com/symbol?0x%x' % a)
    assert r.text == 'num_symbols: 1\n0x%x level_17\n' % a


# --- methods ---

ALL = ['/debug/pprof/', '/debug/pprof/heap', '/debug/pprof/allocs', '/debug/pprof/heap?debug=1',
       '/debug/pprof/cmdline', '/debug/pprof/symbol', '/debug/pprof/profile?seconds=300',
       '/debug/pprof/heap?seconds=300', '/debug/pprof/config', '/debug/pprof/nosuch', '/nosuch',
       '/debug/pprof']


@pytest.mark.parametrize('path', ALL)
def test_head(desk, path):
    """As GET, without the body, and without taking a profile."""
    r = desk.request('HEAD', path)
    assert r.body == b''
    if 'seconds' in path:
        assert r.status == 200
        return
    get = desk.get(path)
    assert r.status == get.status
    for name in ('content-type', 'content-disposition', 'x-go-pprof', 'x-content-type-options',
                 'location'):
        assert r.headers.get(name) == get.headers.get(name)


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


@pytest.mark.parametrize('path', ['/debug/pprof/symbol', '/debug/pprof/config'])
def test_methods_where_post_is_allowed(desk, path):
    r = desk.request('DELETE', path)
    assert r.status == 405
    assert {'GET', 'HEAD', 'POST'} == set(r.headers['allow'].split(', '))


# --- framing ---

def test_headers_that_must_not_be_there(desk):
    for path in ('/debug/pprof/heap', '/debug/pprof/', '/debug/pprof/nosuch'):
        r = desk.get(path)
        for name in ('content-encoding', 'etag', 'access-control-allow-origin', 'server'):
            assert name not in r.headers, (path, name)
        assert 'date' in r.headers
        assert ('content-length' in r.headers) != ('transfer-encoding' in r.headers)


def test_keep_alive_and_pipelining(desk):
    c = http.client.HTTPConnection(desk.host, desk.port, timeout=10)
    for _ in range(20):
        c.request('GET', '/debug/pprof/cmdline')
        assert c.getresponse().read()
    c.close()
    one = b'GET /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n\r\n'
    answer = desk.raw(one * 5 + one.replace(b'\r\n\r\n', b'\r\nConnection: close\r\n\r\n'))
    assert answer.count(b'HTTP/1.1 200 OK\r\n') == 6
    assert answer.count(b'num_symbols: 1\n') == 6


def test_http_1_0(desk):
    answer = desk.raw(b'GET /debug/pprof/heap HTTP/1.0\r\n\r\n')
    head, _, body = answer.partition(b'\r\n\r\n')
    assert head.startswith(b'HTTP/1.0 200 OK\r\n')
    assert b'chunked' not in head.lower()
    assert body[:2] == b'\x1f\x8b'


def test_absolute_form(desk):
    answer = desk.raw(b'GET http://localhost/debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n'
                      b'Connection: close\r\n\r\n')
    assert answer.startswith(b'HTTP/1.1 200 OK\r\n')


def test_half_closed_client(desk):
    """printf ... | nc: it has said all it had to say and still wants to hear."""
    for path in (b'cmdline', b'heap'):
        answer = desk.raw(b'GET /debug/pprof/%s HTTP/1.1\r\nHost: localhost\r\n\r\n' % path,
                          half_close=True)
        assert answer.startswith(b'HTTP/1.1 200 OK\r\n')


def test_escapes_in_the_path(desk):
    assert desk.get('/debug/pprof/%63mdline').body == desk.get('/debug/pprof/cmdline').body
    answer = desk.raw(b'GET /debug/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert answer.startswith(b'HTTP/1.1 400 Bad Request\r\n')


@pytest.mark.parametrize('path', ['//debug/pprof/heap', '/debug//pprof/heap', '/debug/pprof/./heap',
                                  '/debug/pprof/a/../heap'])
def test_unclean_paths_redirect(desk, path):
    r = desk.get(path)
    assert r.status in (301, 307)
    assert r.headers['location'] == '/debug/pprof/heap'


def test_many_clients(desk):
    """Fifty at once, each with ten requests."""
    failed = []

    def client():
        try:
            for i in range(10):
                assert desk.get('/debug/pprof/heap' if i % 3 == 0 else '/debug/pprof/cmdline').status == 200
        except Exception as e:
            failed.append(e)
    threads = [threading.Thread(target=client) for _ in range(50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []


def test_still_there(host):
    """Last: whatever was asked above, the host has not noticed."""
    assert host.alive()
    assert isinstance(host.get('/debug/pprof/'), Response)
