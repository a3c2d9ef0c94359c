#!/usr/bin/python3
"""lint_profile -- what scrapers and viewers demand of a profile, as twenty rules.

    lint_profile.py [--kind heap] [--delta] FILE | http://HOST/debug/pprof/heap

A finding begins with the number of its rule.  The numbers are those of the output contract in the
design: 1-7 of HTTP, 8-20 of the message.  Rules 6 and 7 need more than one request, the tests of
the desk hold them.  One exception is Go's and wins: heap has no default_sample_type (its last
sample type, inuse_space, is what readers open), and allocs has alloc_space.
"""
import argparse
import http.client
import re
import sys
import time
import urllib.parse

from profile_message import Malformed, Read, decode, unpack

SPACE = [('alloc_objects', 'count'), ('alloc_space', 'bytes'),
         ('inuse_objects', 'count'), ('inuse_space', 'bytes')]
DELAY = [('contentions', 'count'), ('delay', 'nanoseconds')]

# kind: (sample types, period type, period if fixed, default sample type, cumulative values)
KINDS = {
    'profile': ([('samples', 'count'), ('cpu', 'nanoseconds')], ('cpu', 'nanoseconds'), None, '', ()),
    'heap': (SPACE, ('space', 'bytes'), None, '', ('alloc_objects', 'alloc_space')),
    'allocs': (SPACE, ('space', 'bytes'), None, 'alloc_space', ('alloc_objects', 'alloc_space')),
    'mmap': (SPACE, ('space', 'bytes'), 1, '', ('alloc_objects', 'alloc_space')),
    'block': (DELAY, ('contentions', 'count'), 1, '', ('contentions', 'delay')),
    'mutex': (DELAY, ('contentions', 'count'), 1, '', ('contentions', 'delay')),
    'goroutine': ([('goroutine', 'count')], ('goroutine', 'count'), 1, '', ()),
    'threadcreate': ([('threadcreate', 'count')], ('threadcreate', 'count'), 1, '', ()),
}

# Limits of a Pyroscope as it comes: over them a profile is refused or cut.
BYTES_MAX = 4 << 20
SAMPLES_MAX = 16000
LABELS_MAX = 100
DEPTH_MAX = 1000
STRING_MAX = 65535


class Findings(list):
    def add(self, rule, text, *args):
        self.append('%s: %s' % (rule, text % args if args else text))


def lint_error(status, headers, body):
    """Findings about an answer that is not a profile but an error."""
    found = Findings()
    if not 400 <= status <= 599:
        found.add(3, 'an error with status %d', status)
    if not headers.get('content-type', '').startswith('text/plain'):
        found.add(3, 'an error of type %r', headers.get('content-type'))
    if headers.get('x-go-pprof') != '1':
        found.add(3, 'an error without X-Go-Pprof: pprof will not show its text')
    if headers.get('x-content-type-options') != 'nosniff':
        found.add('go', 'no nosniff on an error')
    if 'content-disposition' in headers:
        found.add('go', 'an error offered as a file')
    if not body.endswith(b'\n') or not body.strip():
        found.add(3, 'an error without a line of text')
    return found


def lint_http(status, headers, body, kind, delta=False):
    """headers: a dict with lower-case names."""
    found = Findings()
    if status != 200:
        found.add(1, 'status %d', status)
    if not body:
        found.add(1, 'the body is empty')
    if headers.get('content-type') != 'application/octet-stream':
        found.add(2, 'type %r', headers.get('content-type'))
    if body.lstrip()[:1] in (b'{', b'[', b'<'):
        found.add(2, 'the body looks like text: %r', body[:20])
    if 'x-go-pprof' in headers:
        found.add(3, 'X-Go-Pprof, the mark of an error, on a profile')
    if 'content-encoding' in headers:
        found.add(4, 'Content-Encoding: %s', headers['content-encoding'])
    if body[:2] != b'\x1f\x8b':
        found.add(4, 'not gzip: %r', body[:4])
    if headers.get('x-content-type-options') != 'nosniff':
        found.add('go', 'no X-Content-Type-Options: nosniff')
    name = kind + ('-delta' if delta and kind != 'profile' else '')
    if headers.get('content-disposition') != 'attachment; filename="%s"' % name:
        found.add('go', 'Content-Disposition: %s', headers.get('content-disposition'))
    return found


