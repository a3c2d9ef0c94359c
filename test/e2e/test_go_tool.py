"""go tool pprof, Debian's and a current one, and the stand-alone pprof, as their users type it: names, totals, and
not a word of complaint."""
import functools
import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
import urllib.request

import pytest

from conformance import desk  # noqa: F401
from golang import STANDALONE, Missing, built, environment_of_go, gos, pprof_of
from hosts import Background, eventually, program
from test_listening import neighbours

CLIENTS = ('oldest go', 'newest go', 'stand-alone')
COMPLAINTS = ['Local symbolization failed', 'Main binary', 'Some binary filenames', 'Try setting',
              'Ignoring', 'unrecognized', 'malformed', 'error', 'warning']
# What it has for every profile: (name, value that is opened, a function in it).
PROFILES = [('heap', 'inuse_space', 'keep_one'), ('allocs', 'alloc_space', 'drop_blocks'), ('mmap', 'inuse_space', None),
            ('block', 'delay', 'waits_for_it'), ('mutex', 'delay', 'gives_back'),
            ('goroutine', 'goroutine', 'waits_for_ever'), ('threads', 'goroutine', 'waits_for_ever'),
            ('threadcreate', 'threadcreate', 'main')]
TEXTS = [p for p in PROFILES if p[0] not in ('mmap', 'threads')]


