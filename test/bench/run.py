#!/usr/bin/python3
"""run.py -- what the library costs a program that works, as ratios to the plain program.

CPU is user + system time of the process as the kernel counts it, start and end included: loops run so long, 1.5 s,
that our start, 5 ms of a processor, is little beside them (bench-presence has what it is by itself).  "own" is what
the program measured of its loops, "more" how much more of that.  How to read the table: paired.py.

    run.py                  all of it, some ten minutes: loops on libc's allocator and on three others (there
                            judged by the ns added to a pair), programs of the distribution, start, idle
    run.py -n 31 malloc     more rounds of what has "malloc" in its name
    run.py --peers          the loops under other heap profilers, each against itself without; some six minutes
    run.py --strict         status 1 if a target is missed
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

import paired
import real_programs

# name, command, target of shim/plain
WORKLOADS = [
    ('malloc_hot -x 1', ['malloc_hot', '-x', '1', '-n', '64000000'], 1.06),
    ('malloc_hot -t 4', ['malloc_hot', '-t', '4', '-n', '16000000'], 1.06),
    ('malloc_mix', ['malloc_mix', '-n', '8000000'], 1.07),
    ('malloc_mix -t 4', ['malloc_mix', '-t', '4', '-n', '2000000'], 1.07),
    ('deep_alloc', ['deep_alloc', '-n', '48000000'], 1.06),
    ('deep_alloc -t 4', ['deep_alloc', '-t', '4', '-n', '12000000'], 1.06),
    ('cpu_deep', ['cpu_deep', '-n', '160000'], 1.01),
]

ALLOCATORS = ['libjemalloc.so.2', 'libtcmalloc_minimal.so.4', 'libmimalloc.so.2']
PAIR_TARGET_NS = 2.0
REAL_TARGET = 1.01
REAL = [('sqlite', real_programs.sqlite, 250000), ('python3', real_programs.python, 80000),
        ('gcc', real_programs.gcc, 150)]
REDIS_REQUESTS = 60000

# Peers are judged by their loops alone, in shorter runs; where every call is recorded they do so many
# times less again.
PEERS_SHORTER = 4
SLOW = {'gperftools heap': 1000, 'heaptrack': 100}


def measure_workloads(table, configs, rounds, wanted):
    for name, command, target in WORKLOADS:
        if wanted not in name:
            continue
        argv = paired.bench_program(command)
        runs = paired.interleaved(configs, rounds, lambda _, env: paired.Run(argv, env))
        table.ratios(name, configs, {c: [r.cpu for r in of] for c, of in runs.items()}, 'ns/op', target,
                     own={c: [r.says('cpu_ns_per_op') for r in of] for c, of in runs.items()})


def measure_allocators(table, library, rounds, wanted):
    for soname in ALLOCATORS:
        configs = paired.over(library, soname)
        for name, command, _ in WORKLOADS[:2] if configs is not None else []:
            if wanted not in name:
                continue
            argv = paired.bench_program(command)
            runs = paired.interleaved(configs, rounds, lambda _, env: paired.Run(argv, env).says('cpu_ns_per_op'))
            table.ratios(name, configs, runs, 'ns/op', None, more_target=PAIR_TARGET_NS)


# --- programs of the distribution ---

class Redis:
    """cpu: seconds of the server for some requests of each kind."""

    def __init__(self, env):
        with tempfile.TemporaryDirectory(prefix='bench') as directory:
            path = os.path.join(directory, 'redis.sock')
            server = subprocess.Popen(
                [real_programs.find('redis-server'), '--port', '0', '--unixsocket', path, '--save', '', '--dir',
                 directory], env=paired.clean_environment(env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not os.path.exists(path):
                time.sleep(0.01)
            subprocess.run([real_programs.find('redis-benchmark'), '-s', path, '-q', '-n', str(REDIS_REQUESTS),
                            '-r', '20000', '-d', '200', '-P', '8', '-t', 'set,get,lpush,lrange_100,hset,zadd'],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            subprocess.run([real_programs.find('redis-cli'), '-s', path, 'shutdown', 'nosave'], check=True,
                           stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(server.pid, 0)
            server.returncode = status
            self.cpu = used.ru_utime + used.ru_stime


def measure_real(table, configs, rounds, wanted):
    def ratios(name, once):
        runs = paired.interleaved(configs, rounds, once)
        table.ratios(name, configs, {c: [r.cpu for r in of] for c, of in runs.items()}, 's', REAL_TARGET)

    with tempfile.TemporaryDirectory(prefix='bench') as directory:
        for name, make, scale in REAL:
            argv, stdin = make(directory, scale) if wanted in name else (None, None)
            if argv is not None and argv[0] is not None:
                ratios(name, lambda _, env: paired.Run(argv, env, stdin))
    if wanted in 'redis' and real_programs.find('redis-benchmark'):
        ratios('redis', lambda _, env: Redis(env))


# --- peers ---

def peers(library):
    """Each is compared with its own allocator without a profiler."""
    found = paired.ours(library)
    profiler = paired.jemalloc('jemalloc')
    if profiler is not None:
        found['jemalloc'] = (dict(profiler[0], MALLOC_CONF='prof:false'), 'jemalloc')
        found['jemalloc prof'] = profiler
    sampling = paired.tcmalloc('tcmalloc')
    if sampling is not None:
        path = sampling[0]['LD_PRELOAD']
        found['tcmalloc'] = ({'LD_PRELOAD': path}, 'tcmalloc')
        found['tcmalloc sampling'] = sampling
        found['gperftools heap'] = ({'LD_PRELOAD': path, 'HEAPPROFILE': '@TMP@/heap'}, 'tcmalloc')
    heaptrack = paired.heaptrack()
    if heaptrack is not None:
        found['heaptrack'] = heaptrack
    return found


def measure_peers(table, library, rounds, wanted):
    configs = peers(library)
    for name, command, _ in WORKLOADS[:6]:
        if wanted not in name:
            continue

        def once(config, env):
            at = command.index('-n') + 1
            n = int(command[at]) // PEERS_SHORTER // SLOW.get(config, 1)
            argv = paired.bench_program(command[:at] + [str(n)] + command[at + 1:])
            return paired.Run(argv, env).says('cpu_ns_per_op')

        table.ratios(name, configs, paired.interleaved(configs, rounds, once), 'ns/op', None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paired.add_arguments(parser)
    parser.add_argument('--peers', action='store_true', help='other heap profilers, and nothing else')
    a = parser.parse_args()
    paired.check_library(a.lib)
    configs = paired.ours(a.lib)
    table = paired.Table()
    if a.peers:
        measure_peers(table, a.lib, a.rounds, a.wanted)
    else:
        measure_workloads(table, configs, a.rounds, a.wanted)
        measure_allocators(table, a.lib, a.rounds, a.wanted)
        measure_real(table, configs, a.rounds, a.wanted)
        if a.wanted in 'start':
            paired.measure_start(table, configs, a.spawns)
        if a.wanted in 'idle':
            paired.measure_idle(table, configs, 3)
    table.end(a.rounds, a.json)
    return 1 if table.missed and a.strict else 0


if __name__ == '__main__':
    sys.exit(main())
