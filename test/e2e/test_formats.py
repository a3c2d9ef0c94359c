"""format= and symbolize=: whichever form is asked for, it says the same."""
import json
import re

import pytest

from hosts import Background, eventually

SNAPSHOTS = ('heap', 'allocs', 'mmap', 'block', 'mutex', 'goroutine', 'threadcreate')
PLAIN = 'text/plain; charset=utf-8'

# What we map ourselves while we answer.
MOVES = {('[pprofshim]',), ('[mmap in libc]',)}


@pytest.fixture(scope='module')
def h(module_start):
    """Quiet, after it has done something of all."""
    h = module_start(['does_as_told'], HEAP_RATE=1, BLOCK_RATE=1)
    for line in 'keep 64 1048576', 'drop 16 4096', 'fight 20 2000':
        tell(h, line)
    return h


def tell(h, line):
    before = h.stdout.count('done')
    h.say(line.encode() + b'\n')
    eventually(line, lambda: h.stdout.count('done') > before)


def sums(samples):
    """{stack, leaf first: {sample type: sum}} of what is not 0 everywhere."""
    found = {}
    for stack, values in samples:
        into = found.setdefault(tuple(stack), {})
        for name, v in values.items():
            into[name] = into.get(name, 0) + v
    return {stack: values for stack, values in found.items() if any(values.values()) and stack not in MOVES}


def of_proto(p):
    return sums((s.frames, s.values) for s in p.samples)


def read_json(r):
    assert (r.status, r.headers['content-type']) == (200, 'application/json')
    assert 'content-disposition' not in r.headers
    return json.loads(r.body)


def of_json(j):
    types = [t['type'] for t in j['sample_types']]
    assert all(len(s['values']) == len(types) for s in j['samples'])
    return sums((s['stack'], dict(zip(types, s['values']))) for s in j['samples'])


def of_folded(r, name):
    assert (r.status, r.headers['content-type']) == (200, PLAIN)
    lines = [re.fullmatch(r'(.+) (-?\d+)', line) for line in r.text.splitlines()]
    values = [int(m[2]) for m in lines]
    assert values == sorted(values, reverse=True)
    return sums((reversed(m[1].split(';')), {name: v}) for m, v in zip(lines, values))


@pytest.mark.parametrize('query', ['', 'symbolize=none'])
@pytest.mark.parametrize('name', SNAPSHOTS)
def test_all_forms_are_the_same(h, name, query):
    p = h.profile(name + '?' + query)
    want = of_proto(p)
    assert want
    j = read_json(h.get('/debug/pprof/%s?format=json&%s' % (name, query)))
    assert of_json(j) == want
    assert (j['profile'], j['period']) == (name, p.period)
    assert [(t['type'], t['unit']) for t in j['sample_types']] == p.types
    assert j['default_sample_type'] == (p.default_sample_type or p.types[-1][0])
    assert [(int(m['start'], 16), m['file'], m['build_id']) for m in j['mappings']] == \
        [(m['start'], m['file'], m['build_id']) for m in p.mappings]
    assert sorted(map(repr, (s['labels'] for s in j['samples']))) == sorted(repr(s.labels) for s in p.samples)
    for value, _ in p.types:
        r = h.get('/debug/pprof/%s?format=folded&value=%s&%s' % (name, value, query))
        assert of_folded(r, value) == {stack: {value: v[value]} for stack, v in want.items() if v[value]}
    # Its own text.
    r = h.get('/debug/pprof/%s?format=text&%s' % (name, query))
    again = h.get('/debug/pprof/%s?debug=1&%s' % (name, query))
    assert r.headers['content-type'] == PLAIN
    rows = [re.findall(r'^[-\d].*@.*$', x.text, re.M) for x in (r, again)]
    assert name == 'mmap' or rows[0] == rows[1] != []


