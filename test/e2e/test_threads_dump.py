"""goroutine, also called threads: what each thread does, whom it waits for, and who made it."""
import os
import re
import time

import pytest

from clients import need
from dumps import dump_of
from hosts import Background, eventually

# What threads_wait's threads do, by the function they do it in; on: what they wait for.
MAIN = 'held by %d threads_wait'
STATES = {
    'poll': ('select', ''), 'poll_one': ('IO wait', ''), 'poll_nothing': ('sleep', ''), 'ppoll': ('select', ''),
    'select': ('select', ''), 'pselect': ('select', ''), 'epoll_wait': ('select', ''),
    'nanosleep': ('sleep', ''), 'clock_nanosleep': ('sleep', ''), 'sleep': ('sleep', ''),
    'read': ('IO wait', ''), 'write': ('IO wait', ''), 'recv': ('IO wait', ''), 'accept': ('IO wait', ''),
    'eventfd': ('IO wait', ''), 'msgrcv': ('chan receive', ''), 'semop': ('semacquire', ''),
    'sigtimedwait': ('chan receive', ''), 'pause': ('syscall pause', ''), 'flock': ('syscall flock', ''),
    'waitpid': ('syscall wait4', ''),
    'mutex': ('sync.Mutex.Lock', 'held_mutex ' + MAIN), 'timed_mutex': ('sync.Mutex.Lock', 'held_mutex ' + MAIN),
    'pi_mutex': ('sync.Mutex.Lock', 'held_pi ' + MAIN), 'mtx': ('sync.Mutex.Lock', 'held_mtx ' + MAIN),
    'cond': ('sync.Cond.Wait', 'never_signalled'), 'timed_cond': ('sync.Cond.Wait', 'never_signalled'),
    'cnd': ('sync.Cond.Wait', 'never_cnd'), 'rdlock': ('sync.RWMutex.RLock', 'written_lock ' + MAIN),
    'wrlock': ('sync.RWMutex.Lock', 'written_lock ' + MAIN), 'wrlock_of_readers': ('sync.RWMutex.Lock', 'read_lock'),
    'sem': ('semacquire', 'empty_semaphore'), 'timed_sem': ('semacquire', 'empty_semaphore'),
    'barrier': ('sync.WaitGroup.Wait', 'barrier'), 'join': ('sync.WaitGroup.Wait', None),
    'futex': ('semacquire', 'raw_futex'),
}


def settled(host, threads, **how):
    """A dump in which all of so many threads wait, or run as one that never waits."""
    def look():
        d = dump_of(host, **how)
        return d if len(d.threads) == threads and not any(
            t.word == 'running' and not t.has('spins') for t in d.others) else None
    return eventually('%d threads wait' % threads, look)


@pytest.fixture(scope='module')
def waiting(module_start):
    h = module_start(['threads_wait'])
    h.wait_for_output('ready')
    settled(h, len(STATES) + 3)
    return h


# --- what they do ---

def test_each_wait_has_its_word(waiting):
    d = settled(waiting, len(STATES) + 3)
    joined = d.of('sleeps')
    for kind, (word, on) in STATES.items():
        t = d.of('waits_in_' + kind)
        if on is None:
            on = 'end of %d joined one' % joined.tid
        assert (t.word, t.on) == (word, on % waiting.pid if '%' in on else on), kind


def test_each_stack_is_whole_and_its_own(waiting):
    d = settled(waiting, len(STATES) + 3)
    assert d.truncated() == [] and d.unavailable() == []
    for kind in STATES:
        t = d.of('waits_in_' + kind)
        at = t.frames.index('waits_in_' + kind)
        # What waits, who called it, and from there on libc's start of a thread.
        assert at >= 1 and t.frames[at + 1] == 'run', t.frames
        assert all(f.startswith('libc.so') or f.lstrip('_') in ('start_thread', 'clone', 'clone3')
                   for f in t.frames[at + 2:]), t.frames
        assert not any('pprofshim' in f for f in t.frames), t.frames
    assert 'main' in d.by_tid[waiting.pid].frames