def dense(found, what, ids):
    for want, got in enumerate(ids, 1):
        if want != got:
            found.add(8, '%s ids are not 1, 2, 3...: number %d is %d', what, want, got)
            return


def lint_message(body, kind=None, delta=False, exe=None, build_id=None, now=None):
    """kind None: only what holds for every kind.  exe, build_id: those of the main program."""
    found = Findings()
    try:
        m = decode(body)
        raw_bytes = len(unpack(body))
    except Malformed as e:
        found.add(8, '%s', e)
        return found
    unknown = m.UnknownFields() if hasattr(m, 'UnknownFields') else []
    if len(unknown):
        found.add(8, 'fields that profile.proto does not have: %s', [f.field_number for f in unknown])

    # Strings first: everything else refers to them.
    table = m.string_table
    if not table or table[0] != b'':
        found.add(8, 'string_table[0] is not ""')
    for i, s in enumerate(table):
        try:
            s.decode('utf-8')
        except UnicodeDecodeError:
            found.add(14, 'string %d is not UTF-8: %r', i, s[:60])
        if len(s) > STRING_MAX:
            found.add(17, 'string %d has %d bytes', i, len(s))
    if len(set(table)) != len(table):
        found.add(8, 'a string stands in the table twice')

    def string(i, what):
        if not 0 <= i < len(table):
            found.add(8, '%s: string %d of %d', what, i, len(table))
            return ''
        return table[i].decode('utf-8', 'replace')

    dense(found, 'mapping', [x.id for x in m.mapping])
    dense(found, 'location', [x.id for x in m.location])
    dense(found, 'function', [x.id for x in m.function])

    # Types.
    types = [(string(t.type, 'sample type'), string(t.unit, 'sample type')) for t in m.sample_type]
    if not types:
        found.add(5, 'no sample types')
    for name, unit in types:
        if '-' in name or not name or not unit:
            found.add(14, 'sample type %r/%r', name, unit)
    period_type = (string(m.period_type.type, 'period type'), string(m.period_type.unit, 'period type'))
    # Go's period is the rate, and the rate of a heap profile that is switched off is 0.
    if not all(period_type) or m.period < 0 or m.period == 0 and kind not in ('heap', 'allocs'):
        found.add(13, 'period %d of type %r', m.period, period_type)
    default = string(m.default_sample_type, 'default sample type')
    if default and default not in [t for t, u in types]:
        found.add(19, 'default_sample_type %r is not among the sample types', default)
    cumulative = ()
    if kind is not None:
        want_types, want_period_type, want_period, want_default, cumulative = KINDS[kind]
        if types != want_types:
            found.add(13, 'sample types %s', types)
        if period_type != want_period_type or (want_period and m.period != want_period):
            found.add(13, 'period %d of type %s', m.period, period_type)
        if default != want_default:
            found.add(19, 'default_sample_type %r, Go has %r', default, want_default)

    # Times.
    now = time.time() if now is None else now
    if abs(m.time_nanos / 1e9 - now) > 86400:
        found.add(12, 'time_nanos %d is not of today', m.time_nanos)
    if m.duration_nanos < 0:
        found.add(12, 'duration_nanos %d', m.duration_nanos)
    if kind is not None:
        lasts = delta or kind == 'profile'
        if lasts and m.duration_nanos == 0:
            found.add(12, 'no duration_nanos, but it covers a time')
        if not lasts and m.duration_nanos != 0:
            found.add(12, 'duration_nanos %d, but it is of one moment', m.duration_nanos)

    # Functions, mappings, locations.
    for f in m.function:
        if not string(f.name, 'function'):
            found.add(18, 'function %d has no name', f.id)
        string(f.system_name, 'function')
        string(f.filename, 'function')
    ranges = {}
    for x in m.mapping:
        ranges[x.id] = x
        file, build = string(x.filename, 'mapping'), string(x.build_id, 'mapping')
        if x.memory_start >= x.memory_limit:
            found.add(20, 'mapping %d: [%x, %x)', x.id, x.memory_start, x.memory_limit)
        if x.memory_start % 4096 or x.memory_limit % 4096 or x.file_offset % 4096:
            found.add(20, 'mapping %d is not of whole pages', x.id)
        if not re.fullmatch('([0-9a-f]{2})*', build):
            found.add(20, 'mapping %d: build id %r', x.id, build)
        if file.endswith(' (deleted)'):
            found.add(20, 'mapping %d: file name %r', x.id, file)
    if not m.mapping:
        found.add(20, 'no mappings')
    else:
        first = m.mapping[0]
        file = string(first.filename, 'mapping')
        if not file or file.startswith('['):
            found.add(20, 'mapping 1 is %r, not a program', file)
        if exe is not None and file != exe:
            found.add(20, 'mapping 1 is %r, the program is %r', file, exe)
        if build_id is not None and string(first.build_id, 'mapping') != build_id:
            found.add(20, "mapping 1 has build id %r, the program's is %r",
                      string(first.build_id, 'mapping'), build_id)
    function_ids = {f.id for f in m.function}
    named, nameless, seen = set(), set(), {}
    for x in m.location:
        if x.address == 0:
            found.add(10, 'location %d has address 0', x.id)
        where = (x.mapping_id, x.address)
        if where in seen:
            found.add(10, 'locations %d and %d are both of address %x', seen[where], x.id, x.address)
        seen[where] = x.id
        if x.mapping_id:
            if x.mapping_id not in ranges:
                found.add(9, 'location %d: there is no mapping %d', x.id, x.mapping_id)
            else:
                r = ranges[x.mapping_id]
                if not r.memory_start <= x.address < r.memory_limit:
                    found.add(10, 'location %d: %x is outside of its mapping', x.id, x.address)
            (named if x.line else nameless).add(x.mapping_id)
        elif not x.line:
            found.add(18, 'location %d has neither a mapping nor a line', x.id)
        for line in x.line:
            if line.function_id not in function_ids:
                found.add(9, 'location %d: there is no function %d', x.id, line.function_id)
    for i in sorted(named & nameless):
        found.add(18, 'mapping %d: some of its locations have lines and some have none', i)
    for x in m.mapping:
        if x.has_functions and x.id in nameless:
            found.add(18, 'mapping %d has_functions, but locations without', x.id)
        if not x.has_functions and x.id in named:
            found.add(18, 'mapping %d has names and does not say so', x.id)

    # Samples.
    if raw_bytes > BYTES_MAX:
        found.add(17, '%d bytes unpacked', raw_bytes)
    if len(m.sample) > SAMPLES_MAX:
        found.add(17, '%d samples', len(m.sample))
    location_ids = {x.id for x in m.location}
    used, keys = set(), set()
    for i, s in enumerate(m.sample, 1):
        if len(s.value) != len(types):
            found.add(9, 'sample %d: %d values for %d types', i, len(s.value), len(types))
        missing = [x for x in s.location_id if x not in location_ids]
        if missing:
            found.add(9, 'sample %d: there is no location %d', i, missing[0])
        used.update(s.location_id)
        if len(s.location_id) > DEPTH_MAX:
            found.add(17, 'sample %d is %d deep', i, len(s.location_id))
        if len(s.label) > LABELS_MAX:
            found.add(17, 'sample %d has %d labels', i, len(s.label))
        for j, v in enumerate(s.value[:len(types)]):
            # A delta of live values may well be negative.
            if v < 0 and (not delta or types[j][0] in cumulative):
                found.add(11, 'sample %d: %s is %d', i, types[j][0], v)
        values = dict(zip([t for t, u in types], s.value))
        if set(t for t, u in SPACE) <= set(values) and not delta:
            for what in ('objects', 'space'):
                if values['inuse_' + what] > values['alloc_' + what]:
                    found.add(11, 'sample %d: more %s live than were ever allocated', i, what)
            for life in ('inuse', 'alloc'):
                if (values[life + '_objects'] == 0) != (values[life + '_space'] == 0):
                    found.add(11, 'sample %d: %s objects %d, bytes %d', i, life,
                              values[life + '_objects'], values[life + '_space'])
        labels = {}
        for label in s.label:
            key = string(label.key, 'label')
            if not key:
                found.add(15, 'sample %d: a label without a key', i)
            if key in labels:
                found.add(15, 'sample %d: two labels %r', i, key)
            if label.str and (label.num or label.num_unit):
                found.add(15, 'sample %d: label %r is a string and a number', i, key)
            text = string(label.str, 'label')
            if not label.str and not label.num and not label.num_unit:
                found.add(15, 'sample %d: label %r says nothing', i, key)
            if re.fullmatch('0x[0-9a-fA-F]+|[0-9]+', text):
                found.add(16, 'sample %d: label %s=%r would make a series of its own', i, key, text)
            labels[key] = text or label.num
        identity = (tuple(s.location_id), tuple(sorted(labels.items(), key=repr)))
        if identity in keys:
            found.add(10, 'sample %d: its stack and labels were there before', i)
        keys.add(identity)
    for comment in m.comment:
        if string(comment, 'comment').startswith('executableInfo='):
            found.add(17, 'a comment that Parca would read')
    for x in m.location:
        if x.id not in used:
            found.add(9, 'location %d is of no sample', x.id)
            break
    return found


