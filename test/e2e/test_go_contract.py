"""What of the wire contract no Go server shows: deep stacks of C, many clients at once. The rest is test_conformance.py's.

One busy program (deep_stack, spinning) is asked everything; no request may end it."""
import os
import threading
import time

import pytest

from hosts import Background, Response, add_until, assert_of_one
from walls import task_of_ours


@pytest.fixture(scope='module')
def host(module_start):
    h = module_start(['deep_stack', 'spin'], CPU_HZ=100)
    h.wait_for_output('ready')
    return h


@pytest.fixture(scope='module')
def desk(host):
    return host.desk


def test_stack_is_complete_and_in_order(desk):
    """Fifty frames without frame pointers, leaf first, down to main."""
    want = ['deep_malloc'] + ['level_%02d' % n for n in range(50, 0, -1)] + ['main']
    p = desk.profile('heap')
    ours = [s for s in p.samples if 'deep_malloc' in s.frames]
    assert ours
    for s in ours:
        assert s.frames[:len(want)] == want     # the allocator's own frames are left out
    want[0] = 'deep_spin'

    def spins(p):
        return p.total('cpu', having='deep_spin') > 0.9 * p.total('cpu')
    p = add_until(spins, lambda: desk.profile('profile?seconds=1'))
    assert spins(p)
    ours = [s for s in p.samples if 'deep_spin' in s.frames]
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


def cpu_of_ours(host):
    """Seconds that our thread has used."""
    with open(task_of_ours(host) + '/schedstat') as f:
        return int(f.read().split()[0]) / 1e9


def is_within(p, window):
    """It was open, and over, while that window was open.  A CPU profile says its beginning."""
    return window.time_nanos <= p.time_nanos and \
        p.time_nanos + p.duration_nanos < window.time_nanos + window.duration_nanos


def test_everyone_has_their_own_window(desk, host):
    """Go says "already in use" to the second one.  Here nobody waits for anybody: the short ones are over before the
    longest is, but on a busy machine they may be asked for too late.  Its ends may cut off what a late tick stands
    for, or have it too much: 0.14 s have been seen."""
    for seconds in (5, 40):
        used_by_us = cpu_of_ours(host)
        long = Background(lambda: host.profile_and_cpu('profile?seconds=%d' % seconds))
        time.sleep(0.5)
        short = [Background(lambda: desk.profile('profile?seconds=1')) for _ in range(3)]
        delta = Background(lambda: desk.profile('heap?seconds=2'))
        for _ in range(10):
            assert desk.get('/debug/pprof/cmdline').status == 200
            desk.profile('heap')
        short, delta = [one.get() for one in short], delta.get()
        p, used, outside = long.get()
        used_by_us = cpu_of_ours(host) - used_by_us
        assert seconds * 1e9 <= p.duration_nanos
        assert 0.95 * used - used_by_us - outside - 0.3 < p.total('cpu') / 1e9 < 1.05 * used + 0.3
        assert 2e9 <= delta.duration_nanos
        for one in short:
            assert 1e9 <= one.duration_nanos
            assert_of_one(one, one.total('cpu'))
        # A delta says its end.
        nobody_waited = all(is_within(one, p) for one in short) and delta.time_nanos < p.time_nanos + p.duration_nanos
        if nobody_waited:
            break
    assert nobody_waited


def address_of(desk, name):
    s = next(s for s in desk.profile('heap').samples if name in s.frames)
    return s.addresses[s.frames.index(name)]


def test_symbol_of_many_addresses(desk):
    a = address_of(desk, 'level_17')
    r = desk.request('POST', '/debug/pprof/symbol', body='+'.join(['0x%x' % a] * 3000))
    assert r.text == 'num_symbols: 1\n' + 3000 * ('0x%x level_17\n' % a)


@pytest.mark.parametrize('path', ['/debug/pprof/symbol', '/debug/pprof/config'])
def test_methods_where_post_is_allowed(desk, path):
    r = desk.request('DELETE', path)
    assert r.status == 405
    assert {'GET', 'HEAD', 'POST'} == set(r.headers['allow'].split(', '))


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
