#!/usr/bin/python3
"""run_locks.py -- what the lock profiles cost.

instructions  added to a pair of lock and unlock that nobody else wants, counted by valgrind: exact on any machine
events        ns added to one contended event, by what is done about it (contended.c says how this is seen in one
              thread): it is left out; chosen, and nothing recorded; recorded in block; in both, with ten frames each
pairs         the first in time, by the program's own clock of its loop; and two threads that take turns by
              conditions.  "jump" is a library whose doors do nothing but jump on: what is below that is not to be had
shared        two and four threads want one mutex; the wall clock of the same work, because a thread that waits
              uses no processor.  "all" chooses and counts every wait that it may, "off" none.  The figures have
              two humps, so the quartiles are wide: it is the median of many rounds that counts.

Runs are so long that our thread's first work, some 5 ms of a processor, is a hundredth of them at most, and rounds
many; where the control's median is still more than 2 % from 1 there are as many again, three times at most.  How to
read the table: paired.py.

    run_locks.py                 all of it, some ten minutes
    run_locks.py -n 101 shared   more rounds of what has "shared" in its name
    run_locks.py --strict        status 1 if a target is missed
"""
import argparse
import os
import re
import statistics
import subprocess
import sys

import paired
from run_heap import judge, missed, per_op

# name, command, most instructions that a pair may take more, target of shim/plain
PAIRS = [
    ('mutex_hot', ['mutex_hot', '-n', '12000000'], 5, 1.05),
    ('mutex_hot -x 0', ['mutex_hot', '-x', '0', '-n', '15000000'], 5, 1.30),
    ('rwlock_hot', ['rwlock_hot', '-n', '15000000'], 5, 1.05),
    ('rwlock_hot -w 1', ['rwlock_hot', '-w', '1', '-n', '12000000'], 5, 1.02),
]
SLACK = 0.3         # of an instruction a pair: our own thread's, which has work now and then
OPS = 2000000       # so many that what our own thread does meanwhile is little beside them
TURNS = [('cond_pingpong', ['cond_pingpong', '-n', '240000'], 1.02)]
SHARED = [('lock_shared -t 2', ['lock_shared', '-t', '2', '-n', '5000000'], 1.05),
          ('lock_shared -t 4', ['lock_shared', '-t', '4', '-n', '2500000'], 1.05)]
# what contended.c calls it, most ns added
EVENTS = [('left_out', 15), ('chosen', 150), ('block', None), ('both', None)]
CONTROL = 0.02


def measure_instructions(library, wanted):
    # Ticks are not a part of a pair.
    shim = dict(paired.ours(library)['shim'][0], PPROFSHIM_CPU_HZ='0')
    for name, command, most, _ in PAIRS:
        if wanted in name or wanted in 'instructions':
            argv = [a for a in command if a not in ('-n', command[command.index('-n') + 1])]
            with_shim = statistics.median(per_op(argv, shim, OPS) for _ in range(3))
            more = with_shim - per_op(argv, {}, OPS)
            print('%-18s %+7.2f instructions %14s' % (name, more, judge(name, more, most + SLACK)), flush=True)


def measure_events(wanted):
    if wanted not in 'events':
        return
    text = subprocess.run([os.path.join(paired.BUILD, 'test', 'bench', 'locks', 'contended')], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    for name, most in EVENTS:
        added, low, high = map(float, re.search(
            r'^%s .*added_ns=(\S+) quarter_ns=(\S+) three_quarters_ns=(\S+)$' % name, text, re.MULTILINE).groups())
        # What another program does meanwhile makes some of the turns longer, and none shorter.
        print('an event: %-9s %+7.1f ns  %+.1f .. %+.1f %14s' % (
            name, added, low, high, '' if most is None else judge(name, low, most)), flush=True)


def settled(configs, rounds, once, figure):
    """Rounds until the control says that they are enough."""
    runs = {name: [] for name in configs}
    for _ in range(3):
        for name, more in paired.interleaved(configs, rounds, once).items():
            runs[name] += more
        control = statistics.median(figure(a) / figure(b) for a, b in zip(runs['plain2'], runs['plain']))
        if abs(control - 1) <= CONTROL:
            break
    return runs


def measure(table, configs, rounds, rows, wanted, group, figure):
    for name, command, target in rows:
        if wanted in name or wanted in group:
            argv = paired.bench_program(command)
            runs = settled(configs, rounds, lambda _, env: paired.Run(argv, env), figure)
            table.ratios(name, configs, {c: [figure(r) for r in of] for c, of in runs.items()}, 'ns/op', target,
                         own={c: [1e9 / r.says('ops_per_s') for r in of] for c, of in runs.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paired.add_arguments(parser)
    parser.set_defaults(rounds=31)
    a = parser.parse_args()
    paired.check_library(a.lib)
    measure_instructions(a.lib, a.wanted)
    measure_events(a.wanted)
    configs = paired.ours(a.lib)
    table = paired.Table()
    forward = {'LD_PRELOAD': os.path.join(paired.BUILD, 'test', 'bench', 'forward.so')}
    measure(table, dict(configs, jump=(forward, 'plain')), a.rounds,
            [(name, command, target) for name, command, _, target in PAIRS], a.wanted, 'pairs',
            lambda r: r.says('cpu_ns_per_op'))
    measure(table, configs, a.rounds, TURNS, a.wanted, 'pairs', lambda r: r.says('cpu_ns_per_op'))
    shim = configs['shim'][0]
    configs['all'] = (dict(shim, PPROFSHIM_BLOCK_RATE='1ns'), 'plain')
    configs['off'] = (dict(shim, PPROFSHIM_BLOCK_RATE='0', PPROFSHIM_MUTEX_FRACTION='0'), 'plain')
    measure(table, configs, a.rounds, SHARED, a.wanted, 'shared', lambda r: r.says('wall_s'))
    table.end(a.rounds, a.json)
    return 1 if (table.missed or missed) and a.strict else 0


if __name__ == '__main__':
    sys.exit(main())