class Client:
    """One pprof."""

    def __init__(self, path, directory, is_go_tool):
        self.path, self.directory, self.is_go_tool = path, str(directory), is_go_tool

    def start(self, *argv):
        env = environment_of_go(PPROF_TMPDIR=self.directory, PPROF_BINARY_PATH=self.directory)
        return subprocess.Popen([self.path, *argv], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(self, *argv):
        p = self.start(*argv)
        p.stdout_text, p.stderr_text = p.communicate(timeout=120)
        return p

    def says(self, *argv):
        """What it prints; it complains of nothing."""
        return self.says_both(*argv)[0]

    def says_both(self, *argv):
        """The same, and what it says meanwhile."""
        p = self.run(*argv)
        assert p.returncode == 0, p.stderr_text
        for line in p.stderr_text.split('\n'):
            assert not any(c.lower() in line.lower() for c in COMPLAINTS), p.stderr_text
            assert re.match(r'^$|Fetching profile over HTTP from |Saved profile in |Please wait|Generating report in ', line), line
        return p.stdout_text, p.stderr_text


@functools.lru_cache(maxsize=None)
def program_of(which):
    """That of the oldest or the newest Go that is here; google/pprof from the module proxy. Or why not."""
    if which == 'stand-alone':
        try:
            return built(*STANDALONE)
        except Missing as e:
            return e
    have = gos()
    if not have or (which == 'newest go' and len(have) == 1):
        return Missing('no %s here' % ('second Go' if have else 'Go'))
    return pprof_of(have[-1 if which == 'oldest go' else 0][1])


@pytest.fixture(scope='module', params=CLIENTS)
def client(request, tmp_path_factory):
    path = program_of(request.param)
    if isinstance(path, Missing):
        pytest.skip(str(path))
    return Client(path, tmp_path_factory.mktemp('pprof'), request.param != 'stand-alone')


@pytest.fixture(scope='module')
def deep(module_start):
    h = module_start(['deep_stack', 'wait'])
    h.wait_for_output('ready')
    return h


def total_of(text):
    return re.search(r'(?:of|Showing nodes accounting for [^,]*, [\d.]+% of) (\S+) total', text).group(1)


def number_of(text):
    """"64.76MB" or "3.01s" as pprof prints it."""
    number, unit = re.fullmatch(r'([\d.]+)([kMG]?B|[num]?s|mins|hrs)?', text).groups()
    scale = {None: 1, 'B': 1, 'kB': 1 << 10, 'MB': 1 << 20, 'GB': 1 << 30,
             'ns': 1e-9, 'us': 1e-6, 'ms': 1e-3, 's': 1, 'mins': 60, 'hrs': 3600}
    return float(number) * scale[unit]


def top_rows(text):
    """{function: flat}"""
    return {m.group(2): number_of(m.group(1)) for m in re.finditer(
        r'^\s*([\d.]+\w*)\s+[\d.]+%%\s+[\d.]+%%\s+\S+\s+[\d.]+%%\s+(.+)$' % (), text, re.M)}


# --- every profile ---

@pytest.mark.parametrize('name, value, function', PROFILES)
def test_profile(client, ours, name, value, function):
    text = client.says('-top', '-nodecount=300', ours.desk.url('/debug/pprof/' + name))
    assert 'File: does_as_told\n' in text
    assert 'Type: %s\n' % value in text
    assert number_of(total_of(text)) > 0
    if function is not None:
        assert function in top_rows(text)


@pytest.mark.check(5)
def test_raw_is_valid(client, ours):
    """The period is our linter's; what this one calls valid is not."""
    asked = {name: Background(lambda name=name: client.says('-raw', ours.desk.url('/debug/pprof/' + name)))
             for name in [p[0] for p in PROFILES]}
    for name, one in asked.items():
        text = one.get()
        assert text.startswith('PeriodType: '), name
        assert '\nMappings\n1: 0x' in text, name


def test_windows(client, ours):
    """-seconds on everything, all at once; on the CPU profile twice, which Go's own servers refuse."""
    of_cpu = ('profile', '../pprof/profile')

    def ask(name):
        return Background(lambda: client.says('-top', '-seconds', '1', ours.desk.url('/debug/pprof/' + name)))

    def spins(name):
        if top_rows(said[name]).get('spin_here', 0) > 0:
            return True
        said[name] = ask(name).get()
        return False
    ours.tell('spin')
    try:
        asked = {name: ask(name) for name in [p[0] for p in PROFILES] + [*of_cpu, 'wall', '../fgprof']}
        said = {name: one.get() for name, one in asked.items()}
        # A dozen clients begin at once: a machine that is busy besides may have no CPU for a thread in its second.
        for name in of_cpu:
            eventually('spin_here is in %s' % name, lambda: spins(name))
            assert 'Type: cpu\n' in said[name]
    finally:
        ours.tell('rest')
    for name, text in said.items():
        assert re.search(r'^Duration: [1-9]\d?(\.\d+)?s, Total samples = ', text, re.M), name
    assert 'waits_for_ever' in said['wall']


def test_differences(client, ours):
    """What is between two of each: of some nothing, of others what was done there meanwhile."""
    paths = {}
    for name, _, _ in PROFILES:
        paths[name] = os.path.join(client.directory, name + '.pb.gz')
        with open(paths[name], 'wb') as f:
            f.write(ours.desk.get('/debug/pprof/' + name).body)
    ours.tell('late 40 1048576')
    waited = ours.fight(2, 10000)
    # 20 of these 40 blocks or fewer are sampled once in 27 million times, and all of them are 16 % too much.
    kept = 0.6 * (40 << 20), 1.2 * (40 << 20)
    # The client prints four digits.
    waited = 0.99e-9 * waited.least, 1.01e-9 * waited.most
    done = {'heap': ('keep_one', kept), 'allocs': ('keep_one', kept), 'block': ('waits_for_it', waited),
            'mutex': ('gives_back', waited)}
    for name, _, _ in PROFILES:
        url = ours.desk.url('/debug/pprof/' + name)
        rows = top_rows(client.says('-top', '-nodecount=300', '-base', paths[name], url))
        if name in done:
            function, (least, most) = done[name]
            assert least <= rows[function] <= most, name
        text = client.says('-top', '-diff_base', url, url)
        # Our own work may be in between.
        assert name == 'mmap' or re.search(r'Showing nodes accounting for 0, 0% of \S+ total', text), (name, text)


def test_proto_goes_through(client, ours):
    """What it writes is what it read: names and totals."""
    path = os.path.join(client.directory, 'again.pb.gz')
    url = ours.desk.url('/debug/pprof/heap')
    client.says('-proto', '-output', path, url)
    assert top_rows(client.says('-top', path)) == top_rows(client.says('-top', url))


@pytest.mark.check(30)
def test_all_of_them_say_the_same(ours, tmp_path):
    """Names and values."""
    path = str(tmp_path / 'heap.pb.gz')
    with open(path, 'wb') as f:
        f.write(ours.desk.get('/debug/pprof/heap').body)
    here = [p for p in map(program_of, CLIENTS) if not isinstance(p, Missing)]
    if len(here) < 2:
        pytest.skip('no two clients here')
    said = [top_rows(Client(p, tmp_path, None).says('-top', '-nodecount=300', path)) for p in here]
    assert 'keep_one' in said[0]
    assert said[1:] == said[:-1]


# --- text forms ---

@pytest.mark.check(16)
@pytest.mark.parametrize('name, value, function', TEXTS)
def test_text_form_gives_the_same_totals(client, ours, name, value, function):
    """Its names come by POST to symbol: Go's own servers refuse that since 1.23."""
    binary = ours.desk.profile(name)
    # It opens the last column of a text, and knows of no alloc_space to begin with.
    text = client.says('-top', '-sample_index=' + value, ours.desk.url('/debug/pprof/%s?debug=1' % name))
    assert function in top_rows(text)
    total = binary.total(value) * (1e-9 if value == 'delay' else 1)
    # A row of the text is scaled by the mean of its sizes; and the client prints four digits.
    assert number_of(total_of(text)) == pytest.approx(total, rel=0.02)


@pytest.mark.check(16)
def test_text_form_of_go_itself(client, original):
    """The difference, and that it is not the client's."""
    p = client.run('-top', original.desk.url('/debug/pprof/heap?debug=1'))
    assert p.returncode != 0
    assert 'server response: 405 Method Not Allowed' in p.stderr_text


# --- symbols ---

class Watcher(http.server.BaseHTTPRequestHandler):
    """Hands on to a desk, and keeps what was asked."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.server.asked.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get('Content-Length', 0))) or None
        r = self.server.desk.request(self.command, self.path, body=body)
        self.send_response(r.status)
        for name in ('content-type', 'content-disposition', 'x-go-pprof'):
            if name in r.headers:
                self.send_header(name, r.headers[name])
        self.send_header('Content-Length', str(len(r.body)))
        self.end_headers()
        self.wfile.write(r.body)

    do_POST = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def watched():
    """watched(desk) -- a server of its own address that hands on to the desk; .asked: what it was asked."""
    running = []

    def watch(to):
        s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Watcher)
        s.desk, s.asked = to, []
        threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True).start()
        running.append(s)
        return s
    yield watch
    for s in running:
        s.shutdown()
        s.server_close()


@pytest.fixture
def gone(start, tmp_path):
    """A host whose program cannot be opened any more."""
    path = os.path.join(str(tmp_path), 'soon_gone')
    shutil.copy(program('does_as_told'), path)
    h = start([path], HEAP_RATE=1)
    os.unlink(path)
    h.desk.exe = None       # the linter cannot look at it
    return h


@pytest.mark.check(29)
def test_nothing_is_asked_twice(client, gone, watched):
    """Names are in the profile: no symbol is asked for, and no binary. Without a path it is the CPU profile."""
    gone.say(b'keep 5 100000\nspin\n')
    eventually('it has kept', lambda: gone.stdout.count('done') == 2)
    server = watched(gone.desk)
    address = '127.0.0.1:%d' % server.server_port
    where = 'http://' + address if client.is_go_tool else 'http://%s/debug/pprof/profile' % address
    text, said = client.says_both('-top', '-seconds', '1', where)
    assert 'Fetching profile over HTTP from http://%s/debug/pprof/profile?seconds=1\n' % address in said
    assert top_rows(text)['spin_here'] > 0
    text = client.says('-top', 'http://%s/debug/pprof/heap' % address)
    assert 'File: soon_gone\n' in text and 'keep_one' in top_rows(text)
    assert [a for a in server.asked if a[0] != 'GET' or 'symbol' in a[1]] == []
    assert len(server.asked) == 2


@pytest.fixture(scope='module')
def as_it_comes(client, deep):
    return top_rows(client.says('-top', '-nodecount=200', deep.desk.url('/debug/pprof/heap')))


@pytest.mark.check(30)
@pytest.mark.parametrize('how', ['remote', 'local', 'fastlocal', 'none'])
def test_symbolize_modes(client, deep, as_it_comes, how):
    """All names are there already."""
    text = client.says('-top', '-nodecount=200', '-symbolize=' + how, deep.desk.url('/debug/pprof/heap'))
    assert top_rows(text) == as_it_comes
    assert {'deep_malloc', 'main', 'level_01', 'level_50'} <= set(as_it_comes)
    assert '[binary]' not in text and '<unknown>' not in text


@pytest.mark.check(30)
@pytest.mark.parametrize('how', ['full', 'none', 'templates'])
def test_demangle_modes(client, deep, as_it_comes, how):
    """The stand-alone one looks into the binaries then, and finds names of libc's own that no symbol table has."""
    text = client.says('-top', '-nodecount=200', '-symbolize=demangle=' + how, deep.desk.url('/debug/pprof/heap'))
    assert {n: v for n, v in top_rows(text).items() if re.match('deep|main|level', n)} == \
        {n: v for n, v in as_it_comes.items() if re.match('deep|main|level', n)}


@pytest.mark.check(30)
def test_addresses_alone_get_their_names_from_the_desk(client, start, watched):
    """A profile without names: it looks into the binaries, or asks symbol, one POST for a mapping."""
    h = start(['deep_stack', 'wait'], SYMBOLS='none', HEAP_RATE=1)
    h.wait_for_output('ready')
    server = watched(h.desk)
    url = 'http://127.0.0.1:%d/debug/pprof/heap' % server.server_port
    text = client.says('-top', '-nodecount=200', '-symbolize=remote', url)
    for name in ('deep_malloc', 'main', 'level_01'):
        assert name in top_rows(text)
    assert ('POST', '/debug/pprof/symbol') in server.asked


@pytest.mark.check(30)
def test_cpp_names(client, start):
    h = start(['cpp_containers', 1000])
    # Of 20 MB, most of which baskets have, no sample is of them once in 10^13 times.
    eventually('it has allocated', lambda: h.profile('heap').total('alloc_space') > 20e6)
    # The client would do it by itself; others do not.
    assert not any('_Z' in name for s in h.desk.profile('heap').samples for name in s.frames)
    url = h.desk.url('/debug/pprof/heap?debug=0')
    plain, full = (client.says('-top', '-nodecount=500', '-sample_index=alloc_space', *how, url)
                   for how in ((), ('-symbolize=demangle=full',)))
    assert 'fruit::Basket' in plain
    assert '_ZN' not in plain + full
    assert 'round_of_work(int)' in full
    # This mode looks into the binary as well, where go tool finds no name for a method of a template.
    assert client.is_go_tool or re.search(r'fruit::Basket<.*>::add\(.*\)', full)


@pytest.mark.check(32)
def test_two_runs_merge_by_name(client, start):
    """Addresses differ from run to run, functions are the same."""
    urls = []
    for _ in range(2):
        h = start(['deep_stack', 'wait'], HEAP_RATE=1)
        h.wait_for_output('ready')
        urls.append(h.desk.url('/debug/pprof/heap'))
    one, both = (top_rows(client.says('-top', '-unit=MB', *u)) for u in (urls[:1], urls))
    assert one.keys() == both.keys()
    assert both['deep_malloc'] == pytest.approx(2 * one['deep_malloc'], rel=0.01)


# --- its own server, errors, others ---

def page(url):
    with urllib.request.urlopen(url, timeout=60) as r:
        return r.read().decode()


def test_web_page(client, ours):
    """-http, as a browser asks it. The graph wants graphviz in Go 1.19, and is the flame graph now."""
    # Not one that the kernel gives away meanwhile: some hosts begin in the second until it is taken again.
    port, taken = neighbours(socket.AF_INET, '127.0.0.1', 1)
    taken[0].close()
    address = '127.0.0.1:%d' % port
    p = client.start('-http=' + address, '-no_browser', ours.desk.url('/debug/pprof/heap'))
    try:
        def answers():
            assert p.poll() is None, p.communicate()
            try:
                return page('http://%s/ui/flamegraph' % address)
            except OSError:
                return None
        flames = eventually('its page answers', answers)
        for text in (flames, page('http://%s/ui/top' % address), page('http://%s/ui/peek?f=keep_one' % address)):
            assert 'does_as_told inuse_space' in text
            for name in ('keep_one', 'keep_blocks'):
                assert name in text
        try:
            assert 'keep_one' in page('http://%s/ui/' % address)
        except urllib.error.HTTPError as e:
            assert e.code == 501 and shutil.which('dot') is None
    finally:
        p.terminate()
        p.communicate()


def test_error_text_is_shown(client, ours):
    p = client.run('-top', ours.desk.url('/debug/pprof/nosuch'))
    assert p.returncode != 0
    assert 'server response: 404 Not Found - Unknown profile' in p.stderr_text
