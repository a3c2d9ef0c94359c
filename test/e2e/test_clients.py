"""curl in all its ways, and what Grafana Alloy's scraper does, against a host of ours and Go's own server."""
import os
import re
import subprocess

import pytest

from clients import answers_unix, need
from conformance import Ours, desk  # noqa: F401
from hosts import Background, eventually
from profile_message import Read, decode
from test_conformance import NAMED


def curl(*argv):
    """(status line and headers of the last answer, body) of a curl."""
    p = subprocess.run([need('curl'), '-sS', '-m', '60', '-D', '-', *argv], capture_output=True, timeout=90)
    assert p.returncode == 0, p.stderr
    head, _, body = p.stdout.partition(b'\r\n\r\n')
    while body.startswith(b'HTTP/'):        # 100 Continue, or a redirect that was followed
        head, _, body = body.partition(b'\r\n\r\n')
    return head.decode().lower(), body


def is_gzip(body):
    return body[:2] == b'\x1f\x8b'


# --- curl ---

def test_compressed_is_the_file(desk):
    """gzip is the format of the file, not of its way here: curl leaves it alone."""
    head, body = curl('--compressed', desk.url('/debug/pprof/heap'))
    assert 'content-encoding' not in head
    assert is_gzip(body) and decode(body).sample


def test_head(desk):
    head, body = curl('-I', '-o', '/dev/null', desk.url('/debug/pprof/heap'))
    assert head.startswith('http/1.1 200 ok')
    assert 'content-type: application/octet-stream' in head and body == b''


@pytest.mark.parametrize('version', ['--http1.0', '--http1.1', '--http2'])
def test_versions(desk, version):
    """--http2 offers to change to it: who does not want to, answers as ever."""
    head, body = curl(version, desk.url('/debug/pprof/heap'))
    assert head.startswith('http/1.0 200' if version == '--http1.0' else 'http/1.1 200')
    assert is_gzip(body) and decode(body).sample


def test_resume_is_refused_by_the_whole(desk, tmp_path):
    """A profile is another one each time: a range is not given, and curl says so."""
    path = tmp_path / 'part'
    path.write_bytes(b'\x1f\x8b')
    p = subprocess.run([need('curl'), '-sS', '-C', '-', '-o', str(path), desk.url('/debug/pprof/heap')],
                       capture_output=True, text=True)
    assert p.returncode == 33, p.stderr
    head, body = curl('-r', '0-9', desk.url('/debug/pprof/heap'))
    assert ' 200 ' in head.split('\r\n')[0] and len(body) > 10


def test_file_name(desk, tmp_path):
    """-OJ keeps it under the name that we give."""
    subprocess.run([need('curl'), '-sSOJ', desk.url('/debug/pprof/heap?gc=1')], cwd=tmp_path, check=True)
    assert os.listdir(tmp_path) == ['heap']


def test_redirect_is_followed(desk):
    head, body = curl('-L', desk.url('/debug/pprof'))
    assert head.startswith('http/1.1 200') and b'Types of profiles available:' in body


