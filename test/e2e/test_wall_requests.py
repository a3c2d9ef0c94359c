"""/debug/pprof/wall and /debug/fgprof as requests: parameters, forms, clients that leave, and threads that notice nothing."""
import re
import socket
import time

import pytest

from hosts import eventually
from go_tool import go, pprof  # noqa: F401
from walls import ticks_of_ours


@pytest.fixture(scope='module')
def h(module_start):
    return module_start(['wall_shares'])


def test_fgprof_is_where_scrapers_look(h):
    p = h.profile('/debug/fgprof?seconds=1')
    assert p.types == [('samples', 'count'), ('time', 'nanoseconds')]
    assert p.total('time', having='waits_for_ever') > 0
    r = h.desk.request('POST', '/debug/fgprof')
    assert (r.status, r.headers['allow']) == (405, 'GET, HEAD')
    assert h.get('/debug/fgprof2').status == 404


@pytest.mark.parametrize('path', ['/debug/pprof/wall', '/debug/fgprof'])
def test_what_cannot_be_is_refused(h, path):
    for hz in ('0', '-1', '1001', 'x', '1.5'):
        h.desk.error(400, 'invalid value for "hz" - must be an integer from 1 to 1000', path + '?seconds=1&hz=' + hz)
    h.desk.error(400, 'invalid value for "format" - allowed: proto, text, folded, json', path + '?seconds=1&format=svg')
    h.desk.error(400, 'bad seconds: must be a positive integer', '/debug/fgprof?seconds=x')


def is_quiet(h):
    """Our thread sleeps, but for its chores."""
    began, before = time.monotonic(), ticks_of_ours(h)[1]
    time.sleep(0.5)
    return ticks_of_ours(h)[1] - before < 30 * (time.monotonic() - began)


def test_a_head_does_not_wait(start):
    """And nobody looks at threads for it.  (Without threads that use the CPU: each tick wakes ours.)"""
    h = start(['wall_shares', 4, 0, 3])
    for path, name in ('/debug/pprof/wall', 'wall'), ('/debug/fgprof', 'fgprof'):
        r = h.desk.request('HEAD', path + '?seconds=1000000')
        assert r.status == 200
        assert r.headers['content-disposition'] == 'attachment; filename="%s"' % name
    eventually('our thread is quiet', lambda: is_quiet(h))


def test_the_folded_form_is_the_same(h):
    r = h.get('/debug/fgprof?seconds=2&format=folded&hz=200')
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    lines = [re.fullmatch(r'(\S.*) (\d+)', line) for line in r.text.splitlines()]
    assert all(lines) and len(lines) >= 5
    counts = [int(m[2]) for m in lines]
    assert counts == sorted(counts, reverse=True) and counts[-1] > 0
    stacks = [m[1].split(';') for m in lines]
    # Outermost first.
    assert any(s.index('naps') + 1 == s.index('naps_long') for s in stacks if 'naps_long' in s)
    assert any('waits_for_ever' in s for s in stacks)


def test_nobody_looks_when_the_client_has_gone(start):
    h = start(['wall_shares', 4, 0, 3])
    eventually('our thread is quiet', lambda: is_quiet(h))
    with socket.create_connection((h.desk.host, h.desk.port)) as s:
        s.sendall(b'GET /debug/pprof/wall?seconds=1000&hz=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n')
        eventually('our thread looks', lambda: not is_quiet(h))
    eventually('our thread is quiet again', lambda: is_quiet(h))


def test_the_desk_answers_meanwhile(start):
    h = start(['wall_shares', 200, 2, 300])
    with socket.create_connection((h.desk.host, h.desk.port)) as s:
        s.sendall(b'GET /debug/pprof/wall?seconds=1000&hz=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n')
        for _ in range(50):
            assert h.get('/debug/pprof/cmdline').status == 200
        # Nobody has sent the window away.
        s.setblocking(False)
        with pytest.raises(BlockingIOError):
            s.recv(1)


def test_go_reads_it(go, h, tmp_path):  # noqa: F811
    path = tmp_path / 'wall.pb.gz'
    path.write_bytes(h.get('/debug/pprof/wall?seconds=1&labels=state').body)
    text = pprof(go, tmp_path, '-top', str(path))
    assert 'Type: time' in text and 'waits_for_ever' in text
    tags = pprof(go, tmp_path, '-tags', str(path))
    assert 'state: Total' in tags and 'off-cpu' in tags


def test_it_interrupts_no_call(start):
    """poll and nanosleep in eight threads, beside eight that use the CPU; wall as fast as it goes."""
    h = start(['many_threads', '8'])
    for _ in range(8):
        assert h.profile('wall?seconds=1&hz=1000').total('time') > 0
    h.end_of_input()
    h.wait()
    assert 'interrupted 0' in h.stdout