def test_who_made_them(waiting):
    d = settled(waiting, len(STATES) + 3)
    for kind in STATES:
        t = d.of('waits_in_' + kind)
        assert (t.maker, t.made_by) == ('makes_threads', waiting.pid)
    assert d.by_tid[waiting.pid].maker is None


def test_names_are_labels_if_asked_for(waiting):
    assert all(t.name is None for t in dump_of(waiting).threads)
    d = dump_of(waiting, '&labels=thread')
    for kind in STATES:
        assert d.of('waits_in_' + kind).name == ('w-' + kind)[:15]
    assert '] {thread: "joined one"}:' in d.text


def test_a_thread_that_runs_is_asked(start):
    """It answers at the next tick of the kernel, if it still runs then: that takes a CPU for 4 ms of 100.  An
    answer to an earlier dump is too old by the next."""
    h = start(['threads_wait', 'spin'])
    h.wait_for_output('ready')

    def spins():
        time.sleep(0.1)
        d = dump_of(h)
        return [t for t in d.others if t.has('spins') and (t.word, t.maker) == ('running', 'main')]
    assert eventually('the one that runs has answered', spins)[0].frames[:2] == ['spins', 'run']


def test_a_deadlock_is_seen_as_who_waits_for_whom(start):
    h = start(['threads_deadlock'])
    h.wait_for_output('ready')
    d = settled(h, 5)
    left, right, third = (d.of(f) for f in ('left', 'right', 'third'))
    assert left.has('left_wants_right') and right.has('right_wants_left') and third.has('right_wants_left')
    assert re.fullmatch(r'0x[0-9a-f]+ held by %d right_ _odd_' % right.tid, left.on)
    assert right.on == third.on == 'left_lock held by %d left' % left.tid
    assert {t.word for t in (left, right, third)} == {'sync.Mutex.Lock'}


# --- the other forms ---

def test_the_forms_agree(waiting):
    whole = settled(waiting, len(STATES) + 3)
    p = waiting.profile('goroutine')
    text = waiting.get('/debug/pprof/goroutine?debug=1').text
    n = len(whole.threads)
    assert p.total('goroutine') == n
    assert p.total('goroutine', having='waits_in_cond') == 1
    assert re.match(r'goroutine profile: total %d\n' % n, text)
    counts = [int(c) for c in re.findall(r'^(\d+) @(?: 0x[0-9a-f]+)+$', text, re.M)]
    assert sum(counts) == n and counts == sorted(counts, reverse=True)
    for line in text.split('\n')[1:]:
        assert re.fullmatch(r'|\d+ @( 0x[0-9a-f]+)+|#\t0x[0-9a-f]+\t+\S.*\+0x[0-9a-f]+\t+.+:\d+', line), line
    index = waiting.get('/debug/pprof/').text
    shown = re.search(r"<tr><td>(\d+)</td><td><a href='goroutine\?debug=1'>", index)
    assert abs(int(shown[1]) - n) <= 1
    assert '<a href="goroutine?debug=2">full goroutine stack dump</a>' in index


def test_threads_is_the_same(waiting):
    r = waiting.get('/debug/pprof/threads')
    assert r.headers['content-disposition'] == 'attachment; filename="goroutine"'
    assert {t.tid for t in dump_of(waiting, path='threads').others} == {t.tid for t in dump_of(waiting).others}


def test_names_keep_threads_apart(waiting):
    p = waiting.profile('goroutine?labels=thread')
    names = {s.labels.get('thread') for s in p.samples}
    assert {('w-' + kind)[:15] for kind in STATES} | {'joined one', 'threads_wait'} <= names
    text = waiting.get('/debug/pprof/goroutine?debug=1&labels=thread').text
    assert '# labels: {"thread":"joined one"}\n' in text
    assert all(not s.labels for s in waiting.profile('goroutine').samples)


