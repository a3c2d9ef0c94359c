#!/usr/bin/python3
"""run_unwind.py -- what taking a stack costs: beside frame pointers, libunwind and glibc's backtrace.

Stacks of generated functions, whose frames are known: each stack that is taken is compared, and a wrong
one ends the bench.  Every round takes each way in turn, the ratio is to frame pointers in the same round
of the same process, on the same functions built with them.  Printed are medians with quartiles; a target
missed is OVER, with --strict status 1.  "ours" is what a thread does; "no memo" the same without its
last stack, so that every frame comes from the cache of rules.  Workloads: unwind/walk.c.

Then the time in a SIGPROF handler of real programs, as the first to touch the stack ("the whole tick":
with its place in the tables of the profile), and the tables that our thread compiles.

    run_unwind.py                all of it, a minute
    run_unwind.py -n 51 random   more rounds of one part: repeated, random, cold, threads, handler, tables
"""
import argparse
import glob
import os
import statistics
import subprocess
import sys
import tempfile

import paired

HERE = os.path.join(paired.TOP, 'test', 'bench', 'unwind')
BUILT = os.path.join(paired.BUILD, 'test', 'bench', 'unwind')

# workload, frames, way -> its ratio to frame pointers
TARGETS = {
    ('repeated', 30, 'ours'): 2.5,
    ('repeated', 30, 'ours, no memo'): 7,
    ('random', 30, 'ours'): 9,
}
THREADS_TARGET = 1.05
HANDLER_TARGET_NS, HANDLER_FRAMES = 5000, (20, 30)
SAME_MIN = 0.99         # the oracle is test/oracle; this is to know that it is stacks that are timed
KB_PER_MB_TARGET, MS_PER_MB_TARGET = 150, 0.6


class Lines:
    """Prints the table, and counts the targets missed."""

    FORMAT = '%-9s %6s %-16s %10s %21s %9s %8s %17s %9s'

    def __init__(self):
        self.missed = 0

    def head(self, *cells):
        print('\n' + (self.FORMAT % cells).rstrip(), flush=True)

    def line(self, what, frames, way, values, ratios=None, target=None, judged=None):
        """values: of each round; ratios: the same.  judged: what the target is for."""
        own = statistics.median(values)
        per_frame = '%.2f' % (own / frames) if isinstance(frames, int) else ''
        ratio = '%.2f' % statistics.median(ratios) if ratios else ''
        spread = '%.2f .. %.2f' % paired.quartiles(ratios) if ratios else ''
        print((self.FORMAT % (what, frames, way, '%.4g' % own if own < 1 else '%.1f' % own,
                              '%.4g .. %.4g' % paired.quartiles(values), per_frame, ratio, spread,
                              self.judge(judged, target))).rstrip(), flush=True)

    def judge(self, figure, target):
        if target is None or figure is None:
            return ''
        self.missed += figure > target
        return '%s %g' % ('OVER' if figure > target else '<=', target)


def run(name, *arguments):
    """The lines of a program of ours, as lists of fields."""
    done = subprocess.run([os.path.join(BUILT, name), *arguments], stdout=subprocess.PIPE, text=True,
                          env=paired.clean_environment({}))
    if done.returncode != 0:
        raise SystemExit('%s %s: status %d\n%s' % (name, ' '.join(arguments), done.returncode,
                                                   ''.join(done.stdout.splitlines(True)[-3:])))
    return [line.split('\t') for line in done.stdout.splitlines()]


# --- known stacks ---

def walk(rounds, workload):
    """{(workload, frames): {way: [ns of each round]}}, what the clock takes"""
    found, clock = {}, 0
    for what, frames, way, ns in run('walk', '-r', str(rounds), '-w', workload):
        if what == 'clock':
            clock = float(ns)
        else:
            found.setdefault((what, int(frames)), {}).setdefault(way, []).append(float(ns))
    return found, clock


def measure_walks(lines, rounds, workload):
    lines.head('stacks', 'frames', 'way', 'ns', 'quartiles', 'ns/frame', 'ratio', 'quartiles', 'target')
    found, clock = walk(rounds, workload)
    for (what, frames), ways in sorted(found.items(), key=lambda found: found[0][1]):
        for way, values in ways.items():
            ratios = [a / b for a, b in zip(values, ways['fp'])]
            target = TARGETS.get((what, frames, way))
            lines.line(what, frames, way, values, ratios, target, statistics.median(ratios))
    if workload == 'random':
        ways = found[workload, 30]
        print('The clock is read for each of these stacks; its %.1f ns are subtracted.  Left in, as in unwinding.md, '
              'ours at 30 frames were %.2f times frame pointers.' % (clock, statistics.median(
                  (a + clock) / (b + clock) for a, b in zip(ways['ours'], ways['fp']))))


def measure_threads(lines, rounds):
    found, _ = walk(rounds, 'threads')
    lines.head('stacks', 'frames', 'way', 'ns', 'quartiles', 'ns/frame', 'to alone', 'quartiles', 'target')
    if len(found) != 2:
        raise SystemExit('walk -w threads: the two threads never ran at once')
    (alone, frames), (two, _) = sorted(found)
    for way, values in found[two, frames].items():
        ratios = [a / b for a, b in zip(values, found[alone, frames][way])]
        target = THREADS_TARGET if way.startswith('ours') else None
        lines.line(two, frames, way, values, ratios, target, statistics.median(ratios))


# --- real programs ---

