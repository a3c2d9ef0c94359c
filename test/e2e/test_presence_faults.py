"""Whatever the kernel refuses us, the host ends as it would without us.

Each test runs a host under the same objects with a kernel that fails (test/fake/sys_failing.c): the
first run counts our system calls, then there is one run for each of them, in which that one fails. Here
each call fails once in its usual way, and each kind of call always; FAULTS=all (make presence-faults) takes
more hosts and errors, and has all calls from the nth on fail."""
import concurrent.futures
import os
import re
import time

import pytest

from failing import fail, run_failing, split
from hosts import eventually, run

ALL = os.environ.get('FAULTS') == 'all'
ERRORS = ['', 'EPERM', 'ENOMEM', 'EAGAIN', 'EINTR', 'ENOSYS', 'EMFILE', 'EIO'] if ALL else ['']

# Everything is sampled, so that handlers and doors are among those who call.
BUSY = {'HEAP_RATE': 1, 'CPU_HZ': 1000}

PARTS = ['threads', 'heap', 'fork', 'exec', 'files', 'signals']
OTHERS = [['true'], ['/usr/bin/python3', '-c', 'import json, subprocess; print(subprocess.run(["true"]))'],
          ['bash', '-c', 'for i in 1 2 3; do (echo $i | cat); done; exec true'],
          ['git', '--version'], ['fork_tree'], ['lowest_fd'], ['print_fds'], ['closes_all_fds'], ['main_leaves'],
          ['own_sigprof_handler'], ['exec_chain'], ['cpp_containers']]
HOSTS = [['bit_of_all', part] for part in PARTS] + [['true']] + (OTHERS[1:] if ALL else [])


def each(cases, one):
    """Two at a time: each of them waits for a process."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [x for x in pool.map(one, cases) if x is not None]


def counted(argv, **options):
    """The run in which nothing fails: what it gave, and our calls in it."""
    r, record, lines = run_failing(argv, **options)
    assert record.calls > 10 and record.failed == 0
    return r, record, lines


def demand_faults(failed, argv, how_many):
    """Not the same calls in every run: whether our thread comes to anything before the host's end is chance.
    What the host's own threads call is not: so many runs must have had their fault at least."""
    _, sure, _ = run_failing(argv, fail('clone', 1, then=True), **BUSY)
    assert len([x for x in failed if x]) >= 0.8 * how_many(sure) >= 15


def name(argv):
    return '_'.join(os.path.basename(a) for a in argv[:2] if a != '-c')


@pytest.mark.parametrize('argv', HOSTS, ids=name)
def test_each_call_fails_once(argv):
    plain = run(argv, shim=False)
    r, record, _ = counted(argv, **BUSY)
    assert r == plain

    def one(case):
        n, error = case
        got, now, lines = run_failing(argv, fail(None, n, error), **BUSY)
        assert got == plain, '%s, call %d, failed with %s: %r\nplain: %r\nwe said: %s' % (
            now.last, n, error or 'its error', got, plain, lines)
        return now.failed
    cases = [(n, error) for error in ERRORS for n in range(1, record.calls + 1)]
    demand_faults(each(cases, one), argv, lambda record: record.calls * len(ERRORS))


@pytest.mark.parametrize('argv', HOSTS, ids=name)
def test_each_kind_of_call_always_fails(argv):
    plain = run(argv, shim=False)
    _, record, _ = counted(argv, **BUSY)

    def one(case):
        kind, n, error = case
        got, now, lines = run_failing(argv, fail(kind, n, error, then=True), **BUSY)
        assert got == plain, '%s from the %d. on failed with %s: %r\nplain: %r\nwe said: %s' % (
            kind, n, error or 'its error', got, plain, lines)
        return now.failed
    failed = each([(kind, n, error) for error in ERRORS for kind in record.of
                   for n in range(1, record.of[kind] + 1 if ALL else 2)], one)
    demand_faults(failed, argv, lambda record: len(record.of) * len(ERRORS))


