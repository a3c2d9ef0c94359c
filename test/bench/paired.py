"""paired.py -- one command under several configurations, compared round by round.

Every round runs each configuration once, in turns from the front and from the back, and the ratio is
taken within the round: what the machine does to all of them drops out.  Printed is the median of the
ratios with its quartiles.  "plain2" is the plain program once more, the A/A control: an effect smaller
than its distance from 1 was not measured.  "best" is the ratio of the smallest figures of all rounds:
on a busy machine it says more than the median.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
BUILD = os.path.join(TOP, os.environ.get('B', 'build'))
LIBRARY = os.path.join(BUILD, 'libpprofshim.so')

START_TARGET_MS = 1.2
IDLE_TARGET_KIB = 4 * 1024


# --- configurations: name -> (environment, name of what it is compared with) ---

def ours(library):
    """The plain program, the control, and the library with all that is on by default."""
    shim = {'LD_PRELOAD': os.path.abspath(library), 'PPROFSHIM_PORT': '0', 'PPROFSHIM_LOG': 'quiet'}
    return {'plain': ({}, 'plain'), 'plain2': ({}, 'plain'), 'shim': (shim, 'plain')}


def find_library(soname):
    """Its path, or None: with a line that says what to do about it."""
    listed = subprocess.run(['/sbin/ldconfig', '-p'], stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r'^\s*%s .*=> (.+)$' % re.escape(soname), listed, re.MULTILINE)
    if found is None:
        print('no %s here: left out (scripts/deps bench installs it)' % soname, file=sys.stderr)
    return found.group(1) if found else None


def over(library, soname):
    """An allocator in the place of libc's, the control, and the library over it; each is compared with the
    allocator alone.  None without it."""
    path = find_library(soname)
    if path is None:
        return None
    name, shim = re.match(r'lib([a-z]+)', soname)[1], ours(library)['shim'][0]
    return {name: ({'LD_PRELOAD': path}, name), name + '2': ({'LD_PRELOAD': path}, name),
            'shim': (dict(shim, LD_PRELOAD=shim['LD_PRELOAD'] + ' ' + path), name)}


def jemalloc(base='plain'):
    """Its profiler at our rate: one sample in 512 KiB.  None without the library or its profiler."""
    path = find_library('libjemalloc.so.2')
    if path is None:
        return None
    env = {'LD_PRELOAD': path, 'MALLOC_CONF': 'prof:true,prof_active:true,lg_prof_sample:19'}
    said = subprocess.run(['/bin/true'], env=clean_environment(env), stderr=subprocess.PIPE, text=True).stderr
    if 'Invalid conf pair' in said:
        print('%s was built without its profiler: left out' % path, file=sys.stderr)
        return None
    return env, base


def tcmalloc(base='plain'):
    """gperftools' sampling at the same rate.  None without the library."""
    path = find_library('libtcmalloc.so.4')
    return path and ({'LD_PRELOAD': path, 'TCMALLOC_SAMPLE_PARAMETER': '524288'}, base)


def heaptrack(base='plain'):
    """It records every call.  None if it is not here."""
    found = shutil.which('heaptrack')
    path = found and os.path.join(os.path.dirname(found), '..', 'lib', 'heaptrack', 'libheaptrack_preload.so')
    if path is None or not os.path.exists(path):
        print('no heaptrack here: left out (scripts/deps bench installs it)', file=sys.stderr)
        return None
    return {'LD_PRELOAD': os.path.realpath(path), 'DUMP_HEAPTRACK_OUTPUT': '@TMP@/heaptrack'}, base


def clean_environment(changes):
    e = {k: v for k, v in os.environ.items() if not k.startswith('PPROFSHIM_') and k != 'LD_PRELOAD'}
    e.update(changes)
    return e


# --- running ---

class Run:
    """cpu and wall: seconds of the process and its children, start and end included.  text: stdout."""

    def __init__(self, argv, env, stdin=os.devnull):
        with tempfile.TemporaryDirectory(prefix='bench') as directory:
            env = {k: v.replace('@TMP@', directory) for k, v in env.items()}
            self._spawn(argv, env, stdin)

    def _spawn(self, argv, env, stdin):
        read, write = os.pipe()
        began = time.monotonic()
        pid = os.posix_spawn(argv[0], argv, clean_environment(env), file_actions=[
            (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read),
            (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)])
        os.close(write)
        with os.fdopen(read) as f:
            self.text = f.read()
        _, status, used = os.wait4(pid, 0)
        self.wall = time.monotonic() - began
        self.cpu = used.ru_utime + used.ru_stime
        if status != 0:
            raise SystemExit('%s: status %d under %s' % (argv, status, env))

    def says(self, key):
        """What the program says of itself as "key=number"."""
        return float(re.search(r'\b%s=([\d.]+)' % key, self.text).group(1))


def bench_program(command):
    return [os.path.join(BUILD, 'test', 'bench', command[0])] + command[1:]


def interleaved(configs, rounds, once):
    """{configuration: [once(name, environment) of each round]}; the first round only warms up."""
    results = {name: [] for name in configs}
    for n in range(rounds + 1):
        order = list(configs) if n % 2 else list(reversed(configs))
        for name in order:
            result = once(name, configs[name][0])
            if n:
                results[name].append(result)
    return results


# --- the table ---