def programs(directory):
    some = os.path.join(directory, 'some.c')
    with open(os.path.join(paired.BUILD, 'gen', 'bench', 'functions.c')) as f, open(some, 'w') as to:
        to.write(f.read().split('static unsigned long f1000(')[0])
    return [
        ('python3', ['/usr/bin/python3', os.path.join(HERE, 'deep.py'), '8']),
        ('cc1', ['gcc', '-O2', '-w', '-S', '-fkeep-static-functions', '-I', paired.TOP, '-o', some + '.s', some]),
    ]


def handler_ticks(argv, directory):
    """[(way, frames, ns, verdict)] of the process that had most."""
    out = os.path.join(directory, 'ticks')
    env = {'HANDLER_OUT': out, 'LD_PRELOAD': os.path.join(BUILT, 'handler.so')}
    subprocess.run(argv, env=paired.clean_environment(env), stdout=subprocess.DEVNULL, check=True, timeout=300)
    files = glob.glob(out + '.*')
    if not files:
        raise SystemExit('%s: no tick was taken' % argv[0])
    with open(max(files, key=os.path.getsize)) as f:
        ticks = [line.rstrip('\n').split('\t') for line in f]
    for name in files:
        os.unlink(name)
    return [(way, int(frames), float(ns), verdict) for way, frames, ns, verdict in ticks]


def measure_handler(lines):
    lines.head('handler', 'frames', 'way', 'p50 ns', 'p90', '', '', 'ticks', 'target')
    with tempfile.TemporaryDirectory(prefix='bench') as directory:
        for name, argv in programs(directory):
            ticks = handler_ticks(argv, directory)
            same = sum(verdict != 'other' for _, _, _, verdict in ticks) / len(ticks)
            if same < SAME_MIN:
                raise SystemExit('%s: only %.2f %% of the stacks are libunwind\'s' % (name, same * 100))
            for way in sorted({tick[0] for tick in ticks}, key=lambda way: (way[0] != 'o', way)):
                for label, low, high in ('all', 0, 999), ('%d-%d' % HANDLER_FRAMES, *HANDLER_FRAMES):
                    print_handler(lines, name, label, way, sorted(
                        ns for its, frames, ns, _ in ticks if its == way and low <= frames <= high))
            print('%9s %d ticks, %.2f %% of the stacks as libunwind has them or longer' % ('', len(ticks), same * 100))


def print_handler(lines, name, label, way, ns):
    if not ns:
        return
    p50, p90 = ns[len(ns) // 2], ns[len(ns) * 9 // 10]
    target = HANDLER_TARGET_NS if way == 'ours' and label != 'all' else None
    print((lines.FORMAT % (name, label, way, '%.0f' % p50, '%.0f' % p90, '', '', len(ns),
                           lines.judge(p50, target))).rstrip())


# --- tables ---

def objects():
    """What there is of programs and libraries of all sizes."""
    wanted = ['/usr/bin/python3', '/usr/bin/perl', '/usr/bin/gdb', '/usr/bin/redis-server', '/usr/bin/node',
              '/usr/bin/clang', '/lib/x86_64-linux-gnu/libc.so.6', '/usr/lib/x86_64-linux-gnu/libstdc++.so.6',
              '/usr/lib/x86_64-linux-gnu/libcrypto.so.3']
    wanted += sorted(glob.glob('/usr/lib/x86_64-linux-gnu/libLLVM-*.so.1'))[:1] + glob.glob('/usr/lib/gcc/*/*/cc1')
    return [path for path in wanted if os.path.exists(path)]


def measure_tables(lines, rounds):
    lines.head('tables', '', 'text MB', 'KB per MB', '', '', 'ms', 'ms per MB', 'target')
    found = {}
    for _, path, text, size, ns in run('tables', '-r', str(rounds), *objects()):
        found.setdefault(path, []).append((int(text) / 1e6, int(size) / 1e3, float(ns) / 1e6))
    total = [[sum(values) for values in zip(*of_round)] for of_round in zip(*found.values())]
    for path, rounds_of in [*found.items(), ('all', total)]:
        text, size = rounds_of[0][:2]
        times = [ms / text for _, _, ms in rounds_of]
        ms = statistics.median(times)
        judged = []
        if path == 'all':
            judged = [lines.judge(size / text, KB_PER_MB_TARGET), lines.judge(ms, MS_PER_MB_TARGET)]
        print('%-24s %8.2f %10.1f %24.2f %8.3f %17s %s' % (os.path.basename(path), text, size / text, ms * text, ms,
              '%.3f .. %.3f' % paired.quartiles(times), ' '.join(judged)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-n', '--rounds', type=int, default=31, help='of each workload (31)')
    parser.add_argument('--strict', action='store_true', help='status 1 if a target is missed')
    parser.add_argument('wanted', nargs='?', default='', help='a part of the name of a workload, handler or tables')
    a = parser.parse_args()
    lines = Lines()
    for workload in 'repeated', 'random', 'cold':
        if a.wanted in workload:
            measure_walks(lines, a.rounds, workload)
    if a.wanted in 'threads':
        measure_threads(lines, a.rounds)
    if a.wanted in 'handler':
        measure_handler(lines)
    if a.wanted in 'tables':
        measure_tables(lines, a.rounds)
    with open('/proc/loadavg') as f:
        print('%d rounds; load of the machine now: %s' % (a.rounds, ' '.join(f.read().split()[:3])))
    return 1 if lines.missed and a.strict else 0


if __name__ == '__main__':
    sys.exit(main())
