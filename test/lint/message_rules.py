"""message_rules -- rules 5 and 8 to 20: of a profile.proto message, and of two of one process."""
import re
import time

from http_rules import Findings
from profile_kinds import KINDS, SPACE, WINDOWS
from profile_message import Malformed, Read, decode, unpack

# Limits of a Pyroscope as it comes: over them a profile is refused or cut.
BYTES_MAX = 4 << 20
SAMPLES_MAX = 16000
LABELS_MAX = 100
DEPTH_MAX = 1000
STRING_MAX = 65535


class Linter:
    """The message m; what it is found to break goes to found."""

    def __init__(self, m, kind, delta, absolute):
        self.m, self.kind, self.delta, self.absolute = m, kind, delta, absolute
        self.found = Findings()
        self.add = self.found.add
        self.table = m.string_table
        self.types = []

    def string(self, i, what):
        if not 0 <= i < len(self.table):
            self.add(8, '%s: string %d of %d', what, i, len(self.table))
            return ''
        return self.table[i].decode('utf-8', 'replace')

    def value_type(self, t, what):
        return self.string(t.type, what), self.string(t.unit, what)

    # --- strings, ids: everything else refers to them ---

    def strings(self):
        if not self.table or self.table[0] != b'':
            self.add(8, 'string_table[0] is not ""')
        for i, s in enumerate(self.table):
            try:
                s.decode('utf-8')
            except UnicodeDecodeError:
                self.add(14, 'string %d is not UTF-8: %r', i, s[:60])
            if len(s) > STRING_MAX:
                self.add(17, 'string %d has %d bytes', i, len(s))
        if len(set(self.table)) != len(self.table):
            self.add(8, 'a string stands in the table twice')

    def ids(self):
        for what in ('mapping', 'location', 'function'):
            for want, x in enumerate(getattr(self.m, what), 1):
                if want != x.id:
                    self.add(8, '%s ids are not 1, 2, 3...: number %d is %d', what, want, x.id)
                    break

    def fields(self):
        unknown = self.m.UnknownFields() if hasattr(self.m, 'UnknownFields') else []
        if len(unknown):
            self.add(8, 'fields that profile.proto does not have: %s', [f.field_number for f in unknown])
        for comment in self.m.comment:
            if self.string(comment, 'comment').startswith('executableInfo='):
                self.add(17, 'a comment that Parca would read')

    # --- types, times ---

    def value_types(self):
        m = self.m
        self.types = [self.value_type(t, 'sample type') for t in m.sample_type]
        if not self.types:
            self.add(5, 'no sample types')
        for name, unit in self.types:
            if '-' in name or not name or not unit:
                self.add(14, 'sample type %r/%r', name, unit)
        period_type = self.value_type(m.period_type, 'period type')
        # Go's period is the rate, and the rate of a heap profile that is switched off is 0.
        if not all(period_type) or m.period < 0 or m.period == 0 and self.kind not in ('heap', 'allocs'):
            self.add(13, 'period %d of type %r', m.period, period_type)
        default = self.string(m.default_sample_type, 'default sample type')
        if default and default not in [t for t, u in self.types]:
            self.add(19, 'default_sample_type %r is not among the sample types', default)
        if self.kind is not None:
            self.types_of_kind(period_type, default)

    def types_of_kind(self, period_type, default):
        want_types, want_period_type, want_period, want_default, _ = KINDS[self.kind]
        if self.types != want_types:
            self.add(13, 'sample types %s', self.types)
        if period_type != want_period_type or (want_period and self.m.period != want_period):
            self.add(13, 'period %d of type %s', self.m.period, period_type)
        if default != want_default:
            self.add(19, 'default_sample_type %r, Go has %r', default, want_default)

    def times(self, now):
        m = self.m
        if abs(m.time_nanos / 1e9 - now) > 86400:
            self.add(12, 'time_nanos %d is not of today', m.time_nanos)
        if m.duration_nanos < 0:
            self.add(12, 'duration_nanos %d', m.duration_nanos)
        if self.kind is None:
            return
        lasts = self.delta or self.kind in WINDOWS
        if lasts and m.duration_nanos == 0:
            self.add(12, 'no duration_nanos, but it covers a time')
        if not lasts and m.duration_nanos != 0:
            self.add(12, 'duration_nanos %d, but it is of one moment', m.duration_nanos)

    # --- mappings, functions, locations ---

    def mappings(self):
        for x in self.m.mapping:
            file, build = self.string(x.filename, 'mapping'), self.string(x.build_id, 'mapping')
            if x.memory_start >= x.memory_limit:
                self.add(20, 'mapping %d: [%x, %x)', x.id, x.memory_start, x.memory_limit)
            if x.memory_start % 4096 or x.memory_limit % 4096 or x.file_offset % 4096:
                self.add(20, 'mapping %d is not of whole pages', x.id)
            if not re.fullmatch('([0-9a-f]{2})*', build):
                self.add(20, 'mapping %d: build id %r', x.id, build)
            if file.endswith(' (deleted)'):
                self.add(20, 'mapping %d: file name %r', x.id, file)

    def program(self, exe, build_id):
        if not self.m.mapping:
            self.add(20, 'no mappings')
            return
        first = self.m.mapping[0]
        file, build = self.string(first.filename, 'mapping'), self.string(first.build_id, 'mapping')
        if not file or file.startswith('['):
            self.add(20, 'mapping 1 is %r, not a program', file)
        if exe is not None and file != exe:
            self.add(20, 'mapping 1 is %r, the program is %r', file, exe)
        if build_id is not None and build != build_id:
            self.add(20, "mapping 1 has build id %r, the program's is %r", build, build_id)

    def functions(self):
        for f in self.m.function:
            if not self.string(f.name, 'function'):
                self.add(18, 'function %d has no name', f.id)
            self.string(f.system_name, 'function')
            self.string(f.filename, 'function')

    def locations(self):
        ranges = {x.id: x for x in self.m.mapping}
        function_ids = {f.id for f in self.m.function}
        named, nameless, seen = set(), set(), {}
        for x in self.m.location:
            if x.address == 0:
                self.add(10, 'location %d has address 0', x.id)
            where = (x.mapping_id, x.address)
            if where in seen:
                self.add(10, 'locations %d and %d are both of address %x', seen[where], x.id, x.address)
            seen[where] = x.id
            if x.mapping_id:
                self.place(x, ranges.get(x.mapping_id))
                (named if x.line else nameless).add(x.mapping_id)
            elif not x.line:
                self.add(18, 'location %d has neither a mapping nor a line', x.id)
            for line in x.line:
                if line.function_id not in function_ids:
                    self.add(9, 'location %d: there is no function %d', x.id, line.function_id)
        self.names(named, nameless)

    def place(self, location, mapping):
        if mapping is None:
            self.add(9, 'location %d: there is no mapping %d', location.id, location.mapping_id)
        elif not mapping.memory_start <= location.address < mapping.memory_limit:
            self.add(10, 'location %d: %x is outside of its mapping', location.id, location.address)

    def names(self, named, nameless):
        """Of each mapping: all of its locations have names, or none and others can find them."""
        for x in self.m.mapping:
            if x.has_functions and x.id in nameless:
                self.add(18, 'mapping %d has_functions, but locations without', x.id)
            if not x.has_functions and x.id in named:
                self.add(18, 'mapping %d has names and does not say so', x.id)
            if x.id in nameless and not self.string(x.build_id, 'mapping'):
                self.add(18, 'mapping %d has no names and no build id: nobody can find them', x.id)

    # --- samples ---

    def samples(self):
        if len(self.m.sample) > SAMPLES_MAX:
            self.add(17, '%d samples', len(self.m.sample))
        location_ids = {x.id for x in self.m.location}
        used, keys = set(), set()
        for i, s in enumerate(self.m.sample, 1):
            missing = [x for x in s.location_id if x not in location_ids]
            if missing:
                self.add(9, 'sample %d: there is no location %d', i, missing[0])
            used.update(s.location_id)
            if len(s.location_id) > DEPTH_MAX:
                self.add(17, 'sample %d is %d deep', i, len(s.location_id))
            self.values(i, s)
            identity = (tuple(s.location_id), self.labels(i, s))
            if identity in keys:
                self.add(10, 'sample %d: its stack and labels were there before', i)
            keys.add(identity)
        for x in self.m.location:
            if x.id not in used:
                self.add(9, 'location %d is of no sample', x.id)
                break

    def values(self, i, s):
        cumulative = KINDS[self.kind][4] if self.kind is not None else ()
        if len(s.value) != len(self.types):
            self.add(9, 'sample %d: %d values for %d types', i, len(s.value), len(self.types))
        values = dict(zip([t for t, u in self.types], s.value))
        for name, v in values.items():
            # What is live at the end may well be less than at the beginning.
            if v < 0 and (not self.delta or self.absolute or name in cumulative):
                self.add(11, 'sample %d: %s is %d', i, name, v)
        if not set(t for t, u in SPACE) <= set(values) or self.delta:
            return
        for what in ('objects', 'space'):
            if values['inuse_' + what] > values['alloc_' + what]:
                self.add(11, 'sample %d: more %s live than were ever allocated', i, what)
        for life in ('inuse', 'alloc'):
            if (values[life + '_objects'] == 0) != (values[life + '_space'] == 0):
                self.add(11, 'sample %d: %s objects %d, bytes %d', i, life, values[life + '_objects'],
                         values[life + '_space'])

    def labels(self, i, s):
        """What tells it from another sample of the same stack."""
        labels = {}
        if len(s.label) > LABELS_MAX:
            self.add(17, 'sample %d has %d labels', i, len(s.label))
        for label in s.label:
            key, text = self.string(label.key, 'label'), self.string(label.str, 'label')
            if not key:
                self.add(15, 'sample %d: a label without a key', i)
            if key in labels:
                self.add(15, 'sample %d: two labels %r', i, key)
            if label.str and (label.num or label.num_unit):
                self.add(15, 'sample %d: label %r is a string and a number', i, key)
            if not label.str and not label.num and not label.num_unit:
                self.add(15, 'sample %d: label %r says nothing', i, key)
            if re.fullmatch('0x[0-9a-fA-F]+|[0-9]+', text):
                self.add(16, 'sample %d: label %s=%r would make a series of its own', i, key, text)
            labels[key] = text or label.num
        return tuple(sorted(labels.items(), key=repr))


