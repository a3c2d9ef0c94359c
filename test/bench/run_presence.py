#!/usr/bin/python3
"""run_presence.py -- what being there costs: beside the plain program, an empty library and the peers.

Programs that never make a thread, that fork, that make threads, that only start, that only sleep.
All that is on by default is on.  How to read the table: paired.py.  The peers are Debian's gperftools
(CPU and heap profiler) and jemalloc with its profiler, as far as they are here (scripts/deps bench).

    run_presence.py              all of it, some ten minutes
    run_presence.py -n 31 fork   more rounds of what has "fork" in its name
    run_presence.py --strict     status 1 if a target is missed
"""
import argparse
import os
import sys
import tempfile
import time

import paired

# name, command, what the program says of itself, its unit, target of shim/plain
WORKLOADS = [
    ('putc', ['putc_hot', '-n', '80000000'], 'cpu_ns_per_op', 'ns', 1.02),
    ('mutex', ['mutex_hot', '-x', '0', '-n', '40000000'], 'cpu_ns_per_op', 'ns', 1.02),
    ('malloc', ['malloc_hot', '-n', '8000000'], 'cpu_ns_per_op', 'ns', 1.10),
    ('fork+wait', ['fork_wait', '-n', '2000'], 'median_us', 'us', 1.03),
    ('fork+wait 64 MiB', ['fork_wait', '-n', '150', '-m', '64'], 'median_us', 'us', 1.03),
    ('fork, faults', ['fork_wait', '-n', '200'], 'faults', '', None),
    ('create+join', ['thread_churn', '-n', '5000'], 'median_us', 'us', None),
]
# What a configuration does a hundredth of: gperftools walks the stack at each malloc.
SLOW = {'gperftools heap': 'malloc'}


def configurations(library):
    found = paired.ours(library)
    found['empty library'] = ({'LD_PRELOAD': os.path.join(paired.BUILD, 'test', 'bench', 'empty.so')}, 'plain')
    profiler, tcmalloc = paired.find_library('libprofiler.so.0'), paired.find_library('libtcmalloc.so.4')
    if profiler is not None:
        found['gperftools cpu'] = ({'LD_PRELOAD': profiler, 'CPUPROFILE': '@TMP@/cpu'}, 'plain')
    if tcmalloc is not None:
        found['gperftools heap'] = ({'LD_PRELOAD': tcmalloc, 'HEAPPROFILE': '@TMP@/heap'}, 'plain')
    jemalloc = paired.jemalloc()
    if jemalloc is not None:
        found['jemalloc prof'] = jemalloc
    return found


def shorter(command):
    """The command with a hundredth of its operations."""
    at = command.index('-n') + 1
    return command[:at] + [str(int(command[at]) // 100)] + command[at + 1:]


def measure_workloads(table, configs, rounds, wanted):
    for name, command, key, unit, target in WORKLOADS:
        if wanted not in name:
            continue

        def once(config, env):
            argv = paired.bench_program(shorter(command) if SLOW.get(config) == name else command)
            return paired.Run(argv, env).says(key)

        table.ratios(name, configs, paired.interleaved(configs, rounds, once), unit, target)


# --- idle: who wakes up, and what for ---

def threads_of(pid):
    return ['/proc/%d/task/%s' % (pid, tid) for tid in os.listdir('/proc/%d/task' % pid)]


def wakeups_and_cpu_us(pid):
    """Times that its threads have gone to sleep, and their CPU time, so far."""
    sleeps, cpu_ns = 0, 0
    for task in threads_of(pid):
        with open(task + '/status') as f:
            sleeps += int(f.read().split('voluntary_ctxt_switches:')[1].split()[0])
        with open(task + '/schedstat') as f:
            cpu_ns += int(f.read().split()[0])
    return sleeps, cpu_ns / 1000


def measure_wakeups(table, configs, seconds):
    with tempfile.TemporaryDirectory(prefix='bench') as directory:
        asleep = {name: paired.start_sleeper(env, directory) for name, (env, _) in configs.items()}
        time.sleep(5)   # our chores slow down to once a second
        before = {name: wakeups_and_cpu_us(p.pid) for name, p in asleep.items()}
        time.sleep(seconds)
        after = {name: wakeups_and_cpu_us(p.pid) for name, p in asleep.items()}
        paired.stop(asleep.values())
    for i, (what, unit, scale) in enumerate((('idle, wake-ups', '/s', 1 / seconds),
                                             ('idle, CPU', 'us/min', 60 / seconds))):
        table.differences(what, configs, {name: [(after[name][i] - before[name][i]) * scale] for name in configs},
                          unit, None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paired.add_arguments(parser)
    parser.add_argument('--idle-seconds', type=int, default=30, help='of looking at programs that sleep (30)')
    a = parser.parse_args()
    paired.check_library(a.lib)
    configs = configurations(a.lib)
    table = paired.Table()
    measure_workloads(table, configs, a.rounds, a.wanted)
    if a.wanted in 'start':
        paired.measure_start(table, configs, a.spawns)
    if a.wanted in 'idle':
        paired.measure_idle(table, configs, 3)
        measure_wakeups(table, configs, a.idle_seconds)
    table.end(a.rounds, a.json)
    return 1 if table.missed and a.strict else 0


if __name__ == '__main__':
    sys.exit(main())
