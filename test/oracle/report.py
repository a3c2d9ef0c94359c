"""report -- reads what test/oracle/oracle.c leaves behind (report.h), and gives each difference a name."""
import bisect
import ctypes
import functools
import mmap
import os
import re
import subprocess

FRAMES, MODULES, RECORDS, MIDWAY = 1024, 256, 1024, 64
MAGIC = 0x4f52434c
SOURCES = ('tick', 'heap')
VERDICTS = ('same', 'cut', 'longer', 'more', 'shorter', 'different', 'memo')
LAYERS = ('unseen', 'no tables', 'interpreted', 'compiled')
SKIPS = ('no scratch', 'nested')


class Module(ctypes.LittleEndianStructure):
    _fields_ = [('lo', ctypes.c_uint64), ('hi', ctypes.c_uint64), ('name', ctypes.c_char * 112)]


class Record(ctypes.LittleEndianStructure):
    _fields_ = [(n, ctypes.c_uint32) for n in (
        'source', 'verdict', 'ours', 'theirs', 'ours_end', 'theirs_end', 'apart', 'layer')] + [
        ('reg', ctypes.c_uint64 * 17), ('our_pc', ctypes.c_uint64 * FRAMES),
        ('their_pc', ctypes.c_uint64 * FRAMES)]


class File(ctypes.LittleEndianStructure):
    _fields_ = [('magic', ctypes.c_uint64), ('exe', ctypes.c_char * 248),
                ('verdict', ctypes.c_uint64 * len(VERDICTS) * len(SOURCES)),
                ('complete', ctypes.c_uint64 * 2 * len(SOURCES)),
                ('all', ctypes.c_uint64 * len(SOURCES)),
                ('deep', ctypes.c_uint64 * len(SOURCES)),
                ('frames', ctypes.c_uint64 * len(SOURCES)),
                ('layer', ctypes.c_uint64 * len(LAYERS) * len(SOURCES)),
                ('remembered', ctypes.c_uint64 * len(SOURCES)),
                ('skipped', ctypes.c_uint64 * len(SKIPS)), ('midway', ctypes.c_uint64 * MIDWAY),
                ('modules', ctypes.c_uint64), ('records', ctypes.c_uint64),
                ('module', Module * MODULES), ('record', Record * RECORDS)]


def samples_so_far(folder):
    """Ticks compared by all processes that report there."""
    head = File.complete.offset
    total = 0
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), 'rb') as f:
            data = f.read(head)
        if len(data) == head and int.from_bytes(data[:8], 'little') == MAGIC:
            total += sum(memoryview(data)[File.verdict.offset:].cast('Q')[:len(VERDICTS)])
    return total


# --- names of differences ----------------------------------------------------------------------

@functools.lru_cache(None)
def described(path):
    """(starts, ends) of the code that the unwind tables of an object describe."""
    text = subprocess.run(['readelf', '--debug-dump=frames', path], capture_output=True, text=True,
                          errors='replace').stdout
    found = sorted((int(a, 16), int(b, 16)) for a, b in re.findall(r'pc=([0-9a-f]+)\.\.([0-9a-f]+)', text))
    return [a for a, _ in found], [b for _, b in found]


@functools.lru_cache(None)
def switching(path):
    """The addresses in swapcontext and setcontext at which the stack is new already, and what they return to
    is not on it yet: [(first, last)].  libc's tables do not speak of them."""
    found = []
    for name in 'swapcontext', 'setcontext':
        text = subprocess.run(['objdump', '-d', '--no-show-raw-insn', '--disassemble=' + name, path],
                              capture_output=True, text=True, errors='replace').stdout
        m = re.search(r'mov +0x\w+\(%r\w+\),%rsp\n *(\w+):(?:.*\n)*? *(\w+):\s*push ', text)
        if m:
            found.append((int(m[1], 16), int(m[2], 16)))
    return found


class Place:
    """An address in a process."""

    def __init__(self, pc, module, exe):
        self.pc, self.module = pc, module
        self.path = module.name.decode() if module else None
        if self.path == exe and not is_position_independent(exe):
            self.offset = pc
        else:
            self.offset = pc - module.lo if module else None

    def __str__(self):
        return '%s+0x%x' % (os.path.basename(self.path), self.offset) if self.path else '0x%x' % self.pc

    def is_described(self):
        if not self.path or not os.path.exists(self.path):
            return self.path is not None        # the vDSO
        starts, ends = described(self.path)
        i = bisect.bisect(starts, self.offset) - 1
        return i >= 0 and self.offset < ends[i]


