"""Every lock of libc does with us what it does without: results, errno, effects, at its edges and everywhere
that code of a program may run.

The hosts say one line a promise; each is run plainly, as installed, and with every wait measured."""
import os
import re
import subprocess

import pytest

from hosts import TOP, run

SOURCES = os.path.join(TOP, 'test', 'host')
# Nothing, the defaults, and every wait chosen; clients of the profiles are test_lock_torture.py's.
ROUNDS = [{}, {'BLOCK_RATE': '1ns', 'MUTEX_FRACTION': 1, 'HEAP_RATE': 1, 'CPU_HZ': 1000},
          {'BLOCK_RATE': 0, 'MUTEX_FRACTION': 0}]
# host: how many lines it says at least
HOSTS = {'lock_mutexes': 1800, 'lock_rwlocks': 400, 'lock_pauses': 280, 'lock_shared': 70, 'lock_c11': 160,
         'lock_futexes': 200, 'lock_throws': 15}


def assert_same(argv, lines, **how):
    plain = run(argv, shim=False, **how)
    said = plain.stdout.splitlines()
    assert plain.status == 0 and len(said) >= lines, plain
    for options in ROUNDS:
        got = run(argv, **how, **options)
        different = [pair for pair in zip(said, got.stdout.splitlines()) if pair[0] != pair[1]]
        assert (got.status, different, got.stderr) == (0, [], plain.stderr), options
        assert got == plain, options
    return said


@pytest.mark.parametrize('host', sorted(HOSTS))
def test_same_with_us(host):
    said = assert_same([host], HOSTS[host])
    if host == 'lock_mutexes' and [s for s in said if re.match('(recursive|normal) protect: no right', s)]:
        print('mutexes with a priority ceiling need CAP_SYS_NICE: only their refusal was compared')


def test_hosts_have_waited():
    """What is compared are waits: threads go to sleep in every host, and robust and PI mutexes exist."""
    said = run(['lock_mutexes'], shim=False).stdout
    for line in ('normal robust: pthread_mutex_lock(&m) EOWNERDEAD',
                 'normal robust: who waits when it dies: EOWNERDEAD',
                 'recursive robust inherit shared: one that waited: ENOTRECOVERABLE',
                 'errorcheck: pthread_mutex_lock(&m) EDEADLK', 'recursive: pthread_mutex_lock(&m) EAGAIN',
                 'errorcheck inherit: in_thread(unlock_it, NULL) EPERM', 'adaptive shared: 3 of them had it'):
        assert line + '\n' in said, line
    said = run(['lock_pauses'], shim=False).stdout
    for line in ('semaphore, signals: sem_wait(&s) -1, errno EINTR', 'semaphore, SA_RESTART: sem_wait(&s) 0',
                 'barrier: serial 1, others 3', 'cancelled in a condition: cancelled 1, cleaned 1'):
        assert line + '\n' in said, line


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    directory = tmp_path_factory.mktemp('locks')

    def build_one(name, *flags):
        target = str(directory / name.replace('.c', '.so' if '-shared' in flags else ''))
        subprocess.run([os.environ.get('CC', 'cc'), '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-g', '-fPIC', '-pthread',
                        '-fomit-frame-pointer', '-o', target, os.path.join(SOURCES, 'library', name), *flags],
                       check=True)
        return target
    return build_one


def test_anywhere(build):
    """Before our constructor, after our destructor, in children of fork and vfork, on a thread of a raw clone."""
    library = build('locks.c', '-shared')
    said = assert_same([build('locks_anywhere.c', library, '-Wl,-rpath,' + os.path.dirname(library))], 28)
    used = [line.split(': ') for line in said if ': ' in line]
    assert len({where for where, _ in used}) == 11
    assert {results for _, results in used} == {'0110000101 0100110 0110111 111101'}


def test_conditions_of_2002(build):
    """pthread_cond_wait has two versions, for two kinds of pthread_cond_t: ours is found as one of them."""
    assert assert_same([build('old_conditions.c')], 4)[-1] == '6 of 6 are the same, destroy 0'


@pytest.mark.parametrize('source', ['conditions_between.c', 'writers_between.c'])
def test_who_is_between_us_and_libc_is_called(build, source):
    """Also if it has one version only; also if it lets pass who only tries."""
    between = build(source, '-shared')
    assert assert_same(['true'], 1, after=between) == ['3 calls']


def test_no_wait_is_no_wait(start):
    """A recursive mutex that the caller has looks held, as does a robust one: nothing is recorded."""
    h = start(['lock_no_wait'], BLOCK_RATE='1ns', MUTEX_FRACTION=1)
    h.wait_for_output('ready')
    assert 'refused: 1, 200\n' in h.stdout
    for name in ('block', 'mutex'):
        assert [s.frames for s in h.profile(name).samples] == [], name
