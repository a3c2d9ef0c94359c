"""Who made the threads that live: threadcreate, beside what the kernel lists and the program knows.

Nothing here is sampled: each number is exact."""
import os
import re
import subprocess

import pytest

from clients import need
from hosts import Background, eventually


def threads_of(pid):
    """How many the kernel lists, but ours and a first one that has ended."""
    n = -1
    for tid in os.listdir('/proc/%d/task' % pid):
        try:
            with open('/proc/%d/task/%s/stat' % (pid, tid)) as f:
                n += f.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
        except (FileNotFoundError, ProcessLookupError):
            pass
    return n


class Makers:
    def __init__(self, start, **options):
        self.host = start(['thread_makers'], **options)
        self.host.wait_for_output('ready')
        self.said = 0

    def do(self, *lines):
        for line in lines:
            self.host.say(line.encode() + b'\n')
            self.said += 1
        eventually('it has done %r' % (lines,), lambda: self.host.stdout.count('done ') >= self.said)

    def are(self, n):
        """Who waits for a thread's end is let go while the kernel is still at it, and lists it; on a busy machine
        for many milliseconds."""
        eventually('%d threads' % n, lambda: threads_of(self.host.pid) == n)

    def profile(self):
        """{maker: threads}, which are all there are."""
        return by_maker(self.host.profile('threadcreate'))


def by_maker(p):
    found = {}
    for s in p.samples:
        who = [f for f in s.frames if f.startswith(('make_', 'churn', '[', 'leave'))]
        assert len(who) == 1, s
        assert '[' in who[0] or 'main' in s.frames or 'listen' in s.frames, s
        found[who[0]] = found.get(who[0], 0) + s.values['threadcreate']
    return found


@pytest.fixture
def makers(start):
    return Makers(start)


MAIN = {'[main thread]': 1}


def test_each_thread_is_its_makers(makers):
    assert makers.profile() == MAIN
    makers.do('pthread 5', 'c11 4', 'raw 3')
    want = {'[main thread]': 1, 'make_by_pthread': 5, 'make_by_c11': 4, '[not seen]': 3}
    eventually('all, and once', lambda: makers.profile() == want)
    for _ in range(3):          # also after many scans
        assert makers.profile() == want
    assert threads_of(makers.host.pid) == 13
    index = makers.host.get('/debug/pprof/').text
    assert "<tr><td>13</td><td><a href='threadcreate?debug=1'>threadcreate</a></td></tr>" in index


def test_text(makers):
    makers.do('pthread 5', 'c11 4', 'raw 3')
    r = makers.host.get('/debug/pprof/threadcreate?debug=1')
    assert r.headers['content-type'] == 'text/plain; charset=utf-8'
    lines = r.text.split('\n')
    assert lines[0] == 'threadcreate profile: total 13'
    counts = []
    for line in lines[1:]:
        m = re.fullmatch(r'(\d+) @( 0x[0-9a-f]+)+', line)
        if m:
            counts.append(int(m.group(1)))
        else:
            assert line == '' or re.fullmatch(r'#\t0x[0-9a-f]+\t+\S.*\+0x[0-9a-f]+\t+.+:\d+', line), line
    assert counts == [5, 4, 3, 1]
    assert re.search(r'^#\t0x[0-9a-f]+\tmake_by_c11\+0x', r.text, re.M)
    assert makers.host.get('/debug/pprof/threadcreate?debug=2').text.startswith('threadcreate profile')


def test_go_tool_pprof(makers, tmp_path):
    go = need('go')
    makers.do('pthread 5', 'c11 4', 'raw 3')
    for path in ('threadcreate', 'threadcreate?debug=1'):
        r = subprocess.run([go, 'tool', 'pprof', '-top', '-symbolize=remote',
                            makers.host.desk.url('/debug/pprof/' + path)], capture_output=True, text=True,
                           env=dict(os.environ, PPROF_TMPDIR=str(tmp_path)))
        assert r.returncode == 0, r.stderr
        assert re.search(r'^\s+5 38\.46%.* make_by_pthread$', r.stdout, re.M), r.stdout
        assert 'of 13 total' in r.stdout


@pytest.mark.parametrize('how', ['return', 'exit', 'cancel', 'syscall'])
def test_every_end(makers, how):
    for _ in range(3):
        makers.do('pthread 20', 'c11 20', 'raw 10')
        # On a busy machine a new one may be met by two scans before it has come so far as to be known: then it is
        # there twice, for a moment.
        eventually('51', lambda: sum(makers.profile().values()) == 51)
        makers.do('end ' + how)
        makers.are(1)
        assert makers.profile() == MAIN


def test_what_could_not_be_made_is_not_there(makers):
    makers.do('fail', 'fail')
    assert makers.profile() == MAIN


def test_a_delta_is_what_came_less_what_went(makers):
    def prepare():
        makers.do('end return', 'c11 3', 'raw 2')
        makers.are(6)

    def change():
        makers.do('end return', 'pthread 4')
        makers.are(5)
    p = makers.host.window('threadcreate', change, prepare)
    assert 2e9 <= p.duration_nanos
    assert by_maker(p) == {'make_by_pthread': 4, 'make_by_c11': -3, '[not seen]': -2}
    assert p.response.headers['content-disposition'].endswith('"threadcreate-delta"')
    assert makers.host.profile('threadcreate?seconds=1').samples == []


