"""profile_message -- a profile.proto message, read independently of the library.

The descriptor is built here from the public schema's field numbers, not compiled from
encode/profile.proto: a wrong number there must not be read back as right.  Strings are kept as
bytes, so that bad UTF-8 can be seen instead of failing the parser.
"""
import gzip
import zlib

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# (message, [(field, number, type or message, repeated)])
SCHEMA = [
    ('ValueType', [('type', 1, 'int64', 0), ('unit', 2, 'int64', 0)]),
    ('Label', [('key', 1, 'int64', 0), ('str', 2, 'int64', 0), ('num', 3, 'int64', 0),
               ('num_unit', 4, 'int64', 0)]),
    ('Sample', [('location_id', 1, 'uint64', 1), ('value', 2, 'int64', 1), ('label', 3, 'Label', 1)]),
    ('Mapping', [('id', 1, 'uint64', 0), ('memory_start', 2, 'uint64', 0),
                 ('memory_limit', 3, 'uint64', 0), ('file_offset', 4, 'uint64', 0),
                 ('filename', 5, 'int64', 0), ('build_id', 6, 'int64', 0),
                 ('has_functions', 7, 'bool', 0), ('has_filenames', 8, 'bool', 0),
                 ('has_line_numbers', 9, 'bool', 0), ('has_inline_frames', 10, 'bool', 0)]),
    ('Line', [('function_id', 1, 'uint64', 0), ('line', 2, 'int64', 0), ('column', 3, 'int64', 0)]),
    ('Location', [('id', 1, 'uint64', 0), ('mapping_id', 2, 'uint64', 0), ('address', 3, 'uint64', 0),
                  ('line', 4, 'Line', 1), ('is_folded', 5, 'bool', 0)]),
    ('Function', [('id', 1, 'uint64', 0), ('name', 2, 'int64', 0), ('system_name', 3, 'int64', 0),
                  ('filename', 4, 'int64', 0), ('start_line', 5, 'int64', 0)]),
    ('Profile', [('sample_type', 1, 'ValueType', 1), ('sample', 2, 'Sample', 1),
                 ('mapping', 3, 'Mapping', 1), ('location', 4, 'Location', 1),
                 ('function', 5, 'Function', 1), ('string_table', 6, 'bytes', 1),
                 ('drop_frames', 7, 'int64', 0), ('keep_frames', 8, 'int64', 0),
                 ('time_nanos', 9, 'int64', 0), ('duration_nanos', 10, 'int64', 0),
                 ('period_type', 11, 'ValueType', 0), ('period', 12, 'int64', 0),
                 ('comment', 13, 'int64', 1), ('default_sample_type', 14, 'int64', 0),
                 ('doc_url', 15, 'int64', 0)]),
]


def _message_class():
    field_types = descriptor_pb2.FieldDescriptorProto
    scalars = {'int64': field_types.TYPE_INT64, 'uint64': field_types.TYPE_UINT64,
               'bool': field_types.TYPE_BOOL, 'bytes': field_types.TYPE_BYTES}
    file = descriptor_pb2.FileDescriptorProto(name='lint.proto', package='lint', syntax='proto3')
    for message_name, fields in SCHEMA:
        message = file.message_type.add(name=message_name)
        for name, number, kind, repeated in fields:
            field = message.field.add(name=name, number=number)
            field.label = field_types.LABEL_REPEATED if repeated else field_types.LABEL_OPTIONAL
            if kind in scalars:
                field.type = scalars[kind]
            else:
                field.type = field_types.TYPE_MESSAGE
                field.type_name = '.lint.' + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName('lint.Profile')
    if hasattr(message_factory, 'GetMessageClass'):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


Profile = _message_class()


class Malformed(Exception):
    """The bytes are no profile at all."""


def unpack(body):
    """The message's bytes out of a body: gzip, one member and nothing after it."""
    if body[:2] != b'\x1f\x8b':
        return body
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        raw = inflate.decompress(body) + inflate.flush()
    except zlib.error as e:
        raise Malformed('not gzip after all: %s' % e)
    if not inflate.eof:
        raise Malformed('gzip data is cut off')
    if inflate.unused_data:
        raise Malformed('%d bytes after the gzip member' % len(inflate.unused_data))
    return raw


def decode(body):
    message = Profile()
    try:
        message.ParseFromString(unpack(body))
    except Malformed:
        raise
    except Exception as e:
        raise Malformed('not a profile message: %s' % e)
    return message


def encode(message, compress=True):
    raw = message.SerializeToString(deterministic=True)
    return gzip.compress(raw, mtime=0) if compress else raw


class Sample:
    """A sample with its references resolved."""

    def __init__(self, frames, addresses, files, values, labels):
        self.frames = frames            # names, leaf first; innermost first where inlined
        self.addresses = addresses      # leaf first
        self.files = files              # of the mapping of each address
        self.values = values            # {'inuse_space': 10, ...}
        self.labels = labels            # {'bytes': 16, 'thread': 'name', ...}

    def __repr__(self):
        return '%s %s %s' % (self.values, ' < '.join(self.frames), self.labels or '')


class Read:
    """A profile as a reader sees it.  Only for messages that the linter passed."""

    def __init__(self, message):
        self.message = message
        strings = [s.decode('utf-8', 'replace') for s in message.string_table]
        self.strings = strings
        self.types = [(strings[t.type], strings[t.unit]) for t in message.sample_type]
        self.period_type = (strings[message.period_type.type], strings[message.period_type.unit])
        self.period = message.period
        self.time_nanos = message.time_nanos
        self.duration_nanos = message.duration_nanos
        self.default_sample_type = strings[message.default_sample_type]
        self.comments = [strings[c] for c in message.comment]
        self.mappings = [{'start': m.memory_start, 'limit': m.memory_limit, 'offset': m.file_offset,
                          'file': strings[m.filename], 'build_id': strings[m.build_id],
                          'has_functions': m.has_functions} for m in message.mapping]
        self.functions = [strings[f.name] for f in message.function]
        self.system_names = [strings[f.system_name] for f in message.function]
        names = {f.id: strings[f.name] for f in message.function}
        lines = {l.id: [names[x.function_id] for x in l.line] for l in message.location}
        address = {l.id: l.address for l in message.location}
        file_of = {m.id: strings[m.filename] for m in message.mapping}
        file = {l.id: file_of.get(l.mapping_id, '') for l in message.location}
        self.samples = []
        for s in message.sample:
            frames = [n for l in s.location_id for n in (lines[l] or ['0x%x' % address[l]])]
            labels = {strings[l.key]: strings[l.str] if l.str else l.num for l in s.label}
            values = {self.types[i][0]: v for i, v in enumerate(s.value)}
            self.samples.append(Sample(frames, [address[l] for l in s.location_id],
                                       [file[l] for l in s.location_id], values, labels))

    def total(self, value, having=None, leaf=None):
        """Sum of a value over samples with a frame of that name (having), or as the first one."""
        return sum(s.values[value] for s in self.samples
                   if (having is None or having in s.frames) and
                   (leaf is None or (s.frames and s.frames[0] == leaf)))

    def flat(self, value):
        """{leaf function: value}, largest first."""
        sums = {}
        for s in self.samples:
            name = s.frames[0] if s.frames else ''
            sums[name] = sums.get(name, 0) + s.values[value]
        return dict(sorted(sums.items(), key=lambda x: -x[1]))
