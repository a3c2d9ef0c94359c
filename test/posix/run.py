#!/usr/bin/python3
"""run.py -- the Open POSIX test suite's threads and semaphores, plainly and with the library.

Each test says by its status what it found (0 passed, 1 failed, 2 unresolved, 4 unsupported, 5 untested), plainly, as
installed, and with every wait measured.  Some of its tests are not right about glibc, or about a busy machine: what
is asked is that nothing is different with us.  One that is different is run again, both ways, alone: it counts if
none of five plain runs ends as one of ours does in most of five.

The suite is the source package "posixtestsuite" of Debian, fetched by apt with its signature (no package has its
programs: the binary one has a log only).

    run.py                 all of them, some ten minutes
    run.py sem_ rwlock     those that have one of these in their names
"""
import collections
import concurrent.futures
import glob
import os
import signal
import subprocess
import sys

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
BUILD = os.path.realpath(os.path.join(TOP, os.environ.get('B', 'build')))
HERE = os.path.join(BUILD, 'test', 'posix')
LIBRARY = os.path.join(BUILD, 'libpprofshim.so')
SUITE = os.path.join(HERE, 'posixtestsuite')
SOURCE = ('deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm '
          'main\n')
TIMEOUT_S = 60
TIMED_OUT = 'still running after %d s' % TIMEOUT_S
WORKERS = 8         # most of them sleep most of the time
AGAIN = 5
SHIM = {'LD_PRELOAD': LIBRARY, 'PPROFSHIM_PORT': '0', 'PPROFSHIM_LOG': 'quiet'}
WAYS = {'plain': {}, 'shim': SHIM,
        'all measured': dict(SHIM, PPROFSHIM_BLOCK_RATE='1ns', PPROFSHIM_MUTEX_FRACTION='1', PPROFSHIM_CPU_HZ='1000')}


def fetch():
    """With lists of its own, so that the system's stay what they are."""
    lists, sources = os.path.join(HERE, 'lists'), os.path.join(HERE, 'sources.list')
    os.makedirs(os.path.join(lists, 'partial'), exist_ok=True)
    with open(sources, 'w') as f:
        f.write(SOURCE)
    apt = ['apt-get', '-q', '-o', 'Dir::Etc::sourcelist=' + sources, '-o', 'Dir::Etc::sourceparts=/dev/null',
           '-o', 'Dir::State::lists=' + lists, '-o', 'APT::Sandbox::User=root']
    subprocess.run(apt + ['update'], cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(apt + ['--download-only', 'source', 'posixtestsuite'], cwd=HERE, check=True,
                   stdout=subprocess.DEVNULL)
    [tar] = glob.glob(os.path.join(HERE, 'posixtestsuite_*.orig.tar.gz'))
    subprocess.run(['tar', 'xzf', tar], cwd=HERE, check=True)


def build(source):
    """The program; None: it does not compile, as some do not with a newer glibc."""
    program = source[:-2] + '.run'
    if not os.path.exists(program):
        subprocess.run([os.environ.get('CC', 'cc'), '-w', '-O1', '-D_GNU_SOURCE', '-D_XOPEN_SOURCE=600', '-I',
                        os.path.join(SUITE, 'include'), '-o', program, source, '-pthread', '-lrt', '-lm'],
                       cwd=os.path.dirname(source), stderr=subprocess.DEVNULL)
    return program if os.path.exists(program) else None


def once(program, way):
    """How it ended: a status, a signal, or not at all."""
    p = subprocess.Popen([program], cwd=os.path.dirname(program), env=dict(os.environ, **WAYS[way]),
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True)
    try:
        return p.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    finally:
        try:
            os.killpg(p.pid, signal.SIGKILL)        # also children that it left
        except ProcessLookupError:
            pass
        p.wait()


def run(program):
    return {way: once(program, way) for way in WAYS}


def is_different(program, ends):
    """With nothing beside it."""
    plain = {ends['plain']} | {once(program, 'plain') for _ in range(AGAIN)}
    for way in ('shim', 'all measured'):
        if ends[way] in plain:
            continue
        again = collections.Counter(once(program, way) for _ in range(AGAIN))
        if sum(n for end, n in again.items() if end not in plain) > AGAIN // 2:
            print('%s: plainly %s, %s %s' % (os.path.relpath(program, SUITE), sorted(plain, key=str), way, dict(again)))
            return True
    return False


def main():
    wanted = sys.argv[1:] or ['']
    os.makedirs(HERE, exist_ok=True)
    if not os.path.isdir(SUITE):
        fetch()
    sources = [s for d in ('pthread_*', 'sem_*') for s in
               sorted(glob.glob(os.path.join(SUITE, 'conformance', 'interfaces', d, '[0-9]*-[0-9]*.c')))
               if any(w in s[len(SUITE):] for w in wanted)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        programs = [p for p in pool.map(build, sources) if p is not None]
        ends = dict(zip(programs, pool.map(run, programs)))
    different = [p for p, e in ends.items() if len(set(e.values())) > 1 and is_different(p, e)]
    print('%d tests of %d compile; plainly they end as %s; different with us: %d' % (
        len(programs), len(sources), dict(collections.Counter(e['plain'] for e in ends.values())), len(different)))
    return 1 if different or len(programs) < len(sources) // 2 or not programs else 0


if __name__ == '__main__':
    sys.exit(main())
