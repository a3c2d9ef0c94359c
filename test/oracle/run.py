#!/usr/bin/python3
"""run.py -- every stack that the library takes in real programs, beside libunwind's.

Each program runs under liboracle.so (oracle.c) until so many ticks were compared; as many programs at
once as there are CPUs. Judged:

  native   of all programs but node together: at least 99.9 % of the stacks are the same, address by
           address; each other one belongs to a class that has a name (report.py); nothing unexplained
  cut      ours did not reach the end, nor the limit of frames (deep)
  node     in at least 99 % of the stacks ours is complete and holds all frames of libunwind's

    run.py                      5000 ticks of each, some five minutes
    run.py -n 1500 perl node    fewer ticks, and only these
    run.py -v                   an example of each class of each program
"""
import argparse
import concurrent.futures
import os
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import report  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.realpath(os.path.join(TOP, os.environ.get('B', 'build')))
ORACLE = os.path.join(BUILD, 'test', 'oracle')
LIBRARY = os.path.join(ORACLE, 'liboracle.so')
LOAD = os.path.join(HERE, 'load')

SAME_MIN, NODE_MIN = 0.999, 0.99
# A program that has not enough ticks by then hangs, or there is no CPU for it.
PATIENCE = float(os.environ.get('TEST_PATIENCE', '20')) * 15

# Only addresses inside objects that our thread has not looked at yet: it does so at least once in
# a second, so this many ticks of each program may meet one (1000 Hz; the kernel gives 250).
UNSCANNED_MAX = 250


# --- programs ----------------------------------------------------------------------------------

class Program:
    """argv(directory) is run again and again until there are enough ticks."""

    def __init__(self, name, argv, ends=False, native=True, beside=None):
        self.name, self.argv, self.ends, self.native, self.beside = name, argv, ends, native, beside


def load(name):
    return os.path.join(LOAD, name)


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, 'w') as f:
        f.write(text)
    return path


CLASS = '''
template <class T> struct Box$n {
	std::map<T, std::vector<std::function<T(T)>>> f;
	std::variant<T, std::string, std::vector<T>> v;
	T add(T x) { f[x].push_back([=](T y) { return static_cast<T>(x * y + $n); }); return go(x + 1); }
	T go(T x) {
		T s{};
		for (auto &[k, fs] : f)
			for (auto &g : fs)
				s += g(static_cast<T>(k + x));
		std::visit([&](auto &a) { if constexpr (std::is_same_v<std::decay_t<decltype(a)>, T>) s += a; }, v);
		return s;
	}
};
int use$n(int a) {
	Box$n<int> i; Box$n<double> d; Box$n<unsigned long> l;
	std::unordered_map<std::string, int> m;
	for (int k = 0; k < a; k++) { m[std::to_string(k)] = i.add(k); d.add(k); l.add(k); }
	std::vector<std::pair<std::string, int>> v(m.begin(), m.end());
	std::sort(v.begin(), v.end(), [](auto &x, auto &y) { return x.second < y.second; });
	return std::regex_match(v[0].first, std::regex("a(b|c)*$n")) + static_cast<int>(d.go(1) + l.go(2));
}
'''


def large_source(directory):
    text = ''.join('#include <%s>\n' % h for h in (
        'algorithm functional map regex string unordered_map variant vector').split())
    return write(directory, 'large.cc', text + ''.join(
        string.Template(CLASS).substitute(n=n) for n in range(30)))


def compiler(name):
    def argv(directory):
        return [name, '-std=c++17', '-O2', '-g', '-c', '-o', os.path.join(directory, 'large.o'),
                large_source(directory)]
    return argv


def gdb(directory):
    with open(load('gdb.gdb')) as f:
        script = string.Template(f.read()).safe_substitute(library=LIBRARY)
    return ['gdb', '-nx', '-batch', '-x', write(directory, 'gdb.gdb', script)]


def redis(directory):
    return ['redis-server', '--port', '0', '--unixsocket', os.path.join(directory, 's'), '--save', '',
            '--appendonly', 'no', '--dir', directory, '--loglevel', 'warning']