@pytest.mark.parametrize('argv', HOSTS, ids=name)
def test_from_some_call_on_all_fail(argv):
    plain = run(argv, shim=False)
    _, record, _ = counted(argv, **BUSY)
    step = 1 if ALL else 6

    def one(case):
        n, error = case
        got, _, lines = run_failing(argv, fail(None, n, error, then=True), **BUSY)
        assert got == plain, 'all calls from the %d. on failed with %s: %r\nplain: %r\nwe said: %s' % (
            n, error or 'their errors', got, plain, lines)
    each([(n, error) for error in ERRORS for n in range(1, record.calls + 1, step)], one)


# --- our thread ----------------------------------------------------------------------------------

# What makes the whole desk impossible, and what is said then.
NO_DESK = re.compile('no thread: profiles are recorded, but not served|cannot listen on')
WAITS = ['bit_of_all', 'wait']


def assert_idle(h, when):
    """An answer that nobody waits for any more may still be worked at, on a busy machine for long; who spins does so
    each time."""
    for _ in range(8):
        used = h.cpu_seconds()
        time.sleep(0.6)
        used = h.cpu_seconds() - used
        if used < 0.3:
            return
    raise AssertionError('%sidle, it uses %g s in 0.6 s' % (when, used))


def settle(h):
    """The desk's first answer; None when it has said that there will be none."""
    first = eventually('served, or said why not: %s' % h.log, lambda: h.try_get('/debug/pprof/') or
                       NO_DESK.search(''.join(h.log)))
    return first if hasattr(first, 'status') else None


def try_some(what, tries=3):
    """A fault in the middle of a request may cost that one."""
    for i in range(tries):
        try:
            return what()
        except (AssertionError, OSError) as e:
            wrong = e
            time.sleep(0.5)
    raise wrong


def ask_everything(h, tries, names=True):
    """names False: a fault may have cost the names of an object."""
    h.wait_for_output('ready')

    def index():
        assert h.get('/debug/pprof/', timeout=30).status == 200

    def heap():
        p = h.profile('heap', timeout=30)
        # A process that could not be read at start, or has no memory for a heap profile, said so.
        if not (h.said('short stacks') or h.said('no heap profile') or 'thread_no_slot' in h.given_up()):
            got = p.total('inuse_space', **({'having': 'wait_for_end'} if names else {}))
            assert 0 <= got - 1000000 < (10000 if names else 500000), p.functions

    def cmdline():
        assert b'wait' in h.get('/debug/pprof/cmdline', timeout=30).body
    for question in (index, heap, cmdline):
        try_some(question, tries)


def end(h, plain):
    h.end_of_input()
    assert (h.wait(), h.stdout, split(h.stderr)[0]) == (plain.status, plain.stdout, plain.stderr)


# What is read to find names.
READS = {'openat', 'fstat', 'newfstatat', 'read', 'pread64', 'mmap', 'process_vm_readv'}


def test_our_thread_outlives_each_fault(start_failing):
    """The first calls of each kind; most are to read symbols, thousands of times in the same way."""
    plain = run(WAITS, shim=False)
    h = start_failing(WAITS, HEAP_RATE=1)
    assert settle(h)
    ask_everything(h, 1)
    counts = h.record.read().of
    end(h, plain)

    def one(case):
        kind, n, error = case
        h = start_failing(WAITS, fail(kind, n, error), HEAP_RATE=1)
        try:
            if settle(h):
                ask_everything(h, 3, names=kind not in READS)
            end(h, plain)
        except AssertionError as e:
            raise AssertionError('the %d. %s failed with %s; we said %s: %s' % (
                n, kind, error or 'its error', h.log, e))
        failed = h.record.read().failed
        h.stop()
        return failed
    cases = [(kind, n, error) for error in ERRORS for kind in counts
             for n in range(1, 1 + (counts[kind] if ALL else min(counts[kind], 12)))]
    failed = each(cases, one)
    assert sum(failed) >= len(cases) * 0.7


# Without these nothing can be said, or nobody be served.
SILENT = {'ppoll', 'write', 'fstat', 'pidfd_open', 'pidfd_getfd', 'mmap', 'accept4', 'read',
          'sendto'}