def lint_message(body, kind=None, delta=False, absolute=False, exe=None, build_id=None, now=None):
    """kind None: only what holds for every kind.  delta, absolute: as profile_kinds.Asked has them.  exe, build_id:
    those of the main program."""
    try:
        m = decode(body)
        raw_bytes = len(unpack(body))
    except Malformed as e:
        found = Findings()
        found.add(8, '%s', e)
        return found
    linter = Linter(m, kind, delta, absolute)
    if raw_bytes > BYTES_MAX:
        linter.add(17, '%d bytes unpacked', raw_bytes)
    linter.strings()
    linter.ids()
    linter.fields()
    linter.value_types()
    linter.times(time.time() if now is None else now)
    linter.mappings()
    linter.program(exe, build_id)
    linter.functions()
    linter.locations()
    linter.samples()
    return linter.found


EVICTED = (2,)        # the addresses of its stack: one, which no code can have


def by_stack(body):
    sums = {}
    for s in Read(decode(body)).samples:
        key = (tuple(s.addresses), tuple(sorted(s.labels.items(), key=repr)))
        sums[key] = {k: v + sums.get(key, {}).get(k, 0) for k, v in s.values.items()}
    return sums


def lint_pair(older, newer, kind):
    """Two snapshots of one process: what counts up must not shrink, stack by stack, but into [evicted]."""
    found = Findings()
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
