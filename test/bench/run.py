#!/usr/bin/python3
"""run.py -- what the library costs a program that works, as ratios to the plain program.

CPU is user + system time of the process as the kernel counts it, start and end included.  How to read
the table: paired.py.

    run.py                  all of it, some eight minutes
    run.py -n 31 malloc     more rounds of what has "malloc" in its name
    run.py --peers          beside it the profilers of jemalloc and gperftools, each against itself without,
                            and the library over their allocators
    run.py --strict         status 1 if a target is missed
"""
import argparse
import sys

import paired

# name, command, target of shim/plain
WORKLOADS = [
    ('malloc_hot -x 1', ['malloc_hot', '-x', '1', '-n', '20000000'], 1.06),
    ('malloc_hot -t 4', ['malloc_hot', '-t', '4', '-n', '5000000'], 1.06),
    ('malloc_hot', ['malloc_hot', '-n', '20000000'], None),
    ('malloc_mix', ['malloc_mix', '-n', '3000000'], 1.07),
    ('malloc_mix -t 4', ['malloc_mix', '-t', '4', '-n', '800000'], 1.07),
    ('deep_alloc', ['deep_alloc', '-n', '10000000'], 1.06),
    ('deep_alloc -t 4', ['deep_alloc', '-t', '4', '-n', '2500000'], 1.06),
    ('cpu_deep', ['cpu_deep', '-n', '40000'], 1.01),
]


def configurations(library, peers):
    found = paired.ours(library)
    if peers:
        for name, profiler in (('jemalloc', paired.jemalloc('jemalloc')), ('tcmalloc', paired.tcmalloc('tcmalloc'))):
            if profiler is None:
                continue
            path, shim = profiler[0]['LD_PRELOAD'], found['shim'][0]
            found[name] = ({'LD_PRELOAD': path}, 'plain')
            found[name + ' prof'] = profiler
            found['shim + ' + name] = (dict(shim, LD_PRELOAD=shim['LD_PRELOAD'] + ' ' + path), name)
    return found


def measure_workloads(table, configs, rounds, wanted):
    for name, command, target in WORKLOADS:
        if wanted not in name:
            continue
        argv = paired.bench_program(command)
        runs = paired.interleaved(configs, rounds, lambda _, env: paired.Run(argv, env))
        table.ratios(name, configs, {c: [r.cpu for r in of] for c, of in runs.items()}, 'ns/op', target,
                     own={c: [r.says('cpu_ns_per_op') for r in of] for c, of in runs.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paired.add_arguments(parser)
    parser.add_argument('--peers', action='store_true')
    a = parser.parse_args()
    paired.check_library(a.lib)
    configs = configurations(a.lib, a.peers)
    beside_plain = {name: config for name, config in configs.items() if config[1] == 'plain'}
    table = paired.Table()
    measure_workloads(table, configs, a.rounds, a.wanted)
    if a.wanted in 'start':
        paired.measure_start(table, beside_plain, a.spawns)
    if a.wanted in 'idle':
        paired.measure_idle(table, beside_plain, 3)
    table.end(a.rounds, a.json)
    return 1 if table.missed and a.strict else 0


if __name__ == '__main__':
    sys.exit(main())
