#!/usr/bin/python3
"""run_locks.py -- what the lock profiles cost.

instructions  added to a pair of lock and unlock that nobody else wants, counted by valgrind: exact on any machine
pairs         the same in time, and two threads that take turns by conditions
shared        two and four threads want one mutex; the wall clock of the same work, because a thread that waits
              uses no processor.  "all" chooses and counts every wait that it may, "off" none.  The figures have
              two humps, so the quartiles are wide: it is the median of many rounds that counts.

How to read the table: paired.py.

    run_locks.py                 all of it, some ten minutes
    run_locks.py -n 61 shared    more rounds of what has "shared" in its name
    run_locks.py --strict        status 1 if a target is missed
"""
import argparse
import statistics
import sys

import paired
from run_heap import judge, missed, per_op

# name, command, most instructions that a pair may take more, target of shim/plain
PAIRS = [
    ('mutex_hot', ['mutex_hot', '-n', '30000000'], 12, 1.05),
    ('mutex_hot -x 0', ['mutex_hot', '-x', '0', '-n', '60000000'], 12, 1.30),
    ('rwlock_hot', ['rwlock_hot', '-n', '30000000'], 12, 1.05),
    ('rwlock_hot -w 1', ['rwlock_hot', '-w', '1', '-n', '30000000'], 12, 1.02),
]
OPS = 2000000       # so many that what our own thread does meanwhile is little beside them
TURNS = [('cond_pingpong', ['cond_pingpong', '-n', '200000'], 1.02)]
SHARED = [('lock_shared -t 2', ['lock_shared', '-t', '2', '-n', '1500000'], 1.05),
          ('lock_shared -t 4', ['lock_shared', '-t', '4', '-n', '700000'], 1.05)]


def measure_instructions(library, wanted):
    # Ticks are not a part of a pair.
    shim = dict(paired.ours(library)['shim'][0], PPROFSHIM_CPU_HZ='0')
    for name, command, most, _ in PAIRS:
        if wanted in name or wanted in 'instructions':
            argv = [a for a in command if a not in ('-n', command[command.index('-n') + 1])]
            with_shim = statistics.median(per_op(argv, shim, OPS) for _ in range(3))
            more = with_shim - per_op(argv, {}, OPS)
            print('%-18s %+7.2f instructions %14s' % (name, more, judge(name, more, most)), flush=True)


def measure(table, configs, rounds, rows, wanted, group, figure):
    for name, command, target in rows:
        if wanted in name or wanted in group:
            argv = paired.bench_program(command)
            runs = paired.interleaved(configs, rounds, lambda _, env: paired.Run(argv, env))
            table.ratios(name, configs, {c: [figure(r) for r in of] for c, of in runs.items()}, 'ns/op', target,
                         own={c: [1e9 / r.says('ops_per_s') for r in of] for c, of in runs.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paired.add_arguments(parser)
    a = parser.parse_args()
    paired.check_library(a.lib)
    measure_instructions(a.lib, a.wanted)
    configs = paired.ours(a.lib)
    table = paired.Table()
    measure(table, configs, a.rounds, [(name, command, target) for name, command, _, target in PAIRS] + TURNS,
            a.wanted, 'pairs', lambda r: r.cpu)
    shim = configs['shim'][0]
    configs['all'] = (dict(shim, PPROFSHIM_BLOCK_RATE='1ns'), 'plain')
    configs['off'] = (dict(shim, PPROFSHIM_BLOCK_RATE='0', PPROFSHIM_MUTEX_FRACTION='0'), 'plain')
    measure(table, configs, a.rounds, SHARED, a.wanted, 'shared', lambda r: r.says('wall_s'))
    table.end(a.rounds, a.json)
    return 1 if (table.missed or missed) and a.strict else 0


if __name__ == '__main__':
    sys.exit(main())