def redis_clients(directory):
    sock = os.path.join(directory, 's')
    while not os.path.exists(sock):
        time.sleep(0.05)
    with open(load('redis.lua')) as f:
        script = f.read()
    bench = ['redis-benchmark', '-s', sock, '-q', '-l', '-r', '20000']
    return [bench + ['-c', '8', '-P', '4', '-d', '400', '-t',
                     'set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_300,mset'],
            bench + ['-c', '2', 'eval', script, '0']]


PROGRAMS = [
    Program('python3', lambda d: ['/usr/bin/python3', load('python.py')]),
    Program('perl', lambda d: ['perl', load('perl.pl')]),
    Program('redis', redis, beside=redis_clients),
    Program('gcc', compiler('g++'), ends=True),
    Program('clang', compiler('clang++'), ends=True),
    Program('gdb', gdb, ends=True),
    Program('edges', lambda d: [os.path.join(ORACLE, 'edges')]),
    Program('node', lambda d: ['node', load('node.js')], native=False),
]


# --- running -----------------------------------------------------------------------------------

def environment(reports):
    e = {k: v for k, v in os.environ.items() if not k.startswith('PPROFSHIM_') and k != 'LD_BIND_NOW'}
    e.update(LD_PRELOAD=LIBRARY, ORACLE_DIR=reports, PPROFSHIM_ADDR='127.0.0.1:0',
             PPROFSHIM_CPU_HZ='1000', PPROFSHIM_DEPTH=str(report.FRAMES), PPROFSHIM_HEAP_RATE='1m',
             PPROFSHIM_LOG='error', LC_ALL='C.UTF-8')
    return e


class Outcome:
    def __init__(self, program):
        self.program, self.failures, self.seconds = program, [], 0
        self.sums = {source: report.Sum() for source in report.SOURCES}
        self.skipped = dict.fromkeys(report.SKIPS, 0)

    def read(self, folder):
        for name in sorted(os.listdir(folder)):
            found = report.read(os.path.join(folder, name))
            if found is None:
                continue
            sums, skipped, midway = found
            for source in sums:
                self.sums[source].add(sums[source])
            for reason in skipped:
                self.skipped[reason] += skipped[reason]
            if self.failures and midway:
                self.failures.append('libunwind was at work on a stack from 0x%x' % midway[0])


class Run:
    """One program, until it has been sampled enough."""

    def __init__(self, program, wanted):
        self.program, self.wanted, self.outcome = program, wanted, Outcome(program)
        self.directory = tempfile.mkdtemp(prefix='oracle-')
        self.reports = os.path.join(self.directory, 'reports')
        self.running = []
        os.mkdir(self.reports)

    def start(self, argv, shim, err=subprocess.DEVNULL):
        p = subprocess.Popen(argv, env=environment(self.reports) if shim else None, cwd=self.directory,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
                             start_new_session=True)
        self.running.append(p)
        return p

    def stop(self):
        for p in self.running:
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            p.wait()

    def go_on(self, err):
        """Until there are enough, or something is wrong: then says what."""
        end = time.monotonic() + PATIENCE
        argv = self.program.argv(self.directory)
        p = self.start(argv, True, err)
        if self.program.beside:
            for other in self.program.beside(self.directory):
                self.start(other, False)
        while report.samples_so_far(self.reports) < self.wanted:
            if time.monotonic() > end:
                return 'within %d s only %d ticks' % (PATIENCE, report.samples_so_far(self.reports))
            time.sleep(0.2)
            status = p.poll()
            if status is None:
                continue
            if status != 0 or not self.program.ends:
                return 'ended with %d' % status
            p = self.start(argv, True, err)
        return None

    def run(self):
        began = time.monotonic()
        try:
            with open(os.path.join(self.directory, 'stderr'), 'w+') as err:
                wrong = self.go_on(err)
                self.stop()
                if wrong:
                    err.seek(0)
                    self.outcome.failures.append(wrong + ': ' + err.read()[-500:])
            self.outcome.read(self.reports)
        finally:
            self.stop()
            shutil.rmtree(self.directory, ignore_errors=True)
        self.outcome.seconds = time.monotonic() - began
        return self.outcome