def test_our_thread_without_one_kind_of_call(start_failing):
    """Served or not, it neither hurts the host nor takes its CPU time."""
    plain = run(WAITS, shim=False)
    h = start_failing(WAITS, HEAP_RATE=1)
    assert settle(h)
    ask_everything(h, 1)
    kinds = list(h.record.read().of)
    end(h, plain)

    def one(case):
        kind, error = case
        h = start_failing(WAITS, fail(kind, 1, error, then=True), HEAP_RATE=1)
        # Who can open nothing does not know what is mapped.
        h.excuses(lambda kind, finding: finding == '20: no mappings')
        try:
            h.wait_for_output('ready')
            if kind in SILENT or error or settle(h):
                for path in ('', 'heap', 'profile?seconds=1'):
                    r = h.try_get('/debug/pprof/' + path, timeout=1.5)
                    # Who is at the other end cannot be asked: nobody is let in.
                    assert r is None or r.status in ((403,) if kind == 'getsockopt' else (200, 500))
            assert_idle(h, '')
            end(h, plain)
        except (AssertionError, OSError) as e:
            raise AssertionError('%s always failed with %s; we said %s: %s' % (
                kind, error or 'its error', h.log, e))
        h.stop()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, [(kind, error) for error in ERRORS for kind in kinds]))


def test_nothing_is_allowed_any_more(start_failing):
    """From some moment on every call fails, as in a sandbox: our thread ends or sleeps, never spins."""
    plain = run(WAITS, shim=False)
    h = start_failing(WAITS)
    assert settle(h)
    calls = h.record.read().calls
    end(h, plain)

    def one(n):
        h = start_failing(WAITS, fail(None, n, then=True))
        h.wait_for_output('ready')
        h.try_get('/debug/pprof/', timeout=0.5)
        assert_idle(h, 'from call %d on: ' % n)
        end(h, plain)
        h.stop()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(1, calls + 8, 1 if ALL else 5)))


# --- memory --------------------------------------------------------------------------------------

def test_each_mapping_refused_turns_one_thing_off(start_failing):
    plain = run(WAITS, shim=False)
    h = start_failing(WAITS, **BUSY)
    assert settle(h)
    ask_everything(h, 1)
    mappings = h.record.read().of['mmap']
    end(h, plain)
    seen, counts = set(), {}

    def one(n, *before):
        h = start_failing(WAITS, *before, fail('mmap', n), **BUSY)
        try:
            if settle(h):
                try_some(lambda: h.profile('heap', timeout=30))
                eventually('each refused mapping counts', lambda: h.record.read().failed ==
                           (try_some(h.given_up) or {}).get('map_refused', 0))
                counts[n] = h.record.read().of['mmap']
            off = [line.partition(']: ')[2] for line in h.log if 'listening' not in line]
            assert len(off) <= 1, 'one thing, said once'
            seen.update(off)
            if 'no memory: no CPU profile' in off:
                ask_everything(h, 1, names=False)
            if 'no memory: no heap profile' in off:
                def works():
                    h.say(b'x' * 100)
                    return h.profile('profile?seconds=1').total('cpu') > 0
                eventually('what it does then', works)
            end(h, plain)
        except AssertionError as e:
            raise AssertionError('mapping %d of %d refused; we said %s: %s' % (n, mappings, h.log, e))
        h.stop()
    each(range(1, mappings + 1), one)
    # One of them is for all tables together: without it, each has its own.
    together = max(counts, key=counts.get)
    assert counts[together] > mappings + 10
    each(range(together + 1, counts[together] + 1), lambda n: one(n, fail('mmap', together)))
    assert seen >= {'no memory: no CPU profile', 'no memory: no heap profile',
                    'no thread: profiles are recorded, but not served'}


def test_no_memory_is_said_once_or_not_at_all():
    for log, lines in (('error', 1), ('quiet', 0)):
        for what in ('no CPU profile', 'no heap profile', 'not served', 'short stacks'):
            _, _, said = run_failing(['true'], fail('mmap', 1, then=True), LOG=log)
            assert len([x for x in said if what in x]) == lines, (log, said)
