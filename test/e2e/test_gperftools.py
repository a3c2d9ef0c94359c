"""/pprof/: what google-pprof and jeprof (perl) and go tool pprof make of it, beside what the host did and what
/debug/pprof/ says."""
import collections
import math
import os
import re
import struct
import subprocess
import time

import pytest

import walls
from clients import need
from golang import gos
from hosts import Background, eventually

ROW = re.compile(r'^ *([\d.]+) +[\d.]+% +[\d.]+% +([\d.]+) +[\d.]+% (.+)$', re.M)
WORDS_OF_PERL = re.compile(r'$|Using remote profile at |Fetching /pprof/|Gathering CPU profile from |  /|Be patient|'
                           r'Wrote profile to |Using local file |Heap version 2$|'
                           r'Adjusting heap profiles for 1-in-\d+ sampling rate$')

Words = collections.namedtuple('Words', 'period_us stacks maps')


class Text:
    """--text: a line for each function."""

    def __init__(self, out, err, saved):
        total = re.match(r'Total: ([\d.]+) (\S+)\n', out)
        self.total, self.unit = (float(total[1]), total[2]) if total else (0, None)
        self.flat = {m[3]: float(m[1]) for m in ROW.finditer(out)}
        self.cum = {m[3]: float(m[2]) for m in ROW.finditer(out)}
        self.err, self.saved = err, saved


