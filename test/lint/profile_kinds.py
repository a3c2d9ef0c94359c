"""profile_kinds -- what each profile is made of, and what a request for one asks for."""
import re
import urllib.parse

SPACE = [('alloc_objects', 'count'), ('alloc_space', 'bytes'),
         ('inuse_objects', 'count'), ('inuse_space', 'bytes')]
WALL = [('samples', 'count'), ('time', 'nanoseconds')]
DELAY = [('contentions', 'count'), ('delay', 'nanoseconds')]
ALLOCATED = ('alloc_objects', 'alloc_space')

# kind: (sample types, period type, period if fixed, default sample type, cumulative values)
KINDS = {
    'profile': ([('samples', 'count'), ('cpu', 'nanoseconds')], ('cpu', 'nanoseconds'), None, '', ()),
    'heap': (SPACE, ('space', 'bytes'), None, '', ALLOCATED),
    'allocs': (SPACE, ('space', 'bytes'), None, 'alloc_space', ALLOCATED),
    'mmap': (SPACE, ('space', 'bytes'), 1, '', ALLOCATED),
    'block': (DELAY, ('contentions', 'count'), 1, '', ('contentions', 'delay')),
    'mutex': (DELAY, ('contentions', 'count'), 1, '', ('contentions', 'delay')),
    'wall': (WALL, ('wallclock', 'nanoseconds'), None, '', ()),
    'goroutine': ([('goroutine', 'count')], ('goroutine', 'count'), 1, '', ()),
    'threadcreate': ([('threadcreate', 'count')], ('threadcreate', 'count'), 1, '', ()),
}

# The same under another name, and since the client's last call: {name: (kind, its file)}.
ALIASES = {'fgprof': ('wall', 'fgprof'), 'threads': ('goroutine', 'goroutine')}
SINCE = {'delta_' + kind: (kind, kind + '.pprof.gz') for kind in ('heap', 'block', 'mutex')}

# There is nothing but windows of these; debug= and seconds= do not change that.
WINDOWS = ('profile', 'wall')


def first_values(query):
    """As Go's FormValue: the first of a key wins, a pair with a ';' or a bad escape is dropped."""
    found = {}
    for pair in query.split('&'):
        if pair and ';' not in pair and not re.search('%(?![0-9a-fA-F]{2})', pair):
            key, _, value = pair.partition('=')
            found.setdefault(urllib.parse.unquote_plus(key), urllib.parse.unquote_plus(value))
    return found


class Asked:
    """kind of a profile; delta: of a window; absolute: but what is in use is not a difference; file: the name of the
    answer's file, None if it is none."""

    def __init__(self, kind, delta=False, absolute=False, file=None):
        self.kind, self.delta, self.absolute, self.file = kind, delta, absolute, file


def read_url(path):
    """What a GET of /debug/pprof/NAME?QUERY or /debug/fgprof asks for; None: not for a profile."""
    where, _, query = path.partition('?')
    m = re.fullmatch('/debug/pprof/([a-z_]+)|/debug/(fgprof)', where)
    name = m and (m.group(1) or m.group(2))
    if m is None or not (name in KINDS or name in SINCE or name in ALIASES):
        return None
    kind, file = SINCE.get(name) or ALIASES.get(name) or (name, name)
    values = first_values(query)
    delta = kind in WINDOWS or name in SINCE
    if not delta and values.get('seconds'):
        delta, file = True, file + '-delta'
    debug = values.get('debug', '')
    is_text = kind not in WINDOWS and re.fullmatch('[+-]?[0-9]+', debug) and int(debug) != 0
    if is_text or values.get('view') or values.get('format', '') not in ('', 'proto', 'pprof'):
        file = None
    return Asked(kind, delta, name in SINCE or values.get('inuse') == 'absolute', file)
