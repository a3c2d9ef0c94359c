"""/metrics, /healthz and our part of the index: what they say is so, and readers of each kind read it.

Figures that are sampled (handler time) are compared by bounds that follow from how they are made, never by the
speed of this machine."""
import re
import time

import html5lib
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hosts import eventually, program

UNITS = ('seconds', 'bytes', 'hertz')
REASONS = re.compile(r'[a-z]+(_[a-z]+)*$')


def metrics(desk):
    """{(name, labels...): value}"""
    r = desk.get('/metrics')
    assert r.status == 200
    return {(s.name,) + tuple(sorted(s.labels.items())): s.value
            for family in text_string_to_metric_families(r.text) for s in family.samples}


def one(desk, name, **labels):
    return metrics(desk)[(name,) + tuple(sorted(labels.items()))]


def our_thread(pid):
    """/proc's folder of our thread."""
    import glob
    for comm in glob.glob('/proc/%d/task/*/comm' % pid):
        with open(comm) as f:
            if f.read().strip() == 'pprofshim':
                return comm.rsplit('/', 1)[0]
    raise AssertionError('no thread of ours')


def cpu_ns(folder):
    with open(folder + '/schedstat') as f:
        return int(f.read().split()[0])


# --- the form ----------------------------------------------------------------------------------

def test_a_parser_reads_it_and_the_conventions_are_kept(start):
    """What `promtool check metrics` complains about."""
    h = start([program('spin_split'), '0'])
    h.get('/debug/pprof/nope')
    h.get('/debug/pprof/heap')
    r = h.get('/metrics')
    assert r.headers['content-type'] == 'text/plain; version=0.0.4; charset=utf-8'
    assert r.text.endswith('\n') and '\r' not in r.text
    families = list(text_string_to_metric_families(r.text))
    assert len(families) == len({f.name for f in families}) >= 20
    for f in families:
        # The parser takes _total off.
        written = f.name + ('_total' if f.type == 'counter' else '')
        assert re.search(r'^# HELP %s \S' % written, r.text, re.M), written
        assert re.search(r'^# TYPE %s %s$' % (written, f.type), r.text, re.M), written
        assert re.fullmatch(r'pprofshim(_[a-z]+)+', written), written
        assert f.type in ('counter', 'gauge', 'histogram'), written
        assert not (f.type == 'gauge' and re.search(r'_(total|count|sum|bucket)$', written)), written
        assert not re.search(r'(milli|micro|nano)seconds|kib|_ms_|_ns_|percent', written), written
        assert f.samples, written
        seen = [(s.name, tuple(sorted(s.labels.items()))) for s in f.samples]
        assert len(seen) == len(set(seen)), written
        for s in f.samples:
            assert s.value >= 0 and s.timestamp is None, s
    labels = {name for f in families for s in f.samples for name in s.labels}
    assert labels == {'version', 'profile', 'reason', 'in', 'le', 'part', 'endpoint', 'status'}
    assert len(r.text.splitlines()) < 400
    for f in families:
        if f.type == 'histogram':
            buckets = [(float(s.labels['le']), s.value) for s in f.samples if s.name.endswith('_bucket')]
            values = {s.name: s.value for s in f.samples if 'le' not in s.labels}
            assert buckets == sorted(buckets) and [v for _, v in buckets] == sorted(v for _, v in buckets)
            assert buckets[-1] == (float('inf'), values[f.name + '_count'])
            assert values[f.name + '_sum'] > 0


@pytest.mark.parametrize('path', ['/metrics', '/healthz'])
def test_methods_and_the_guard_are_those_of_every_endpoint(start, path):
    h = start([program('spin_split'), '0'])
    r = h.desk.request('HEAD', path)
    assert (r.status, r.body) == (200, b'') and int(r.headers['content-length']) > 0
    assert h.get(path).headers['x-content-type-options'] == 'nosniff'
    r = h.desk.request('POST', path, body='')
    assert (r.status, r.headers['allow']) == (405, 'GET, HEAD')
    assert h.get(path, headers={'Host': 'attacker.example'}).status == 403
    assert h.get(path, headers={'Sec-Fetch-Site': 'cross-site'}).status == 403
    assert h.get(path + '/x').status == 404


def test_healthz_is_ok(start):
    r = start([program('spin_split'), '0']).get('/healthz')
    assert (r.status, r.body, r.headers['content-type']) == (200, b'ok\n', 'text/plain; charset=utf-8')


# --- what it says ------------------------------------------------------------------------------

