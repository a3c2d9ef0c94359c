"""Where we differ from Go's net/http/pprof and know it. Each test says what both do."""
import re

import pytest

from conformance import desk  # noqa: F401
from hosts import Background, eventually
from lint_profile import lint_error
from test_conformance import address_of, left_alone

BUSY = 'Could not enable CPU profiling: cpu profiling already in use'


@pytest.mark.check(22)
def test_several_cpu_profiles_at_once(server, desk):
    """Go has one: the second client is told so at once. We have any number."""
    if server.kind == 'ours':
        def overlap():
            asked = [Background(lambda: desk.profile('profile?seconds=1')) for _ in range(3)]
            begun = [one.get().time_nanos for one in asked]
            return max(begun) - min(begun) < 1e9
        eventually('three begin before one has ended', overlap)
        return

    def refused():
        first = Background(lambda: desk.get('/debug/pprof/profile?seconds=1'))
        second = left_alone(desk, 'profile?seconds=300')
        return second if first.get().status == 200 else None        # else it was the second
    second = eventually('the second is refused', refused)
    assert (second.status, second.text) == (500, BUSY + '\n')
    assert lint_error(second.status, second.headers, second.body) == []


@pytest.mark.check(26)
@pytest.mark.parametrize('content_type', ['application/octet-stream', 'application/x-www-form-urlencoded'])
def test_symbol_by_post(server, desk, content_type):
    """Go's own client asks so; its servers refuse it since 1.23. We answer."""
    a = address_of(server, 'keep_blocks')
    r = desk.request('POST', '/debug/pprof/symbol', body='0x%032x+0x1+%d' % (a, a),
                     headers={'Content-Type': content_type})
    if server.kind == 'ours':
        assert (r.status, r.text) == (200, 'num_symbols: 1\n' + 2 * ('0x%x keep_blocks\n' % a))
    else:
        assert (r.status, r.text) == (405, 'Method Not Allowed\n')


@pytest.mark.check(26)
def test_symbol_at_any_depth(server, desk):
    """pprof makes this address out of that of a custom profile with a slash in its name. Go knows no such profile."""
    a = address_of(server, 'keep_blocks')
    path = '/debug/pprof/example.com/symbol?0x%x' % a
    if server.kind == 'ours':
        assert desk.get(path).text == 'num_symbols: 1\n0x%x keep_blocks\n' % a
    else:
        desk.error(404, 'Unknown profile', path)


@pytest.mark.check(27)
@pytest.mark.parametrize('path', ['profile?seconds=1', 'heap?seconds=1', 'profile?seconds=300'])
def test_head_does_not_profile(server, desk, path):
    """Go takes the whole profile and throws it away: for 300 seconds nobody else gets one."""
    if server.kind == 'ours':
        r = desk.request('HEAD', '/debug/pprof/' + path)
        assert (r.status, r.body) == (200, b'')
        assert r.headers['content-type'] == 'application/octet-stream'
        assert 'attachment' in r.headers['content-disposition']
    elif path == 'profile?seconds=1':
        def head():
            r = desk.request('HEAD', '/debug/pprof/' + path)
            return r if r.status == 200 else None       # in use yet by another test's client
        assert eventually('a HEAD', head).seconds >= 1


def test_delta_keeps_the_default_sample_type(server, desk):
    """Go loses it, and readers open the window of allocs as what is live."""
    p = desk.profile('allocs?seconds=1')
    assert p.default_sample_type == ('alloc_space' if server.kind == 'ours' else '')


@pytest.mark.check(17)
def test_what_is_live_in_a_window(server, desk):
    """Go subtracts what was live before, so do we; inuse=absolute leaves it, which Go does not know."""
    server.tell('keep 1 1024')      # Go's profile is as old as its last collection
    plain, absolute = (Background(lambda q=q: desk.profile('heap?seconds=1' + q)) for q in ('', '&inuse=absolute'))
    kept = server.name('keep_blocks')
    assert plain.get().total('inuse_space', having=kept) == 0
    live = absolute.get().total('inuse_space', having=kept)
    assert absolute.get().total('alloc_space', having=kept) == 0
    # As in test_live_bytes_are_what_was_allocated.
    assert live == (pytest.approx(256 << 20, rel=0.15) if server.kind == 'ours' else 0)


@pytest.mark.check(14)
def test_threadcreate_is_real(server, desk):
    """Go's are zeros since 2013."""
    p = desk.profile('threadcreate')
    if server.kind == 'ours':
        assert p.total('threadcreate', having='main') >= 1
        assert p.total('threadcreate') == 2     # that one waits for ever; and main
    else:
        assert all(set(s.frames) == {''} for s in p.samples)


@pytest.mark.check(13)
def test_mutex_text_is_not_counted_twice(server, desk):
    """A reader multiplies by the period; Go's values are multiplied already. Ours says 1."""
    def set_fraction(n):
        if server.kind == 'ours':
            assert desk.request('POST', '/debug/pprof/config', body='mutex_fraction=%d' % n,
                                headers={'Content-Type': 'application/x-www-form-urlencoded'}).status == 200
        else:
            server.tell('fraction %d' % n)
    set_fraction(5)
    try:
        # Somebody may wait in Go's runtime meanwhile, and that counts as five.
        before = desk.profile('mutex').total('contentions')
        text = desk.get('/debug/pprof/mutex?debug=1').text
        after = desk.profile('mutex').total('contentions')
        period = int(re.search(r'^sampling period=(\d+)$', text, re.M).group(1))
        counts = sum(int(n) for n in re.findall(r'^\d+ (\d+) @', text, re.M))
        assert before - 3 <= counts <= after + 3
        assert period == (1 if server.kind == 'ours' else 5)
    finally:
        set_fraction(1)


@pytest.mark.parametrize('path', ['heap?labels=thread', 'block?labels=thread', 'mutex?labels=thread'])
def test_labels_on_heap_and_locks(server, desk, path):
    """In Go only CPU and goroutine profiles have labels, in ours those that are asked for. Go does not know the parameter."""
    p = desk.profile(path)
    labels = {key for s in p.samples for key in s.labels}
    assert ('thread' in labels) == (server.kind == 'ours')


@pytest.mark.parametrize('path', ['/', '/?x=1'])
def test_the_root_leads_to_the_index(server, desk, path):
    """What a browser is given when nobody remembers the path. Go has nothing there."""
    r = desk.get(path)
    if server.kind == 'ours':
        assert (r.status, r.headers['location'].split('?')[0]) == (307, '/debug/pprof/')
    else:
        assert (r.status, r.text) == (404, '404 page not found\n')


@pytest.mark.parametrize('path', ['heap', 'cmdline', 'nosuch', ''])
def test_nothing_is_kept_on_the_way(server, desk, path):
    """A profile is another one each time: we forbid what keeps answers to do so. Go says nothing of it."""
    kept = desk.get('/debug/pprof/' + path).headers.get('cache-control')
    assert kept == ('no-store' if server.kind == 'ours' else None)
