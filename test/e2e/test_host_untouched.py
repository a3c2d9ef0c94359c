"""The host never notices: every test host, with and without the library, ends alike.

Output, exit status, files left behind and open descriptors are compared byte by byte; the second
round has every allocation sampled and a thousand ticks a second."""
import functools
import os
import re

import pytest

from hosts import TOP, program, run

HOST_SOURCES = sorted(f for f in os.listdir(os.path.join(TOP, 'test', 'host'))
                      if f.endswith(('.c', '.cc')))
ARGUMENTS = {'spin_split': [5000], 'hold_heap': [20], 'dlopen_loop': [100],
             'maps_in_threads': ['same'],      # says the same each time
             'perf_descriptors': ['fork']}     # the others never end
ROUNDS = {
    'default': {},
    'everything': {'HEAP_RATE': 1, 'CPU_HZ': 1000, 'BLOCK_RATE': 1},
    'off': {'HEAP_RATE': 0, 'CPU_HZ': 0, 'ADDR': 'off'},
}


def test_there_are_hosts():
    assert len(HOST_SOURCES) >= 20


@functools.lru_cache(None)
def plain_result(name):
    """For all rounds: it is the same each time."""
    return run([name] + ARGUMENTS.get(name, []), shim=False)


@pytest.mark.parametrize('round', ROUNDS)
@pytest.mark.parametrize('name', [os.path.splitext(f)[0] for f in HOST_SOURCES])
def test_host(name, round):
    assert run([name] + ARGUMENTS.get(name, []), **ROUNDS[round]) == plain_result(name)


@pytest.mark.parametrize('name', ['lowest_fd', 'exec_chain', 'fork_tree', 'spin_split'])
def test_host_with_few_descriptors(name):
    """A limit under which our high numbers do not exist: ours are still not the lowest ones."""
    command = ['bash', '-c', 'ulimit -n 150; exec "$0"', program(name)]
    assert run(command) == run(command, shim=False)


def test_syscalls_that_fail_do_so_in_the_same_way():
    """A program in a corner: no memory to be had, no descriptors, no processes."""
    for limit in ('ulimit -v 60000', 'ulimit -n 8', 'ulimit -s 256', 'ulimit -u 0; true',
                  'ulimit -i 0', 'ulimit -l 0', 'ulimit -f 0'):
        command = ['bash', '-c', limit + '; exec seq 1 3']
        with_us, plain = run(command), run(command, shim=False)
        assert (with_us.status, with_us.stdout) == (plain.status, plain.stdout), limit
        # It may say in its own lines what it could not do.
        rest = re.sub(r'^pprofshim\[.*\n', '', with_us.stderr, flags=re.M)
        assert rest == plain.stderr, limit


@pytest.mark.parametrize('argv', [
    ['ls', '--help'], ['sort', '--version'], ['date', '-u', '-d', '@0'], ['sed', '--version'],
    ['grep', '--version'], ['tar', '--version'], ['gcc', '--version'], ['make', '--version'],
    ['git', '--version'], ['perl', '-v'], ['/usr/bin/python3', '--version'], ['dash', '-c', 'echo x'],
    ['bash', '--version'], ['openssl', 'version'], ['curl', '--version'], ['gdb', '--version'],
    ['nginx', '-v'], ['redis-server', '--version'], ['ldd', '/bin/true'], ['apt-get', '--version'],
    ['dpkg', '--version'], ['mount', '--version'], ['ps', '--version'], ['ssh', '-V'], ['node', '--version'],
    ['java', '-version'], ['php', '--version'], ['ruby', '--version']], ids=lambda a: os.path.basename(a[0]))
def test_everyday_programs(argv):
    try:
        program(argv[0])
    except FileNotFoundError:
        pytest.skip('no %s here' % argv[0])
    if argv[0] == 'ldd':
        with_us = run(argv)
        assert with_us.status == 0 and 'libpprofshim' in with_us.stdout
        return
    assert run(argv, HEAP_RATE=1, CPU_HZ=1000) == run(argv, shim=False)


def test_user_namespace():
    plain = run(['unshare', '-U', 'id', '-u'], shim=False)
    if plain.status != 0:
        pytest.skip('not even without us: ' + plain.stderr)
    assert run(['unshare', '-U', 'id', '-u']) == plain