def test_requests_and_connections_are_counted(start):
    h = start([program('spin_split'), '0'])
    # Clients that looked whether it is up have gone.
    eventually('one client', lambda: one(h, 'pprofshim_connections') == 1)
    before = metrics(h)
    for _ in range(3):
        h.get('/debug/pprof/cmdline')
    h.get('/debug/pprof/nope')
    h.get('/else')
    h.get('/debug/pprof')
    h.get('/debug/pprof/cmdline', headers={'Host': 'attacker.example'})
    h.desk.request('PUT', '/debug/pprof/heap')
    after = metrics(h)

    def grew(name, **labels):
        key = (name,) + tuple(sorted(labels.items()))
        return after.get(key, 0) - before.get(key, 0)

    assert grew('pprofshim_requests_total', endpoint='cmdline', status='200') == 3
    assert grew('pprofshim_requests_total', endpoint='unknown', status='404') == 1
    assert grew('pprofshim_requests_total', endpoint='none', status='404') == 1
    assert grew('pprofshim_requests_total', endpoint='none', status='307') == 1
    assert grew('pprofshim_requests_total', endpoint='none', status='403') == 1
    assert grew('pprofshim_requests_total', endpoint='heap', status='405') == 1
    assert grew('pprofshim_requests_total', endpoint='metrics', status='200') == 1
    assert sum(after[k] - before.get(k, 0) for k in after if k[0] == 'pprofshim_requests_total') == 9
    assert grew('pprofshim_accepted_total') == 9


def test_cpu_time_of_our_thread_is_the_kernels(start):
    h = start([program('spin_split'), '0'])
    folder = our_thread(h.pid)
    before = cpu_ns(folder)
    first = one(h, 'pprofshim_desk_cpu_seconds_total')
    for _ in range(20):
        h.get('/debug/pprof/heap')
    middle = cpu_ns(folder)
    second = one(h, 'pprofshim_desk_cpu_seconds_total')
    after = cpu_ns(folder)
    assert before / 1e9 <= first <= middle / 1e9 <= second <= after / 1e9
    assert second - first > 0