def test_a_delta_is_who_came_and_went(start):
    h = start(['threads_numbered', 4, 0])
    h.wait_for_output('ready')
    settled(h, 6)       # it is said when they are about to wait
    quiet = h.profile('goroutine?seconds=1')
    assert quiet.samples == [] and quiet.response.headers['content-disposition'].endswith('"goroutine-delta"')
    assert 0.9e9 < quiet.duration_nanos


def test_errors_as_go_words_them(waiting):
    for value in ('0', '-1', 'x', '1.5'):
        waiting.desk.error(400, 'invalid value for "seconds" - must be a positive integer',
                           '/debug/pprof/goroutine?seconds=' + value)
    waiting.desk.error(400, 'seconds and debug params are incompatible', '/debug/pprof/goroutine?seconds=1&debug=2')
    assert waiting.get('/debug/pprof/goroutine?debug=-1').body[:2] == b'\x1f\x8b'


# --- many, and real ones ---

def is_numbered(t):
    """The number that the stack says is the thread's."""
    digits = [f[6:] for f in t.frames if f.startswith('digit_')]
    return t.name == 'n' + ''.join(reversed(digits)) and t.has('wait_somehow')


def test_two_thousand_threads_are_all_right(start):
    h = start(['threads_numbered', 2000])
    h.wait_for_output('ready')
    d = settled(h, 2002, query='&labels=thread')
    numbered = [t for t in d.others if t.tid != h.pid]
    assert [t.name for t in numbered if not is_numbered(t)] == []
    assert len({t.name for t in numbered}) == 2000
    words = {'0': 'semacquire', '1': 'sleep', '2': 'IO wait', '3': 'sync.Cond.Wait'}
    assert [t.name for t in numbered if t.word != words[str(int(t.name[1:]) % 4)]] == []
    assert d.truncated() == [] and d.unavailable() == []


def test_threads_come_and_go_meanwhile(start):
    """Ten thousand of them: none is an error, and those that stay are there each time."""
    h = start(['threads_numbered', 50, 10000])
    h.wait_for_output('ready')
    settled(h, 52)
    h.say()
    dumps = 0
    while 'joined' not in h.stdout or dumps < 3:
        d = dump_of(h, '&labels=thread')
        stay = [t for t in d.others if t.name and re.fullmatch(r'n\d{4}', t.name)]
        assert len([t for t in stay if is_numbered(t)]) == 50
        dumps += 1
        assert h.alive()
    eventually('they are gone', lambda: len(dump_of(h).threads) == 52)


def test_dumps_do_not_hold_each_other_up(start):
    h = start(['threads_numbered', 500])
    h.wait_for_output('ready')
    others = [Background(lambda: dump_of(h)) for _ in range(6)]
    assert all(len(o.get().threads) == 502 for o in others)


def test_a_dump_does_not_hold_up_others(start):
    """It takes many steps, and between two of them others are served.  In two of eight dumps at least nobody waited
    for a third of it (a seventh is usual): what else the machine does makes waits longer, but not in seven.  Without
    the breath between two threads it is four fifths."""
    h = start(['threads_numbered', 2000])
    h.wait_for_output('ready')
    dump_of(h)
    dumps, answers = [], []

    def ask(path, into):
        begin = time.monotonic()
        h.get('/debug/pprof/' + path)
        into.append((begin, time.monotonic()))
    other = Background(lambda: ask('goroutine?debug=2', dumps), repeat=True)
    while len(dumps) < 8:
        ask('cmdline', answers)
    other.get()
    ask('cmdline', answers)
    longest = [max(min(to, end) - max(since, begin) for since, to in answers) / (end - begin) for begin, end in dumps]
    assert sorted(longest)[1] < 1 / 3, longest


REAL = {
    'python3': ["""
import queue, select, sys, threading, time
def sleeps_in_python(): time.sleep(1000)
def waits_in_python(): queue.Queue().get()
def locks_in_python(): l = threading.Lock(); l.acquire(); l.acquire()
def selects_in_python(): select.select([], [], [], 1000)
for f in (sleeps_in_python, waits_in_python, locks_in_python, selects_in_python):
    threading.Thread(target=f, daemon=True).start()
print('ready', flush=True); sys.stdin.read()
""", 6],
    'node': ["""
const { Worker, isMainThread } = require('worker_threads');
if (isMainThread) { new Worker(process.argv[1]); require('fs').readFile('/etc/passwd', () => console.log('ready')); }
setInterval(() => 0, 100000);
""", 6],
}


