"""Changed requests over the wire for five seconds: the short form of `make flips`, which takes five minutes and has redis
and a sanitized desk beside it."""
import os

import pytest

from hosts import eventually
from mutants import Siege, check_answer, connect, corpus, read_first, tcp_of

SECONDS = 5
SEED = int(os.environ.get('TEST_SEED', '1'))
MEMORY_MIB = 8          # of the ground: mutants turn rates up
NOISE_KIB = 4096        # names, arenas of answers


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return str(tmp_path_factory.mktemp('flips') / 'sock')


@pytest.fixture(scope='module')
def host(module_start, path):
    return module_start(['deep_stack', 'spin'], ADDR='127.0.0.1:0,unix:' + path, MEMORY='%dm' % MEMORY_MIB, wait=False)


@pytest.fixture(scope='module')
def addresses(host, path):
    return [eventually('it listens', lambda: tcp_of(host.stderr)), path]


def test_what_is_changed_was_right(addresses):
    """Otherwise the parsers would refuse it all, and nothing behind them would be reached."""
    asked = [(request, connect(addresses[1], 60)) for request in corpus()]
    for request, s in asked:
        s.sendall(request)
    for request, s in asked:
        with s:
            status = check_answer(request, read_first(s, request))
        assert status in (100, 200, 307) or request.startswith((b'OPTIONS *', b'GET /debug/pprof/%2e%2e/')), request


def test_host_lives_and_stays_as_large_as_it_was(host, addresses):
    siege = Siege(host.pid, addresses, SEED, host.alive, MEMORY_MIB * 1024 + NOISE_KIB)
    print(siege.run(SECONDS))