class Table:
    """Prints a line for each comparison, keeps it for --json, and counts the targets missed."""

    def __init__(self):
        self.kept, self.missed = [], 0
        self._line('workload', 'configuration', 'ratio', 'quartiles', 'best', 'unit', 'own', 'more', 'target')

    @staticmethod
    def _line(*cells):
        print('%-16s %-28s %8s %18s %7s %6s %10s %10s %9s' % cells, flush=True)

    def _judge(self, figure, target):
        if target is None:
            return ''
        self.missed += figure > target
        return '%s %g' % ('OVER' if figure > target else '<=', target)

    def _keep(self, **figures):
        self.kept.append(figures)

    def ratios(self, workload, configs, results, unit, target, own=None, more_target=None):
        """results: {configuration: [figure of each round]}, the less the better.  target: of shim's
        ratio.  own: other figures to print as "own" and "more", in that unit.  more_target: of shim's "more"."""
        own = own or results
        for n, (name, (_, base)) in enumerate(configs.items()):
            values = [a / b for a, b in zip(results[name], results[base])]
            ratio, quarters = statistics.median(values), quartiles(values)
            best = min(results[name]) / min(results[base])
            its = statistics.median(own[name])
            more = statistics.median(a - b for a, b in zip(own[name], own[base]))
            verdict = ''
            if name == 'shim':
                verdict = self._judge(ratio, target) if more_target is None else self._judge(more, more_target)
            self._line(workload if n == 0 else '', name + ('' if base in ('plain', name) else ' / ' + base),
                       '%.3f' % ratio, '%.3f .. %.3f' % quarters, '%.3f' % best, unit, '%.2f' % its, '%+.2f' % more,
                       verdict)
            self._keep(workload=workload, configuration=name, base=base, unit=unit, ratio=ratio, quartiles=quarters,
                       best=best, own=its, more=more)

    def differences(self, workload, configs, results, unit, target, digits=2):
        """The same for what is judged by the difference; the quartiles are those of the difference."""
        for n, (name, (_, base)) in enumerate(configs.items()):
            values = [a - b for a, b in zip(results[name], results[base])]
            its, more = statistics.median(results[name]), statistics.median(values)
            its_base = statistics.median(results[base])
            ratio = its / its_base if its_base else None
            quarters = quartiles(values)
            self._line(workload if n == 0 else '', name, '' if ratio is None else '%.3f' % ratio,
                       '%+.*f .. %+.*f' % (digits, quarters[0], digits, quarters[1]), '', unit,
                       '%.*f' % (digits, its), '%+.*f' % (digits, more),
                       self._judge(more, target if name == 'shim' else None))
            self._keep(workload=workload, configuration=name, base=base, unit=unit, ratio=ratio, quartiles=quarters,
                       own=its, more=more)

    def end(self, rounds, json_file):
        with open('/proc/loadavg') as f:
            print('%d rounds; load of the machine now: %s' % (rounds, ' '.join(f.read().split()[:3])))
        if json_file:
            with open(json_file, 'w') as f:
                json.dump(self.kept, f, indent=1)


def quartiles(values):
    values = sorted(values)
    return values[len(values) // 4], values[(3 * len(values)) // 4]


# --- what is measured with and without a workload of our own ---

def measure_start(table, configs, spawns):
    """Wall time from spawn to end of a program that does nothing."""
    results = interleaved(configs, spawns, lambda _, env: Run(['/bin/true'], env).wall * 1000)
    table.differences('/bin/true', configs, results, 'ms', START_TARGET_MS, digits=3)


def memory_kib(pid):
    """Resident, and what of it is the process's own and written."""
    with open('/proc/%d/smaps_rollup' % pid) as f:
        text = f.read()
    return [int(re.search(r'^%s:\s+(\d+)' % key, text, re.MULTILINE).group(1)) for key in ('Rss', 'Private_Dirty')]


def measure_idle(table, configs, times):
    """Memory of a program that has slept for a while."""
    rss, dirty = {name: [] for name in configs}, {name: [] for name in configs}
    with tempfile.TemporaryDirectory(prefix='bench') as directory:
        for _ in range(times):
            asleep = {name: start_sleeper(env, directory) for name, (env, _) in configs.items()}
            time.sleep(1.5)
            for name, p in asleep.items():
                for kind, kib in zip((rss, dirty), memory_kib(p.pid)):
                    kind[name].append(kib)
            stop(asleep.values())
    table.differences('idle, resident', configs, rss, 'KiB', IDLE_TARGET_KIB, digits=0)
    table.differences('idle, written', configs, dirty, 'KiB', None, digits=0)


def start_sleeper(env, directory):
    env = {k: v.replace('@TMP@', directory) for k, v in env.items()}
    return subprocess.Popen(['/bin/sleep', '600'], env=clean_environment(env), stderr=subprocess.DEVNULL)


def stop(processes):
    for p in processes:
        p.kill()
        p.wait()


def add_arguments(parser):
    """What all scripts here understand."""
    parser.add_argument('-n', '--rounds', type=int, default=15, help='of each workload (15)')
    parser.add_argument('--spawns', type=int, default=300, help='of /bin/true for each configuration (300)')
    parser.add_argument('--lib', default=LIBRARY)
    parser.add_argument('--strict', action='store_true', help='status 1 if a target is missed')
    parser.add_argument('--json', metavar='FILE', help='the same figures, for a machine')
    parser.add_argument('wanted', nargs='?', default='', help='a part of the name of a workload, start or idle')


def check_library(path):
    if not os.path.exists(path):
        raise SystemExit('no %s: make' % path)