def test_ten_thousand_short_ones(makers):
    """No more than eight at a time, while it is read; at the end none is left."""
    churn = Background(lambda: makers.do('churn 10000'))
    reads = 0
    while churn.thread.is_alive() or reads < 3:
        found = makers.profile()
        assert found.pop('[main thread]') == 1
        # One whose door is still under way may be met by two scans before: on a machine that gives
        # it no time for 10 ms and more.
        assert 0 <= found.pop('churn', 0) <= 8 and found.pop('[not seen]', 0) <= 8 and found == {}
        reads += 1
    churn.get()
    makers.are(1)
    assert makers.profile() == MAIN


def test_the_first_thread_leaves(makers):
    makers.do('pthread 2')
    makers.host.say(b'leave\n')
    makers.host.wait_for_output('left')
    eventually('the kernel lists it as ended', lambda: threads_of(makers.host.pid) == 3)
    assert makers.profile() == {'make_by_pthread': 2, 'leave': 1}
    makers.do('pthread 1')
    assert makers.profile() == {'make_by_pthread': 3, 'leave': 1}


def test_a_child_has_its_own(makers):
    makers.do('pthread 4', 'fork')
    desks = eventually('the child serves', lambda: len(makers.host.desks()) == 2 and makers.host.desks())
    child = next(d for pid, d in desks.items() if pid != makers.host.pid)
    assert by_maker(child.profile('threadcreate')) == MAIN
    assert "<tr><td>1</td><td><a href='threadcreate?" in child.get('/debug/pprof/').text
    assert makers.profile() == {'[main thread]': 1, 'make_by_pthread': 4}


def test_a_new_program_begins_anew(makers):
    makers.do('pthread 4')
    makers.host.say(b'exec\n')
    eventually('it begins anew', lambda: makers.host.stdout.count('ready') == 2)
    desk = eventually('it serves', lambda: len(makers.host.log) >= 2 and makers.host.desks()[makers.host.pid])
    assert by_maker(desk.profile('threadcreate')) == MAIN


def test_cxx(start):
    h = start(['cpp_threads'])
    h.wait_for_output('ready')
    found = {}
    for s in h.profile('threadcreate').samples:
        who = next((f.split('(')[0] for f in s.frames if f.startswith('make_')), s.frames[0])
        found[who] = found.get(who, 0) + s.values['threadcreate']
    assert found == {'make_threads': 3, 'make_tasks': 2, '[main thread]': 1}


def test_python(start):
    code = ("import threading\nstop = threading.Event()\n"
            "for i in range(7): threading.Thread(target=stop.wait).start()\n"
            "print('ready', flush=True)\ninput()\nstop.set()")
    h = start(['/usr/bin/python3', '-c', code])
    h.wait_for_output('ready')
    p = h.profile('threadcreate')
    assert p.total('threadcreate') == 8 == threads_of(h.pid)
    assert p.total('threadcreate', having='[main thread]') == 1
    others = [s for s in p.samples if s.frames != ['[main thread]']]
    assert all(any('start_new_thread' in f or 'Py' in f for f in s.frames) for s in others), others


NAMES = {'as_born': 'thread_makers', 'as_alpha': 'alpha', 'as_beta': 'b\ufffdta\x01\ufffd',
         'as_gamma': 'gamma', 'as_nobody': None}


def names_of(p):
    found = {}
    for s in p.samples:
        for f in s.frames:
            if f in NAMES:
                found.setdefault(f, set()).add(s.labels.get('thread'))
    return found


def test_names_are_followed(start):
    """A thread's name is the one that it has when the sample is taken; also one that is no UTF-8, or empty."""
    m = Makers(start, HEAP_RATE=1, BLOCK_RATE=1)
    m.do('names')
    want = {f: {name} for f, name in NAMES.items()}
    for path in ('heap?labels=thread', 'allocs?labels=thread', 'block?labels=thread,lock'):
        p = m.host.profile(path)
        assert names_of(p) == want, path
    assert 'lock' in {s.labels.get('lock') for s in p.samples if 'as_alpha' in s.frames}
    mutex = m.host.profile('mutex?labels=lock,thread')
    assert {s.labels.get('thread') for s in mutex.samples if 'hold_while_it_waits' in s.frames} == {'thread_makers'}
    for kind in ('heap', 'block'):
        assert not any('thread' in s.labels for s in m.host.profile(kind).samples), kind


def test_names_at_ticks(start):
    """Each function has 0.2 s of CPU time, twenty ticks; a window that is too short misses some on a busy machine."""
    m = Makers(start)
    found = {}
    for seconds in (3, 10, 30, 60):
        p = Background(lambda: m.host.profile('profile?seconds=%d&labels=thread' % seconds, timeout=90))
        m.do('names')
        for f, names in names_of(p.get()).items():
            found.setdefault(f, set()).update(names)
        if len(found) == len(NAMES):
            break
    assert found == {f: {name} for f, name in NAMES.items()}


@pytest.mark.parametrize('path, allowed', [
    ('heap', 'thread'), ('allocs', 'thread'), ('mmap', 'thread'), ('profile', 'thread'),
    ('block', 'thread, lock'), ('mutex', 'thread, lock')])
def test_labels_that_are_none(makers, path, allowed):
    for bad in ('x', 'thread,x', 'Thread', 'threads', 'tid'):
        makers.host.desk.error(400, 'invalid value for "labels" - allowed: ' + allowed,
                               '/debug/pprof/%s?labels=%s&seconds=1' % (path, bad))
    assert makers.host.get('/debug/pprof/%s?labels=&seconds=1' % path).status == 200
