#!/usr/bin/python3
"""memory.py [MINUTES [BUDGET [HOST]]] -- a host of which nearly every stack is new, under the library at 1000
samples a second with little memory (10 minutes, 8m): prints what its profiles held and what they cost.  HOST is
clang, which compiles one long source after the other, or node, whose JIT compiles functions that it makes.

Fails if a window has lost samples (less CPU than the kernel counted), if most of it is left without a
stack of its own ([evicted]), if heap totals fall or if our memory grows.  B: the folder of the build."""
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lint'))
sys.dont_write_bytecode = True

from profile_message import Read, decode  # noqa: E402

LIBRARY = os.path.join(os.environ.get('B', 'build'), 'libpprofshim.so')
WINDOW = 10             # seconds: what scrapers ask for
FUNCTIONS = 12000       # of a source: a minute or more
GROWS_KIB = 4096        # more names, and arenas of answers, of a size as it comes
WARM = 10               # windows until most names and unwind tables are known


def write_source(path, seed):
    """Functions that are all different, and long enough for the optimizer."""
    rnd = random.Random(seed)
    with open(path, 'w') as f:
        f.write('#include <map>\n#include <string>\n#include <vector>\n')
        for n in range(FUNCTIONS):
            f.write('long f%d(std::vector<long> &v, std::map<long, std::string> &m, long x) {\n' % n)
            for k in range(rnd.randrange(4, 12)):
                f.write('  for (long i%d = 0; i%d < x; i%d += %d) { v.push_back(x * %d + i%d); m[i%d]'
                        ' += "%x"; if (v.size() %% %d == 0) x ^= v[i%d %% v.size()]; }\n' %
                        (k, k, k, rnd.randrange(1, 9), rnd.randrange(1, 99), k, k,
                         rnd.getrandbits(32), rnd.randrange(2, 9), k))
            f.write('  return x;\n}\n')


MALLOC_HEAP = 64 << 20  # glibc's arenas of threads are mapped on such a boundary


def is_ours(begin, flags):
    """VmFlags of proc(5): we map without a reservation of swap (nr), tables such that a child has none of them
    (wf).  So do V8, where a child has no copy at all (dc), and malloc."""
    return 'nr' in flags and 'dc' not in flags and ('wf' in flags or begin % MALLOC_HEAP != 0)


def ours_kib(pid):
    """Resident memory that we have mapped."""
    total = rss = begin = 0
    with open('/proc/%d/smaps' % pid) as f:
        for line in f:
            first, *rest = line.split()
            if '-' in first:
                begin = int(first.split('-')[0], 16)
            elif first == 'Rss:':
                rss = int(rest[0])
            elif first == 'VmFlags:' and is_ours(begin, rest):
                total += rss
    return total


def cpu_seconds(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def clang(folder, seed):
    source = os.path.join(folder, 'source.cc')
    write_source(source, seed)
    # In its own process the driver compiles itself.
    return ['clang++', '-fintegrated-cc1', '-O2', '-c', '-o', os.path.join(folder, 'o'), source]


def node(_, seed):
    return ['node', os.path.join(HERE, 'churn.js'), str(seed)]


class Soaked:
    def __init__(self, argv, budget):
        env = {k: v for k, v in os.environ.items() if not k.startswith('PPROFSHIM_')}
        env.update(LD_PRELOAD=LIBRARY, PPROFSHIM_ADDR='127.0.0.1:0', PPROFSHIM_LOG='info',
                   PPROFSHIM_CPU_HZ='1000', PPROFSHIM_MEMORY=budget, PPROFSHIM_HEAP_RATE='64k')
        self.process = subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.url = 'http://%s/debug/pprof/' % re.search(r'listening on (\S+)', line).group(1)
        self.pid = self.process.pid

    def get(self, path):
        return urllib.request.urlopen(self.url + path, timeout=60).read()

    def stop(self):
        self.process.kill()
        self.process.wait()


def look(host):
    """One window: its samples, CPU seconds, those of the kernel, how many of these may be from before or after
    it, those of [evicted], our KiB, losses."""
    before, began = cpu_seconds(host.pid), time.monotonic()
    body = host.get('profile?seconds=%d' % WINDOW)
    used = cpu_seconds(host.pid) - before
    took = time.monotonic() - began
    p = Read(decode(body))
    heap = Read(decode(host.get('heap')))
    return {'samples': p.total('samples'), 'cpu': p.total('cpu') / 1e9, 'kernel': used,
            'outside': os.cpu_count() * (took - p.duration_nanos / 1e9),
            'evicted': p.total('cpu', having='[evicted]') / 1e9, 'stacks': len(p.samples),
            'kib': ours_kib(host.pid), 'allocated': heap.total('alloc_space'),
            'losses': [c for c in p.comments if re.match(r'[a-z_]+: \d+$', c)]}


def run(minutes, budget, command):
    end, wrong, seed, cpu, evicted = time.monotonic() + 60 * minutes, [], 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            seed += 1
            host, first, allocated, windows = Soaked(command(folder, seed), budget), None, 0, 0
            try:
                while time.monotonic() < end:
                    w = look(host)
                    windows += 1
                    print(
                        '%4.0f s left: %6d samples, %5.2f s of %5.2f s, [evicted] %5.2f s, %5d stacks,'
                        ' ours %5d KiB, heap %6.0f MiB, %s' %
                        (end - time.monotonic(), w['samples'], w['cpu'], w['kernel'], w['evicted'],
                         w['stacks'], w['kib'], w['allocated'] / 2**20, ', '.join(w['losses'])),
                        flush=True)
                    if w['cpu'] < 0.9 * w['kernel'] - 0.1 - w['outside']:
                        wrong.append('a window is blind: %(cpu).2f of %(kernel).2f s' % w)
                    cpu, evicted = cpu + w['cpu'], evicted + w['evicted']
                    if w['allocated'] < allocated:
                        wrong.append('the heap has less: %d, %d' % (allocated, w['allocated']))
                    allocated = w['allocated']
                    if windows == WARM:
                        first = w['kib']
                    elif windows > WARM and w['kib'] > first + GROWS_KIB:
                        wrong.append('ours grows: %d, %d KiB' % (first, w['kib']))
            except OSError:
                # A source is compiled; node never comes to an end.
                if host.process.poll() is None:
                    raise
                print('ended: %d' % host.process.returncode, flush=True)
                if host.process.returncode != 0:
                    wrong.append('the host failed')
            finally:
                host.stop()
    print('%.0f s of CPU, [evicted] %.0f s' % (cpu, evicted))
    if evicted > 0.7 * cpu:
        wrong.append('most of it is [evicted]')
    return wrong


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    budget = sys.argv[2] if len(sys.argv) > 2 else '8m'
    wrong = run(minutes, budget, {'clang': clang, 'node': node}[sys.argv[3] if len(sys.argv) > 3 else 'clang'])
    for line in wrong:
        print('FAIL ' + line)
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