def test_handler_time_grows_with_ticks_and_stays_below_all_of_it(start):
    """One in 64 is timed, of each thread. How many periods a tick stands for is the machine's affair."""
    h = start([program('spin_split'), '0'], CPU_HZ=1000)
    eventually('64 ticks', lambda: one(h, 'pprofshim_handler_cpu_seconds_total', **{'in': 'tick'}) > 0)
    m = metrics(h)
    tick = m[('pprofshim_handler_cpu_seconds_total', ('in', 'tick'))]
    assert 0 < tick < m[('pprofshim_process_cpu_seconds_total',)]
    with open('/proc/%d/stat' % h.pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    assert m[('pprofshim_process_cpu_seconds_total',)] <= (int(fields[11]) + int(fields[12]) + 2) / 100
    h = start([program('many_stacks'), '5000'], HEAP_RATE=1, CPU_HZ=0)
    eventually('5000 blocks', lambda: one(h, 'pprofshim_samples_total', profile='heap') >= 5000)
    m = metrics(h)
    door = m[('pprofshim_handler_cpu_seconds_total', ('in', 'door'))]
    assert 0 < door < m[('pprofshim_process_cpu_seconds_total',)]
    assert m[('pprofshim_handler_cpu_seconds_total', ('in', 'tick'))] == 0


def wiped_on_fork(pid):
    """(bytes, resident bytes) of the mapping that has our tables."""
    found = []
    with open('/proc/%d/smaps' % pid) as f:
        for block in re.split(r'^(?=[0-9a-f]+-[0-9a-f]+ )', f.read(), flags=re.M):
            flags = re.search(r'^VmFlags: (.*)$', block, re.M)
            if flags and 'wf' in flags.group(1).split():
                found.append(tuple(1024 * int(re.search(r'^%s: +(\d+)' % name, block, re.M).group(1))
                                   for name in ('Size', 'Rss')))
    return max(found)


def test_memory_is_the_kernels(start):
    h = start([program('many_stacks'), '20000'], HEAP_RATE=1, MEMORY='128m')
    eventually('20000 blocks', lambda: one(h, 'pprofshim_samples_total', profile='heap') >= 20000)
    m = metrics(h)
    size, resident = wiped_on_fork(h.pid)
    told = m[('pprofshim_tables_resident_bytes',)]
    assert abs(told - resident) <= resident / 20, (told, resident)
    assert told > 4 << 20
    budget = sum(v for k, v in m.items() if k[0] == 'pprofshim_table_budget_bytes')
    used = m[('pprofshim_table_used_bytes', ('profile', 'heap'))]
    assert 0.8 * size < budget <= size
    assert 20000 * 100 < used < m[('pprofshim_table_budget_bytes', ('profile', 'heap'))]
    assert used < 2 * told
    assert size <= m[('pprofshim_mapped_bytes',)] < 2 * size


def test_rates_in_force_and_build(start):
    h = start([program('spin_split'), '0'], CPU_HZ=50, BLOCK_RATE='3us')
    m = metrics(h)
    assert m[('pprofshim_cpu_rate_hertz',)] == 50
    assert m[('pprofshim_heap_rate_bytes',)] == 512 << 10
    assert m[('pprofshim_block_rate_seconds',)] == 3e-6
    assert m[('pprofshim_mutex_fraction',)] == 1
    assert [v for k, v in m.items() if k[0] == 'pprofshim_build_info'] == [1]
    assert abs(m[('pprofshim_start_time_seconds',)] - time.time()) < 3600
    h.desk.request('POST', '/debug/pprof/config', body='cpu_hz=70&heap_rate=0')
    m = metrics(h)
    assert (m[('pprofshim_cpu_rate_hertz',)], m[('pprofshim_heap_rate_bytes',)]) == (70, 0)


def test_drops_are_those_of_the_index(start):
    h = start([program('many_stacks'), '20000'], HEAP_RATE=1, MEMORY='1m')
    eventually('drops', lambda: any(v for k, v in metrics(h).items() if k[0] == 'pprofshim_dropped_total'))
    eventually('all blocks', lambda: one(h, 'pprofshim_samples_total', profile='heap') >= 20000)

    def drops():
        return {dict(k[1:])['reason']: v for k, v in metrics(h).items() if k[0] == 'pprofshim_dropped_total'}

    def at_rest():
        """Our thread tidies up for a while yet: the page is compared when it did nothing meanwhile."""
        before = drops()
        page = h.get('/debug/pprof/').text.partition('given up')[2]
        return (page, before) if drops() == before else None
    page, m = eventually('nothing more is dropped', at_rest)
    told = {m.group(1): int(m.group(2)) for m in re.finditer(r'<li>(\w+) (\d+): ', page)}
    assert told == {k: v for k, v in m.items() if v} and told
    assert all(REASONS.match(k) for k in m) and len(m) > 20


def test_counters_never_fall(start):
    h = start([program('spin_split'), '0'], CPU_HZ=1000, HEAP_RATE=1)
    last = metrics(h)
    for path in ('heap', 'wall?seconds=1', 'profile?seconds=1', 'mutex', ''):
        h.get('/debug/pprof/' + path)
        now = metrics(h)
        fell = [k for k in last if k[0].endswith(('_total', '_bucket', '_count', '_sum')) and now[k] < last[k]]
        assert fell == [], fell
        last = now


# --- the index ---------------------------------------------------------------------------------

def test_the_index_is_html_without_an_error(start):
    h = start([program('spin_split'), '0'], ONLY='*,<b>&"\'', MUTEX_FRACTION=0, SYMBOLS='none')
    r = h.get('/debug/pprof/')
    assert '<script' not in r.text and '//' not in r.text and ' src=' not in r.text
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(r.text)
    rows = [[''.join(cell.itertext()) for cell in row] for row in page.iter('tr')]
    assert ['PPROFSHIM_ONLY', '*,<b>&"\'', 'set'] in rows
    assert ['PPROFSHIM_MUTEX_FRACTION', '0', 'set'] in rows
    assert ['PPROFSHIM_DEPTH', '128', 'default'] in rows
    items = [''.join(i.itertext()) for i in page.iter('li')]
    assert 'mutex: mutex_fraction is 0' in items
    assert 'names of functions: PPROFSHIM_SYMBOLS is none' in items
    for a in page.iter('a'):
        href = a.get('href')
        path = href if href.startswith('/') else '/debug/pprof/' + href
        if re.match(r'(profile|wall)\?', href):
            path = re.sub(r'seconds=\d+$|$', '&seconds=1', path, count=1)
        assert h.get(path).status == 200, href
    shares = [float(row[2].split()[0]) for row in rows if len(row) == 3 and row[2].endswith(' %')]
    assert len(shares) == 4 and all(0 <= s <= 100 for s in shares)
    assert abs(shares[3] - sum(shares[:3])) < 0.05


def counts(h):
    return {name: int(n) for n, name in re.findall(
        r"<tr><td>(\d+)</td><td><a href='([a-z]+)\?debug=1'>", h.get('/debug/pprof/').text)}


def test_the_index_counts_what_the_profiles_have(start):
    h = start([program('many_stacks'), '300'], HEAP_RATE=1, CPU_HZ=0)
    eventually('300 blocks', lambda: one(h, 'pprofshim_samples_total', profile='heap') >= 300)
    n = counts(h)
    assert list(n) == sorted(n)
    heap = h.profile('heap')
    assert n['heap'] == n['allocs'] == len(heap.samples)
    assert n['heap'] >= 300
    assert n['goroutine'] == h.profile('goroutine').total('goroutine')
    assert n['threadcreate'] == h.profile('threadcreate').total('threadcreate') == 1
    assert n['cmdline'] == n['profile'] == n['symbol'] == 0


def test_a_secret_is_not_shown(start, tmp_path):
    token = tmp_path / 'token'
    token.write_text('s3cret-and-long-enough-for-every-rule\n')
    token.chmod(0o600)
    h = start([program('spin_split'), '0'], TOKEN_FILE=str(token))
    text = h.get('/debug/pprof/', headers={
        'Authorization': 'Bearer s3cret-and-long-enough-for-every-rule'}).text
    assert 'PPROFSHIM_TOKEN_FILE</td><td>(not shown)</td><td>set' in text
    assert 's3cret' not in text and str(token) not in text
