#!/usr/bin/python3
"""run.py -- what the library costs, as ratios to the plain program.

Every round runs each configuration once, in turns from the front and from the back, and the ratio is
taken within the round: what the machine does to all of them drops out.  Printed is the median of the
ratios with its quartiles.  "plain2" is the plain program once more, the A/A control: an effect smaller
than its distance from 1 was not measured.  "best" is the ratio of the smallest figures of all rounds:
on a busy machine it says more than the median.  CPU is user + system time of the process as the kernel
counts it, start and end included.

    run.py                  all of it, some four minutes
    run.py -n 31 malloc     more rounds of what has "malloc" in its name
    run.py --peers          beside it jemalloc's own profiler, and the library over jemalloc
    run.py --strict         status 1 if a target is missed
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
BUILD = os.path.join(TOP, os.environ.get('B', 'build'))

# name, command, target of shim/plain
WORKLOADS = [
    ('malloc_hot -x 1', ['malloc_hot', '-x', '1', '-n', '20000000'], 1.10),
    ('malloc_hot', ['malloc_hot', '-n', '20000000'], None),
    ('malloc_mix', ['malloc_mix', '-n', '3000000'], 1.10),
    ('cpu_deep', ['cpu_deep', '-n', '40000'], 1.01),
]
START_TARGET_MS = 1.5
IDLE_TARGET_KIB = 6 * 1024
JEMALLOC = '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2'


def configurations(library, peers):
    """name: (environment, the configuration it is compared with)"""
    shim = {'LD_PRELOAD': library, 'PPROFSHIM_PORT': '0', 'PPROFSHIM_LOG': 'quiet'}
    found = {'plain': ({}, 'plain'), 'plain2': ({}, 'plain'), 'shim': (shim, 'plain')}
    if peers and os.path.exists(JEMALLOC):
        je = {'LD_PRELOAD': JEMALLOC}
        found['jemalloc'] = (je, 'plain')
        found['jemalloc prof'] = (dict(je, MALLOC_CONF='prof:true,prof_active:true,lg_prof_sample:19'),
                                  'jemalloc')
        found['shim + jemalloc'] = (dict(shim, LD_PRELOAD=library + ' ' + JEMALLOC), 'jemalloc')
    elif peers:
        print('no jemalloc here: no peers', file=sys.stderr)
    return found


def clean_environment(changes):
    e = {k: v for k, v in os.environ.items() if not k.startswith('PPROFSHIM_') and k != 'LD_PRELOAD'}
    e.update(changes)
    return e


def run(argv, env):
    """(CPU seconds, wall seconds, ns per operation as the program says)"""
    read, write = os.pipe()
    began = time.monotonic()
    pid = os.posix_spawn(argv[0], argv, clean_environment(env), file_actions=[
        (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)])
    os.close(write)
    with os.fdopen(read) as f:
        text = f.read()
    _, status, used = os.wait4(pid, 0)
    wall = time.monotonic() - began
    if status != 0:
        raise SystemExit('%s: status %d under %s' % (argv, status, env))
    m = re.search(r'cpu_ns_per_op=([\d.]+)', text)
    return used.ru_utime + used.ru_stime, wall, float(m.group(1)) if m else None


def quartiles(values):
    values = sorted(values)
    return values[len(values) // 4], values[(3 * len(values)) // 4]


def interleaved(configs, rounds, once):
    """{configuration: [once(environment) of each round]}; the first round only warms up."""
    results = {name: [] for name in configs}
    for n in range(rounds + 1):
        order = list(configs) if n % 2 else list(reversed(configs))
        for name in order:
            result = once(configs[name][0])
            if n:
                results[name].append(result)
    return results


def row(*cells):
    print('%-16s %-18s %7s %16s %7s %10s %10s %9s' % cells, flush=True)


def measure_workloads(configs, rounds, wanted, kept):
    row('workload', 'configuration', 'ratio', 'quartiles', 'best', 'ns/op', '+ns/op', 'target')
    missed = 0
    for name, command, target in WORKLOADS:
        if wanted not in name:
            continue
        argv = [os.path.join(BUILD, 'test', 'bench', command[0])] + command[1:]
        results = interleaved(configs, rounds, lambda env: run(argv, env))
        for config, (_, base) in configs.items():
            pairs = list(zip(results[config], results[base]))
            ratios = [a[0] / b[0] for a, b in pairs]
            median = statistics.median(ratios)
            low, high = quartiles(ratios)
            best = min(x[0] for x in results[config]) / min(x[0] for x in results[base])
            own = statistics.median(a[2] for a, _ in pairs)
            more = statistics.median(a[2] - b[2] for a, b in pairs)
            goal = target if config == 'shim' else None
            over = goal is not None and median > goal
            missed += over
            row(name if config == 'plain' else '', config + ('' if base == 'plain' else ' / ' + base[:2]),
                '%.3f' % median, '%.3f .. %.3f' % (low, high), '%.3f' % best, '%.2f' % own, '%+.2f' % more,
                '' if goal is None else '%s %.2f' % ('OVER' if over else '<=', goal))
            kept.append({'workload': name, 'configuration': config, 'base': base, 'ratio': median,
                         'best': best, 'quartiles': [low, high], 'ns_per_op': own, 'more_ns_per_op': more})
    return missed


def measure_start(configs, spawns, kept):
    """Wall time from spawn to end of a program that does nothing."""
    results = interleaved(configs, spawns, lambda env: run(['/bin/true'], env)[1] * 1000)
    plain = statistics.median(results['plain'])
    missed = 0
    for config, (_, base) in configs.items():
        own = statistics.median(results[config])
        more = statistics.median(a - b for a, b in zip(results[config], results[base]))
        low, high = quartiles(results[config])
        over = config == 'shim' and more > START_TARGET_MS
        missed += over
        row('/bin/true' if config == 'plain' else '', config, '%.3f' % (own / plain),
            '%.2f .. %.2f ms' % (low, high), '', '%.3f ms' % own, '%+.3f ms' % more,
            '' if config != 'shim' else '%s %.1f ms' % ('OVER' if over else '<=', START_TARGET_MS))
        kept.append({'workload': 'start', 'configuration': config, 'ms': own, 'more_ms': more})
    return missed


def resident_kib(env):
    """VmRSS of a program that has slept for a while, in KiB."""
    p = subprocess.Popen(['/bin/sleep', '60'], env=clean_environment(env))
    try:
        time.sleep(1.5)
        with open('/proc/%d/status' % p.pid) as f:
            return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))
    finally:
        p.kill()
        p.wait()


def measure_idle(configs, times, kept):
    results = {name: [resident_kib(configs[name][0]) for _ in range(times)] for name in configs}
    missed = 0
    for config, (_, base) in configs.items():
        own = statistics.median(results[config])
        more = own - statistics.median(results[base])
        over = config == 'shim' and more > IDLE_TARGET_KIB
        missed += over
        row('idle, resident' if config == 'plain' else '', config, '', '', '', '%d KiB' % own,
            '%+d KiB' % more, '' if config != 'shim' else '%s %d' % ('OVER' if over else '<=', IDLE_TARGET_KIB))
        kept.append({'workload': 'idle', 'configuration': config, 'kib': own, 'more_kib': more})
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-n', '--rounds', type=int, default=15, help='of each workload (15)')
    parser.add_argument('--spawns', type=int, default=300, help='of /bin/true for each configuration (300)')
    parser.add_argument('--lib', default=os.path.join(BUILD, 'libpprofshim.so'))
    parser.add_argument('--peers', action='store_true')
    parser.add_argument('--strict', action='store_true')
    parser.add_argument('--json', metavar='FILE', help='the same figures, for a machine')
    parser.add_argument('wanted', nargs='?', default='', help='a part of the name of a workload, start or idle')
    a = parser.parse_args()
    if not os.path.exists(a.lib):
        raise SystemExit('run.py: no %s: make' % a.lib)
    configs = configurations(os.path.abspath(a.lib), a.peers)
    kept = []
    missed = measure_workloads(configs, a.rounds, a.wanted, kept)
    if a.wanted in 'start':
        missed += measure_start({k: v for k, v in configs.items() if v[1] == 'plain'}, a.spawns, kept)
    if a.wanted in 'idle':
        missed += measure_idle({k: v for k, v in configs.items() if v[1] == 'plain'}, 3, kept)
    with open('/proc/loadavg') as f:
        print('%d rounds; load of the machine now: %s' % (a.rounds, ' '.join(f.read().split()[:3])))
    if a.json:
        with open(a.json, 'w') as f:
            json.dump(kept, f, indent=1)
    return 1 if missed and a.strict else 0


if __name__ == '__main__':
    sys.exit(main())