def run_all(names, wanted):
    chosen = [p for p in PROGRAMS if not names or p.name in names]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(lambda p: Run(p, wanted).run(), chosen))


# --- judging -----------------------------------------------------------------------------------

def together(outcomes, source):
    total = report.Sum()
    for o in outcomes:
        total.add(o.sums[source])
    return total


def judge_native(total, what, strict):
    """strict: what no scan has seen yet counts as well."""
    names = total.named()
    new = names.get('not scanned yet', 0)
    counted = total.samples - (0 if strict else new)
    wrong = []
    if names.get(None):
        wrong.append('%s: %d differences that nobody can explain' % (what, names[None]))
    if total.same < SAME_MIN * counted:
        wrong.append('%s: only %.3f %% of %d stacks are the same' % (
            what, 100 * total.same / counted, counted))
    return wrong


def judge(outcomes, strict):
    """What is wrong, as sentences."""
    native = [o for o in outcomes if o.program.native]
    wrong = ['%s: %s' % (o.program.name, f) for o in outcomes for f in o.failures]
    for o in native:
        new = o.sums['tick'].named().get('not scanned yet', 0)
        if new > UNSCANNED_MAX:
            wrong.append('%s: %d ticks in code that no scan has seen' % (o.program.name, new))
    for source in report.SOURCES if native else ():
        wrong += judge_native(together(native, source), 'native, ' + source, strict)
    for o in outcomes:
        s = o.sums['tick']
        if not o.program.native and s.all < NODE_MIN * s.samples:
            wrong.append('%s: only %.2f %% of %d stacks are complete and hold all of libunwind\'s' % (
                o.program.name, 100 * s.all / s.samples, s.samples))
    return wrong


# --- telling -----------------------------------------------------------------------------------

def percent(part, whole):
    return '%.3f' % (100 * part / whole) if whole else '-'


def tell(outcomes, examples):
    columns = '%-8s %-5s %7s %9s %9s %6s %6s %6s %6s  %s'
    print(columns % ('program', 'at', 'stacks', '% same', '% all', '% cut', '% deep', 'frames', '% memo',
                     'the others'))
    rows = [(o.program.name, o.sums) for o in outcomes]
    native = [o for o in outcomes if o.program.native]
    rows.append(('native', {s: together(native, s) for s in report.SOURCES}))
    for name, sums in rows:
        for source, s in sums.items():
            others = ', '.join('%s: %d' % (k or 'UNEXPLAINED', n) for k, n in sorted(
                s.named().items(), key=lambda x: str(x[0])))
            print(columns % (name, source, s.samples, percent(s.same, s.samples),
                             percent(s.all, s.samples), percent(s.truncated, s.samples)[:6],
                             percent(s.deep, s.samples)[:6], '%.1f' % (s.frames / max(1, s.samples)),
                             percent(s.remembered, s.frames)[:5], others))
    total = together(outcomes, 'tick').add(together(outcomes, 'heap'))
    frames = sum(total.layer.values())
    print('frames: ' + ', '.join('%s %s %%' % (k, percent(n, frames)) for k, n in total.layer.items()))
    print('not compared: ' + ', '.join('%s %d' % (k, sum(o.skipped[k] for o in outcomes))
                                       for k in report.SKIPS))
    for o in outcomes:
        for s in o.sums.values():
            for name in sorted(s.named(), key=str):
                some = [d for d in s.differences if d.name == name]
                for d in some[:3 if name is None else examples]:
                    print('%s:\n%s' % (o.program.name, d))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('-n', type=int, default=5000)
    parser.add_argument('-v', action='store_true')
    parser.add_argument('names', nargs='*')
    a = parser.parse_args()
    outcomes = run_all(a.names, a.n)
    tell(outcomes, 2 if a.v else 0)
    wrong = judge(outcomes, strict=not a.names)
    for w in wrong:
        print('WRONG ' + w)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