@functools.lru_cache(None)
def is_position_independent(path):
    with open(path, 'rb') as f:
        return f.read(18)[16] == 3      # ET_DYN


class Difference:
    def __init__(self, record, file):
        self.source, self.verdict = SOURCES[record.source], VERDICTS[record.verdict]
        self.complete = bool(record.ours_end)
        self.layer = LAYERS[record.layer]
        modules = list(file.module[:min(file.modules, MODULES)])
        exe = file.exe.decode()

        def place(pc):
            return Place(pc, next((m for m in modules if m.lo <= pc < m.hi), None), exe)
        self.exe, self.apart = exe, record.apart
        self.ours = [place(pc) for pc in record.our_pc[:record.ours]]
        self.theirs = [place(pc) for pc in record.their_pc[:record.theirs]]
        self.name = self.find_name()

    def find_name(self):
        """By the frame whose caller they do not agree on."""
        if self.verdict == 'memo' or self.apart == 0:
            return None
        last = self.ours[self.apart - 1]
        if self.verdict == 'cut':
            return 'ends without a marker' if not last.is_described() else None
        if self.layer == 'unseen' and last.path is not None:
            return 'not scanned yet'
        if not last.is_described():
            return 'code of a JIT' if last.path is None else 'code without tables'
        return 'in the midst of a switch of stacks' if self.is_midway() else None

    def is_midway(self):
        """We stop; libunwind takes whatever is on the new stack for a return address."""
        last = self.ours[self.apart - 1]
        return (self.verdict == 'shorter' and os.path.exists(last.path) and
                any(a <= last.offset <= b for a, b in switching(last.path)))

    def __str__(self):
        first, lines = max(0, self.apart - 2), []
        for i in range(first, min(max(len(self.ours), len(self.theirs)), self.apart + 5)):
            a = str(self.ours[i]) if i < len(self.ours) else 'end' if self.complete else 'cut'
            b = str(self.theirs[i]) if i < len(self.theirs) else '-'
            lines.append('      %3d %s' % (i, a if a == b else '%-45s | %s' % (a, b)))
        return '    %s, %s, %s (%s), %s: ours | libunwind\n%s' % (
            os.path.basename(self.exe), self.source, self.verdict, self.name or 'UNEXPLAINED',
            self.layer, '\n'.join(lines))


# --- sums --------------------------------------------------------------------------------------

class Sum:
    """Of all processes of a program, for one source."""

    def __init__(self):
        self.verdict = dict.fromkeys(VERDICTS, 0)
        self.layer = dict.fromkeys(LAYERS, 0)
        self.all = self.complete = self.deep = self.frames = self.remembered = self.lost = 0
        self.differences = []

    @property
    def samples(self):
        return sum(self.verdict.values())

    @property
    def same(self):
        return self.verdict['same'] + self.verdict['cut']

    @property
    def truncated(self):
        """For another reason than the limit of frames."""
        return self.samples - self.complete - self.deep

    def add(self, other):
        for name in VERDICTS:
            self.verdict[name] += other.verdict[name]
        for name in LAYERS:
            self.layer[name] += other.layer[name]
        for name in 'all', 'complete', 'deep', 'frames', 'remembered', 'lost', 'differences':
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def named(self):
        """{name: count}; None: those that nobody can explain, also what there was no room for."""
        names = {None: self.lost} if self.lost else {}
        for d in self.differences:
            names[d.name] = names.get(d.name, 0) + 1
        return names


def read(path):
    """({source: Sum}, skips, pcs of walks that never ended), or None if it never began."""
    if os.path.getsize(path) < ctypes.sizeof(File):
        return None
    with open(path, 'rb') as f:
        file = File.from_buffer(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY))
    if file.magic != MAGIC:
        return None
    sums = {}
    found = [Difference(r, file) for r in file.record[:min(file.records, RECORDS)]]
    for i, source in enumerate(SOURCES):
        s = sums[source] = Sum()
        s.verdict = dict(zip(VERDICTS, file.verdict[i]))
        s.layer = dict(zip(LAYERS, file.layer[i]))
        s.all, s.complete, s.frames = file.all[i], file.complete[i][0], file.frames[i]
        s.deep = file.deep[i]
        s.remembered = file.remembered[i]
        s.differences = [d for d in found if d.source == source]
        s.lost = s.samples - s.verdict['same'] - len(s.differences)
    return sums, dict(zip(SKIPS, file.skipped)), [pc for pc in file.midway if pc]