def test_without_names_they_are_found_later(h):
    """What a reader without our names asks for: pprof's remote symbolization."""
    p, named = h.profile('heap?symbolize=none'), h.profile('heap')
    assert p.functions == [] and not any(m['has_functions'] for m in p.mappings)
    addresses = sorted({a for s in p.samples for a in s.addresses})
    r = h.desk.request('POST', '/debug/pprof/symbol', body='+'.join(map(hex, addresses)))
    name = {int(m[1], 16): m[2] for m in re.finditer(r'^(0x[0-9a-f]+) (.*)$', r.text, re.M)}
    assert {tuple(name[a] for a in s.addresses) for s in p.samples} == {tuple(s.frames) for s in named.samples}


def test_names_where_none_are_usual(start):
    h = start(['hold_heap', 1000], SYMBOLS='none', HEAP_RATE=1)
    assert h.profile('heap').functions == []
    assert any('main' in s.frames for s in h.profile('heap?symbolize=names').samples)


def test_a_window_in_all_forms_at_once(h):
    tell(h, 'spin')
    try:
        asked = {form: Background(lambda f=form: h.get('/debug/pprof/profile?seconds=2&format=' + f))
                 for form in ('folded', 'json', 'text')}
        asked['heap'] = Background(lambda: h.get('/debug/pprof/heap?seconds=2&format=json'))
        whole = of_proto(h.profile('profile?seconds=2'))
        j = read_json(asked['json'].get())
        text = asked['text'].get().text
        folded = of_folded(asked['folded'].get(), 'cpu')
    finally:
        tell(h, 'rest')
    # Each has its own two seconds.  On a machine that is never idle a thread has not all of them.
    assert j['duration_nanos'] >= 2e9
    for found in whole, of_json(j), folded:
        ours = sum(v['cpu'] for stack, v in found.items() if 'spin_here' in stack)
        assert ours > 0.9 * sum(v['cpu'] for v in found.values()) > 0
    assert text.startswith('profile profile: total ')
    assert re.search(r'^#\s+\d+\.\d{3}\s+\d+\.\d%.*  spin_here$', text, re.M)
    delta = read_json(asked['heap'].get())
    assert delta['duration_nanos'] >= 2e9 and delta['period'] == 1


def test_what_does_not_go_together(h):
    for query, text in (
            ('format=xml', 'invalid value for "format" - allowed: proto, text, folded, json'),
            ('symbolize=lines', 'invalid value for "symbolize" - allowed: none, names (lines is not there yet)'),
            ('format=json&debug=1', 'format and debug params are incompatible - allowed: format=text with debug, '
                                    'the others without'),
            ('format=folded&value=cpu', 'invalid value for "value" - allowed: alloc_objects, alloc_space, '
                                        'inuse_objects, inuse_space')):
        h.desk.error(400, text, '/debug/pprof/heap?' + query)


def status_kib(h, field):
    with open('/proc/%d/status' % h.pid) as f:
        return int(re.search(r'^%s:\s+(\d+) kB' % field, f.read(), re.M).group(1))


def test_memory_of_a_large_profile(start):
    """10,000 stacks, in every form: 16 MiB and the answer itself at most while they are written, and nothing of it
    afterwards. (The text is 20 MB, the file 100 KB.)"""
    h = start(['many_stacks', 10000], HEAP_RATE=1, CPU_HZ=0)
    h.wait_for_output('ready')
    assert len(h.profile('heap').samples) >= 10000      # and every name is known
    forms = ('', 'format=json', 'format=folded', 'format=text', 'seconds=1', 'inuse=absolute&seconds=1')
    for path in [*('heap?' + form for form in forms), 'delta_heap', 'delta_heap?client=other']:
        before = status_kib(h, 'VmRSS')
        with open('/proc/%d/clear_refs' % h.pid, 'w') as f:
            f.write('5')        # the peak begins anew
        r = h.get('/debug/pprof/' + path)
        assert r.status == 200
        assert status_kib(h, 'VmHWM') - before <= (16 << 10) + len(r.body) / 1024, path
        # What each client of delta_heap was told stays: 32 bytes for each row.
        eventually('it is given back', lambda: status_kib(h, 'VmRSS') - before <= 1 << 10)