def is_whole(d):
    return d.truncated() == [] and d.unavailable() == []


@pytest.mark.parametrize('name', REAL)
def test_scripts_are_whole(start, tmp_path, name):
    source, threads = REAL[name]
    script = tmp_path / 'script'
    script.write_text(source)
    h = start(['/usr/bin/python3' if name == 'python3' else need(name), script])
    h.wait_for_output('ready')
    # One that wakes up just then is asked, and may wait again before it has answered.
    d = eventually('all have their stacks', lambda: next(
        (d for d in [dump_of(h)] if is_whole(d) and len(d.threads) >= threads), None))
    assert all(len(t.frames) >= 3 for t in d.others)
    assert d.by_tid[h.pid].has('_start')


def test_redis_is_whole(start, tmp_path):
    h = start([need('redis-server'), '--port', '0', '--unixsocket', str(tmp_path / 'redis'), '--save', ''])
    # It looks after itself ten times a second, and on a busy machine may be met at it.
    d = eventually('all have their stacks, and main waits', lambda: next(
        (d for d in [dump_of(h)] if is_whole(d) and len(d.threads) >= 5 and
         d.by_tid[h.pid].word == 'select'), None))
    main = d.by_tid[h.pid]
    assert main.has('aeMain') and main.has('main')
    assert len([t for t in d.others if t.has('bioProcessBackgroundJobs') and t.word == 'sync.Cond.Wait']) >= 3


# --- where little can be seen ---

# As another user, or where it may not be dumped, /proc/.../syscall is root's, also for itself.
HIDES = """
import ctypes, os, sys
if os.getuid() == 0: os.setuid(65534)
else: ctypes.CDLL(None).prctl(4, 0)
print('ready', flush=True); sys.stdin.read()
"""


def test_what_is_hidden_is_said(start):
    """All that is left to see is that it sleeps."""
    h = start(['/usr/bin/python3', '-c', HIDES], cwd='/')
    h.wait_for_output('ready')
    main = eventually('it sleeps', lambda: next(
        (t for t in [dump_of(h).by_tid.get(h.pid)] if t and t.word == 'waiting'), None))
    assert main.state == 'waiting (its system call is not to be had)' and main.unavailable
    eventually('it is said', lambda: 'what threads wait for is not shown' in h.stderr)
    assert h.profile('goroutine').total('goroutine', having='[stack unavailable]') == 1


# A server that shuts itself in: there is no /proc in its new root.
SHUT_IN = """
import os, sys, threading, time
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print('ready', flush=True); sys.stdin.readline()
os.chroot(sys.argv[1])
print('inside', flush=True); sys.stdin.readline()
while True: pass
"""


@pytest.mark.skipif(os.geteuid() != 0, reason='not root: it may not chroot')
def test_a_root_without_proc(start, tmp_path):
    """What waits and what runs is seen as before."""
    h = start(['/usr/bin/python3', '-c', SHUT_IN, str(tmp_path)])
    h.wait_for_output('ready')
    sleeper = eventually('it sleeps', lambda: next((t.tid for t in dump_of(h).others if t.word == 'sleep'), None))
    h.say()
    h.wait_for_output('inside')
    d = eventually('both wait', lambda: next(
        (d for d in [dump_of(h)] if not any(t.word == 'running' for t in d.others)), None))
    assert {t.tid: t.word for t in d.others} == {h.pid: 'IO wait', sleeper: 'sleep'}
    assert d.unavailable() == []
    h.say()
    eventually('main runs, and says where', lambda: next(
        (t for t in [dump_of(h).by_tid[h.pid]] if t.word == 'running' and not t.unavailable), None))