@pytest.fixture
def perl(tmp_path):
    """perl(TOOL, OPTION..., URL): its Text.  It must end well and say nothing but what it always does."""
    def run(tool, *argv):
        e = dict(os.environ, HOME=str(tmp_path), PPROF_TMPDIR=str(tmp_path), JEPROF_TMPDIR=str(tmp_path))
        p = subprocess.run([need(tool), '--text', *argv], env=e, cwd=str(tmp_path), capture_output=True,
                           text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert p.returncode == 0, p.stderr
        for line in p.stderr.split('\n'):
            assert WORDS_OF_PERL.match(line), p.stderr
        saved = re.findall(r'^(?:Wrote profile to|Using local file) (.*?)\.?$', p.stderr, re.M)
        with open(saved[-1], 'rb') as f:
            return Text(p.stdout, p.stderr, f.read())
    return run


class Top:
    """pprof -top: the same."""

    def __init__(self, out):
        total = re.search(r'% of (-?[\d.]+)(\w*) total$', out, re.M)
        self.total = float(total[1]) if total else 0
        rows = [line.split(None, 5) for line in out.split('\n') if re.match(r' *-?[\d.]+\w* +-?[\d.]+% ', line)]
        self.flat = {r[5]: float(r[0].rstrip('Bns')) for r in rows}
        self.cum = {r[5]: float(r[3].rstrip('Bns')) for r in rows}
        self.out = out


@pytest.fixture
def top(tmp_path):
    """top(OPTION..., URL): what go tool pprof makes of it, with names from /pprof/symbol only."""
    e = dict(os.environ, PPROF_TMPDIR=str(tmp_path), PPROF_BINARY_PATH=str(tmp_path))

    def run(*argv, symbolize='remote', go=need('go')):
        p = subprocess.run([go, 'tool', 'pprof', '-top', '-nodecount=500', '-nodefraction=0',
                            '-symbolize=' + symbolize, *argv], env=e, capture_output=True, text=True, timeout=300,
                           stdin=subprocess.DEVNULL)
        assert p.returncode == 0, p.stderr
        assert re.fullmatch(r'(Fetching profile over HTTP from .*\n|Saved profile in .*\n|Please wait.*\n)*', p.stderr)
        return Top(p.stdout)
    return run


def read_words(body):
    """The binary form, without what counts nothing."""
    def word(i):
        return struct.unpack_from('<Q', body, 8 * i)[0]
    assert [word(i) for i in (0, 1, 2, 4)] == [0, 3, 0, 0]
    stacks, at = [], 5
    while True:
        count, depth = word(at), word(at + 1)
        pcs = [word(at + 2 + i) for i in range(depth)]
        at += 2 + depth
        if (count, pcs) == (0, [0]):
            return Words(word(3), stacks, body[8 * at:].decode())
        assert depth > 0 and 0 not in pcs
        if count:
            stacks.append((count, pcs))


def seconds_of(words):
    return sum(count for count, _ in words.stacks) * words.period_us / 1e6


def assert_is_mapped(address, maps):
    for m in re.finditer(r'^([0-9a-f]+)-([0-9a-f]+) ..x', maps, re.M):
        if int(m[1], 16) <= address < int(m[2], 16):
            return
    raise AssertionError('%#x' % address)


# --- heap -------------------------------------------------------------------------------------------------------------

def held(h):
    """{function: (size, live, allocated)}."""
    h.wait_for_output('ready')
    return {m[1]: (int(m[2]), int(m[3]), int(m[4]))
            for m in re.finditer(r'^truth (\w+) (\d+) (\d+) (\d+)$', h.stdout, re.M)}


COLUMNS = [('--inuse_space', 'inuse_space'), ('--inuse_objects', 'inuse_objects'),
           ('--alloc_space', 'alloc_space'), ('--alloc_objects', 'alloc_objects')]


@pytest.mark.check(31)
@pytest.mark.parametrize('tool', ['google-pprof', 'jeprof'])
def test_heap_of_all_blocks_is_exact(start, perl, tool):
    """25,000 blocks: of four times as many, which fill half of their table, one finds no room (heap_no_room) in one of a
    hundred programs."""
    h = start(['hold_heap', 40], HEAP_RATE=1)
    truth = held(h)
    for option, _ in COLUMNS:
        text = perl(tool, option, '--show_bytes', h.desk.url('/pprof/heap'))
        assert text.unit == ('B' if 'space' in option else 'objects')
        for name, (size, live, allocated) in truth.items():
            objects = live if 'inuse' in option else allocated
            expected = objects * (size if 'space' in option else 1)
            assert text.flat.get(name, 0) == expected, (name, option)
            assert text.cum['main'] >= sum(text.flat.get(n, 0) for n in truth)


@pytest.mark.parametrize('tool', ['google-pprof', 'jeprof'])
def test_sampled_heap_is_scaled_as_ours(start, perl, tool):
    """Rows of which all was freed are in it: no reader may divide by them."""
    h = start(['hold_heap', 10])
    held(h)
    ours = h.profile('heap')
    head, _, rest = h.get('/pprof/heap').text.partition('\n')
    assert re.fullmatch(r'heap profile: \d+: \d+ \[\d+: \d+\] @ heap_v2/524288', head)
    assert re.search(r'^0: 0 \[[1-9]\d*: [1-9]\d*\] @ 0x', rest, re.M)
    for option, column in COLUMNS:
        text = perl(tool, option, '--show_bytes', h.desk.url('/pprof/heap'))
        assert 'Heap version 2' in text.err and 'Adjusting heap profiles for 1-in-524288' in text.err
        # Classes of sizes are scaled by their mean.
        assert text.total == pytest.approx(ours.total(column), rel=0.01, abs=1)
        for name, value in text.flat.items():
            assert value == pytest.approx(ours.total(column, leaf=name), rel=0.01, abs=1), (name, option)


@pytest.mark.parametrize('tool', ['google-pprof', 'jeprof'])
def test_heap_of_two_rates_is_scaled_as_ours(start, perl, tool):
    """The form knows only one: of what was sampled at 4096, by far the most, a reader would make 128 times as much."""
    h = start(['hold_heap', 10], HEAP_RATE=4096)
    held(h)
    r = h.desk.request('POST', '/debug/pprof/config', body='{"heap_rate": 524288}',
                       headers={'Content-Type': 'application/json'})
    assert r.status == 200 and '"heap_rate": 524288' in r.text
    ours = h.profile('heap')
    for option, column in COLUMNS:
        text = perl(tool, option, '--show_bytes', h.desk.url('/pprof/heap'))
        assert text.total == pytest.approx(ours.total(column), rel=0.021)
        for name in 'hold_small', 'hold_middle', 'hold_large', 'drop_small', 'drop_large':
            assert text.flat.get(name, 0) == pytest.approx(ours.total(column, leaf=name), rel=0.021, abs=1), name


@pytest.mark.parametrize('tool', ['google-pprof', 'jeprof'])
def test_a_saved_heap_is_read_with_the_program(start, perl, tool, tmp_path):
    """By curl, and elsewhere or later: the names are those of the files that it says were mapped."""
    h = start(['hold_heap', 10])
    held(h)
    ours = h.profile('heap')
    saved = tmp_path / 'saved'
    saved.write_bytes(h.get('/pprof/heap').body)
    h.stop()
    text = perl(tool, '--alloc_space', '--show_bytes', h.argv[0], str(saved))
    assert text.total == pytest.approx(ours.total('alloc_space'), rel=0.01)
    for name in 'hold_large', 'drop_large':
        assert text.flat[name] == pytest.approx(ours.total('alloc_space', leaf=name), rel=0.01)
    # Of libc, which is mapped where only the text says; which of its names depends on debug files.
    assert any(name.startswith('__libc_') and value > 0.9 * text.total for name, value in text.cum.items())


def test_go_reads_the_heap(start, top):
    h = start(['hold_heap', 10])
    held(h)
    ours = h.profile('heap')
    for _, column in COLUMNS:
        t = top('-unit=B', '-sample_index=' + column, h.desk.url('/pprof/heap'))
        assert 'File: hold_heap\n' in t.out
        assert t.total == pytest.approx(ours.total(column), rel=0.01, abs=1)
        for name in ours.flat(column):
            assert t.flat.get(name, 0) == pytest.approx(ours.total(column, leaf=name), rel=0.01, abs=1), name


def test_functions_of_a_library_that_is_gone_keep_their_names(start, perl, top):
    """Their addresses are nobody's, or another's, by then."""
    plugin = os.path.join(os.path.dirname(need('deep_stack')), 'plugin_c.so')
    h = start(['/usr/bin/python3', '-c', '''if True:
        import ctypes, _ctypes, sys
        plugin = ctypes.CDLL(%r)
        plugin.plugin_work.restype = ctypes.c_void_p
        kept = [plugin.plugin_work(i) for i in range(100)]
        print("ready", flush=True)
        sys.stdin.readline()
        _ctypes.dlclose(plugin._handle)
        print("gone", flush=True)
        sys.stdin.read()''' % plugin], HEAP_RATE=1)
    expected = 2 * sum(1000 + 1000 * n for n in range(50))
    h.wait_for_output('ready')
    assert 'plugin_c.so' in h.get('/pprof/heap').text
    assert h.profile('heap').total('inuse_space', leaf='plugin_work') == expected
    h.say()
    h.wait_for_output('gone')
    assert 'plugin_c.so' not in h.get('/pprof/heap').text
    assert h.profile('heap').total('inuse_space', leaf='plugin_work') == expected
    text = perl('google-pprof', '--show_bytes', h.desk.url('/pprof/heap'))
    assert text.flat['plugin_work'] == expected
    assert top('-unit=B', h.desk.url('/pprof/heap')).flat['plugin_work'] == expected


# --- growth -----------------------------------------------------------------------------------------------------------

@pytest.mark.check(31)
def test_growth_is_every_call_that_mapped(start, perl, top):
    h = start(['maps_memory'])
    h.wait_for_output('ready')
    # FUNCTION, what is left of it, its calls and the bytes of these.
    expected = {m[0]: (int(m[1]), int(m[2]))
                for m in re.findall(r'^(\w+) \d+ \d+ (\d+) (\d+)$', h.stdout, re.M)}
    # Nobody has asked before: what no door saw is looked up for this.
    assert perl('google-pprof', h.desk.url('/pprof/growth')).flat['[mmap in libc]'] > 0
    ours = h.profile('mmap')
    text = h.get('/pprof/growth').text
    assert re.match(r'heap profile: (\d+): (\d+) \[\1: \2\] @ growth\n', text)
    for option, column in COLUMNS:
        text = perl('google-pprof', option, '--show_bytes', h.desk.url('/pprof/growth'))
        growth = column.replace('inuse', 'alloc')
        for name, (calls, asked) in expected.items():
            value = asked if 'space' in option else calls
            assert text.cum.get(name, 0) == value == ours.total(growth, having=name), name
        # What we have mapped for the answers since is in it, too.
        assert text.total >= ours.total(growth)
        assert text.flat['[pprofshim]'] > 0 and text.flat['[mmap in libc]'] > 0
    t = top('-unit=B', h.desk.url('/pprof/growth'))
    assert 'Type: space\n' in t.out
    assert t.cum['maps_whole'] == expected['maps_whole'][1]
    assert t.flat['[brk in libc]'] > 0


# --- contention -------------------------------------------------------------------------------------------------------

@pytest.mark.check(31)
def test_contention_is_who_held_the_locks(start, perl, top):
    h = start(['lock_shares', 3], BLOCK_RATE=1, MUTEX_FRACTION=1)
    h.wait_for_output('ready')
    ours = h.profile('mutex')
    assert ours.total('delay') > 1e9
    text = perl('google-pprof', '--total_delay', h.desk.url('/pprof/contention'))
    assert text.unit == 'seconds'
    assert text.total == pytest.approx(ours.total('delay') / 1e9, abs=0.001)
    for name in ('holds_long', 'holds_short'):
        assert text.flat[name] == pytest.approx(ours.total('delay', leaf=name) / 1e9, abs=0.001)
    text = perl('google-pprof', '--contentions', h.desk.url('/pprof/contention'))
    assert text.total == pytest.approx(ours.total('contentions'), abs=len(ours.samples))
    assert text.flat['holds_short'] > 0
    perl('google-pprof', '--mean_delay', h.desk.url('/pprof/contention'))
    t = top('-unit=ns', h.desk.url('/pprof/contention'))
    assert 'Type: delay\n' in t.out
    assert t.total == ours.total('delay')
    assert t.flat['holds_long'] == ours.total('delay', leaf='holds_long')


def test_nothing_waited_and_nothing_was_mapped_is_no_error(start, perl, top):
    h = start(['hold_heap', 1000], CPU_HZ=0, HEAP_RATE=0, MUTEX_FRACTION=0)
    held(h)
    assert h.get('/pprof/heap').text.startswith('heap profile: 0: 0 [0: 1] @ heapprofile\n')
    for name in 'heap', 'contention':
        assert perl('google-pprof', h.desk.url('/pprof/' + name)).total == 0
        assert top(h.desk.url('/pprof/' + name)).total == 0
    assert perl('google-pprof', '--seconds=1', h.desk.url('/pprof/profile')).total == 0


# --- profile ----------------------------------------------------------------------------------------------------------

def test_profile_is_the_cpu_time_of_its_window(start):
    """In steps of a tick, of 10 ms or the kernel's 4, at either end.

    A virtual CPU that is taken away for 50 ms there puts that much into the window, or leaves it out: not three times
    in a row, where in one of a hundred it does."""
    h = start(['spin_split', 0])

    def is_what_was_used():
        began, before = time.monotonic(), h.cpu_seconds()
        r = h.get('/pprof/profile?seconds=2')
        elapsed, used = time.monotonic() - began, h.cpu_seconds() - before
        assert r.headers['content-type'] == 'application/octet-stream'
        words = read_words(r.body)
        assert words.period_us == 10000
        for _, pcs in words.stacks:
            for i, pc in enumerate(pcs):
                assert_is_mapped(pc - (i > 0), words.maps)
        # It spins, and our thread makes the answer: outside of the window they use no more than the time there, each.
        return used - 2 * (elapsed - 2) - 0.05 <= seconds_of(words) <= used + 0.05
    assert any(is_what_was_used() for _ in range(3))


def test_profile_at_another_rate(start):
    h = start(['spin_split', 0], CPU_HZ=0)
    words = read_words(h.get('/pprof/profile?seconds=1&hz=500').body)
    assert words.period_us == 2000
    assert seconds_of(words) > 0


def test_no_function_is_taken_for_a_signal_handler(start, perl, top):
    """Every stack has the same second frame here, and third, and so on: perl and go would leave it out."""
    h = start(['deep_stack', 'spin'])
    h.wait_for_output('ready')

    def most(read, *names):
        # From within one function; one in a thousand is a moment of libc's between two rounds.
        return read.total > 10 and all(read.cum.get(name, 0) > 0.9 * read.total for name in names)

    def perl_finds_it():
        text = perl('google-pprof', '--seconds=2', h.desk.url('/pprof/profile'))
        assert text.unit == 'samples' and text.total == sum(count for count, _ in read_words(text.saved).stacks)
        return most(text, 'main', 'level_01', 'level_49', 'level_50') and text.flat['deep_spin'] > 0.9 * text.total

    def go_finds_it():
        t = top('-seconds=1', '-sample_index=samples', h.desk.url('/pprof/profile'))
        assert 'File: deep_stack\n' in t.out
        return most(t, 'main', 'level_01', 'level_49', 'level_50')
    # On a machine that is busy there may be few samples.
    assert any(perl_finds_it() for _ in range(3)) and any(go_finds_it() for _ in range(3))


@pytest.mark.check(31)
def test_without_a_path_it_is_the_profile(start, perl):
    h = start(['deep_stack', 'spin'])
    h.wait_for_output('ready')
    text = perl('google-pprof', '--seconds=1', h.desk.url(''))
    assert 'Gathering CPU profile from http://127.0.0.1:%d/pprof/profile?seconds=1' % h.desk.port in text.err
    assert text.cum['level_50'] > 0


# --- wall -------------------------------------------------------------------------------------------------------------

def test_wall_is_the_time_of_all_threads(start, perl, top):
    """Three wait all the time: they have as much of it as the window, which the answer ends."""
    h = start(['wall_shares'])
    began, before = time.monotonic(), walls.truth(h)
    text = perl('google-pprof', h.desk.url('/pprof/wall?seconds=3'))
    said = walls.between(before, walls.truth(h))
    elapsed = time.monotonic() - began
    words = read_words(text.saved)
    assert words.period_us == 10101
    period = words.period_us / 1e6
    assert text.total == sum(count for count, _ in words.stacks)
    assert 3 * 3 - 2 * period <= text.cum['waits_for_ever'] * period <= 3 * elapsed + 2 * period
    # Its threads are ten, with main.
    assert 30 - 2 * period <= seconds_of(words) <= 10 * elapsed + 2 * period
    # Four threads nap, and were at it outside of the window, too. The rest is chance: as in test_wall_shares.py, of
    # half as many looks as there were.
    looks = text.cum['naps_long'] + text.cum['naps_short']
    for name in ('naps_long', 'naps_short'):
        share = said['spent', name] / (said['spent', 'naps_long'] + said['spent', 'naps_short'])
        off = 6 * math.sqrt(share * (1 - share) * 2 * looks) + 2
        spent = said['spent', name] / 1e9 / period
        assert spent - 4 * (elapsed - 3) / period - off <= text.cum[name] <= spent + off, name
    for _, go in gos():
        t = top('-sample_index=samples', h.desk.url('/pprof/wall?seconds=1'), go=go)
        assert t.cum['waits_for_ever'] > 100, go


def test_every_go_finds_the_names_of_fgprof(start, top):
    """It looks for them elsewhere than for those of other profiles."""
    h = start(['wall_shares'])
    walls.truth(h)
    for _, go in gos():
        t = top('-unit=ns', h.desk.url('/debug/fgprof?seconds=1&symbolize=none'), go=go)
        assert t.cum['waits_for_ever'] > 0, go


def test_windows_at_once(start):
    h = start(['wall_shares'])
    walls.truth(h)
    others = [Background(lambda: h.get('/pprof/wall?seconds=2')), Background(lambda: h.profile('wall?seconds=2')),
              Background(lambda: h.get('/pprof/profile?seconds=2'))]
    for b in others:
        r = b.get()
        if hasattr(r, 'body'):
            assert seconds_of(read_words(r.body)) > 0


# --- the rest ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope='module')
def host(module_start):
    h = module_start(['deep_stack', 'wait'])
    h.wait_for_output('ready')
    return h


def test_go_finds_names_where_it_looks_by_itself(host, top):
    """In the files, then at /pprof/symbol."""
    assert top('-unit=B', host.desk.url('/pprof/heap'), symbolize='local').flat['deep_malloc'] > 0


def test_symbol(host):
    for path in '/pprof/symbol', '/pprof/symbolz', '/symbolz':
        r = host.get(path)
        assert re.match(r'num_symbols: [1-9]\d*\n', r.text)
        assert host.desk.request('HEAD', path).status == 200
    row = re.search(r'@ 0x([0-9a-f]+)', host.get('/pprof/heap').text)[1]
    r = host.desk.request('POST', '/pprof/symbol', body='0x' + row.rjust(16, '0'),
                          headers={'Content-Type': 'application/x-www-form-urlencoded'})
    assert re.search(r'^0x0*%s\s+deep_malloc$' % row, r.text, re.M)


def test_cmdline(start):
    h = start(['deep_stack', 'wait'])
    h.wait_for_output('ready')
    assert h.get('/pprof/cmdline').text == '\n'.join(h.argv) + '\n'


def test_head_measures_nothing(host):
    for path in 'profile', 'wall', 'profile?seconds=20', 'wall?seconds=20':
        r = host.desk.request('HEAD', '/pprof/' + path)
        assert (r.status, r.body) == (200, b'')
        assert r.seconds < 15
    for path in 'heap', 'growth', 'contention':
        assert host.desk.request('HEAD', '/pprof/' + path).status == 200


def test_a_client_that_goes_ends_the_work(start):
    """Its window's rate is gone with it."""
    h = start(['spin_split', 0], CPU_HZ=0)
    h.desk.raw(b'GET /pprof/profile?seconds=1000&hz=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n', timeout=1)

    def is_off():
        return read_words(h.get('/pprof/profile?seconds=1&hz=10').body).period_us > 50000
    eventually('nobody asks for 1000 a second', is_off)


def test_what_is_refused(host):
    host.desk.error(400, 'invalid value for "hz" - must be an integer from 1 to 1000', '/pprof/profile?hz=0')
    host.desk.error(400, 'invalid value for "hz" - must be an integer from 1 to 1000', '/pprof/wall?hz=1001')
    for name in 'heap', 'growth', 'contention':
        host.desk.error(400, '"seconds" parameter is not supported for this profile type', '/pprof/%s?seconds=1' % name)
        assert host.desk.request('POST', '/pprof/' + name).status == 405
    for name in 'pmuprofile?event=cycles:1&period=1&seconds=1', 'filteredprofile', 'censusprofile':
        r = host.get('/pprof/' + name)
        assert r.status == 501 and r.text.startswith('not supported here: '), name
    assert host.get('/pprof/').status == host.get('/pprof/nothing').status == 404