def test_upload_that_waits_for_leave(server, desk, tmp_path):
    """curl asks before it sends more than a megabyte. Go refuses what it would send."""
    path = tmp_path / 'body'
    path.write_bytes(b'0x1+' * 400000)
    p = subprocess.run([need('curl'), '-sSi', '--expect100-timeout', '60', '--data-binary', '@%s' % path,
                        desk.url('/debug/pprof/symbol')], capture_output=True, timeout=90)
    if server.kind == 'ours':
        assert p.stdout.startswith(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n')
        assert p.stdout.endswith(b'\r\n\r\nnum_symbols: 1\n')
    else:
        assert p.stdout.startswith(b'HTTP/1.1 405 ')
    head, body = curl('-T', str(path), desk.url('/debug/pprof/heap'))
    assert ' 405 ' in head.split('\r\n')[0] and body == b'Method Not Allowed\n'


def test_one_connection_for_many(desk):
    urls = [desk.url('/debug/pprof/' + name) for name in NAMED]
    p = subprocess.run([need('curl'), '-sSv', *[x for u in urls for x in (u, '-o', '/dev/null')]],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 0
    assert len(re.findall(r'^< HTTP/1.1 200', p.stderr, re.M)) == len(urls)
    assert len(re.findall(r'^\* Re-using existing connection', p.stderr, re.M)) == len(urls) - 1


def test_unix_socket(start, tmp_path):
    path = str(tmp_path / 'desk.sock')
    start(['does_as_told'], wait=False, ADDR='unix:' + path)
    # The file is there a moment before anybody listens.
    eventually('it listens', lambda: answers_unix(path))
    head, body = curl('--unix-socket', path, 'http://localhost/debug/pprof/heap')
    assert head.startswith('http/1.1 200') and is_gzip(body)


# --- Alloy ---

# pyroscope.scrape as it comes: (profile, path, whether it asks for a window).
ALLOY = [('memory', '/debug/pprof/allocs', False), ('block', '/debug/pprof/block', False),
         ('goroutine', '/debug/pprof/goroutine', False), ('mutex', '/debug/pprof/mutex', False),
         ('process_cpu', '/debug/pprof/profile', True), ('fgprof', '/debug/fgprof', True)]
# Whose growth from scrape to scrape it sends on; the other values as they are.
ALLOY_DELTAS = {'memory': ('alloc_objects', 'alloc_space'), 'block': ('contentions', 'delay'),
                'mutex': ('contentions', 'delay')}


def alloy_accepts(r):
    """What its validation refuses."""
    assert 200 <= r.status < 300
    assert r.headers.get('content-type', '').startswith('application/octet-stream')
    assert len(r.body) > 0 and not r.body.lstrip().startswith((b'<', b'{', b'['))
    return Read(decode(r.body))


def alloy_scrapes(server, params):
    """{profile: Read}, all asked at once."""
    asked = {}
    for name, path, window in ALLOY:
        if name == 'fgprof' and server.kind == 'go':
            continue        # another module's
        query = '&'.join(params + (['seconds=1'] if window else []))
        url = path + ('?' + query if query else '')
        asked[name] = Background(lambda url=url: server.desk.get(
            url, headers={'User-Agent': 'Alloy/1.18', 'Accept-Encoding': 'gzip'}))
    return {name: alloy_accepts(one.get()) for name, one in asked.items()}


def by_addresses(profile, value):
    """It knows a stack by nothing but its addresses and labels."""
    sums = {}
    for s in profile.samples:
        key = (tuple(s.addresses), tuple(sorted(s.labels.items())))
        sums[key] = sums.get(key, 0) + s.values[value]
    return sums


@pytest.fixture(scope='module')
def scraped():
    """One of its own: of theirs the conformance tests know exactly what it has done."""
    server = Ours()
    server.tell('keep 256 1048576')
    server.fight(20, 3000)
    yield server
    server.stop()


def test_alloy_scrapes(scraped):
    """Every default endpoint, twice: what it works out is what was done in between."""
    before = alloy_scrapes(scraped, [])
    scraped.tell('late 100 1048576')
    waited = scraped.fight(10, 2000)
    after = alloy_scrapes(scraped, [])
    grown = {}
    for name, values in ALLOY_DELTAS.items():
        for value in values:
            was, now = by_addresses(before[name], value), by_addresses(after[name], value)
            assert all(now.get(key, 0) >= n for key, n in was.items()), (name, value)
            grown[name, value] = sum(now.values()) - sum(was.values())
    # One standard deviation of the sampling is 4 %.
    assert grown['memory', 'alloc_space'] == pytest.approx(100 << 20, rel=0.25)
    assert grown['mutex', 'contentions'] >= 10 <= grown['block', 'contentions']
    assert grown['mutex', 'delay'] > 0.99 * waited.least < grown['block', 'delay']
    for name, p in after.items():
        assert (p.duration_nanos > 0) == (name in ('process_cpu', 'fgprof')), name
        assert p.time_nanos > before[name].time_nanos


def test_alloy_scrapes_godeltaprof(scraped):
    """Where it is told to take the growth as it comes, and not what it works out itself: of each scraper its own."""
    def scrape(client):
        got = {}
        for name in ('delta_heap', 'delta_block', 'delta_mutex'):
            got[name] = alloy_accepts(scraped.desk.get('/debug/pprof/%s?client=%s' % (name, client)))
        return got
    first, other = scrape('one'), scrape('two')
    assert first['delta_heap'].total('alloc_space', having='keep_blocks') > 0      # since the start
    assert other['delta_heap'].total('alloc_space', having='keep_blocks') > 0
    scraped.tell('late 100 1048576')
    waited = scraped.fight(10, 2000)
    second = scrape('one')
    assert second['delta_heap'].total('alloc_space', having='late_blocks') == pytest.approx(100 << 20, rel=0.25)
    assert second['delta_heap'].total('alloc_space', having='keep_blocks') == 0
    # What is live is what is live.
    assert second['delta_heap'].total('inuse_space', having='keep_blocks') == \
        first['delta_heap'].total('inuse_space', having='keep_blocks') > 0
    assert second['delta_mutex'].total('delay', having='gives_back') > 0.99 * waited.least
    assert second['delta_block'].total('delay', having='waits_for_it') > 0.99 * waited.least
    assert scrape('one')['delta_mutex'].total('delay') < 0.2 * waited.least
    assert scrape('two')['delta_mutex'].total('delay', having='gives_back') > 0.99 * waited.least


def test_alloy_scrapes_with_parameters_of_the_target(server):
    """Those are of all endpoints, and so the same word comes again where it adds its own."""
    params = ['seconds=1', 'seconds=1', 'debug=0', 'seconds=9']
    try:
        got = alloy_scrapes(server, params)
    except AssertionError:
        # Go has one CPU profile at a time, and a client of another test may have its yet.
        assert server.kind == 'go'
        got = alloy_scrapes(server, params)
    for name, p in got.items():
        assert 1e9 <= p.duration_nanos < 9e9, name