EVICTED = (2,)        # the addresses of its stack: one, which no code can have


def lint_pair(older, newer, kind):
    """Two snapshots of one process: what counts up must not shrink, stack by stack, but into [evicted]."""
    found = Findings()

    def by_stack(body):
        sums = {}
        for s in Read(decode(body)).samples:
            key = (tuple(s.addresses), tuple(sorted(s.labels.items(), key=repr)))
            sums[key] = {k: v + sums.get(key, {}).get(k, 0) for k, v in s.values.items()}
        return sums
    before, after = by_stack(older), by_stack(newer)
    for name in KINDS[kind][4]:
        shrunk = [(key, values[name], after.get(key, {}).get(name, 0))
                  for key, values in before.items()
                  if after.get(key, {}).get(name, 0) < values[name]]
        evicted = sum(after.get(key, {}).get(name, 0) - before.get(key, {}).get(name, 0)
                      for key in before.keys() | after.keys() if key[0] == EVICTED)
        # What has lost its memory to others is a part of [evicted]; each count of objects is rounded.
        slack = evicted + len(shrunk) if evicted > 0 else 0
        if sum(was - now for _, was, now in shrunk) <= slack:
            continue
        for key, was, now in shrunk[:5]:
            found.add(11, '%s of stack %s was %d and is %d, [evicted] has %d more', name,
                      ' '.join('%x' % a for a in key[0]), was, now, evicted)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--kind', choices=sorted(KINDS), help='else from the last word of the URL')
    parser.add_argument('--delta', action='store_true', help='made with ?seconds=')
    parser.add_argument('source', help='a file or an http URL')
    a = parser.parse_args()
    found = Findings()
    if a.source.startswith('http://'):
        url = urllib.parse.urlsplit(a.source)
        connection = http.client.HTTPConnection(url.netloc, timeout=120)
        connection.request('GET', url.path + ('?' + url.query if url.query else ''))
        response = connection.getresponse()
        body = response.read()
        kind = a.kind or url.path.rsplit('/', 1)[-1]
        delta = a.delta or 'seconds=' in url.query
        if kind not in KINDS:
            parser.error('--kind is needed')
        headers = {k.lower(): v for k, v in response.getheaders()}
        found += lint_http(response.status, headers, body, kind, delta)
    else:
        with open(a.source, 'rb') as f:
            body = f.read()
        kind, delta = a.kind, a.delta
    found += lint_message(body, kind, delta)
    for line in found:
        print(line)
    print('%d findings' % len(found))
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
