#!/usr/bin/python3
"""run_heap.py -- what the heap profile costs, in parts.

instructions  added to a pair of malloc and free, counted by valgrind: exact on any machine.  "never" samples
              nothing: the fast path alone.  sqlite: the ratio, of a longer script less a shorter one.
floors        malloc_hot under libraries that do the least for each way to know a sampled block in free
              (lib/floors.c), beside the real one.  How to read the table: paired.py.
long          80 million allocations of all sizes, or an eighth of that of one size, 100 MiB or 1 GiB of them live:
              what is added to a sampled call and to its free in each quarter, and resident memory beside the
              plain run.

    run_heap.py              all of it, some eight minutes
    run_heap.py long -o 8    one part; a tenth of the operations, in millions
    run_heap.py --strict     status 1 if a target is missed
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import paired
import real_programs

PAIR_TARGET = 16                # instructions that a pair of calls may take more
SQLITE_TARGET = 1.005
SLOWER_TARGET, RSS_TARGET = 1.10, 1.01
SAMPLE_TARGET_NS = 800          # one sample, with its record and its free
FLOORS = ['forward', 'ours', 'pages', 'hybrid', 'hash', 'two counts']

missed = []


def judge(what, figure, target):
    if figure > target:
        missed.append(what)
    return '%s %g' % ('OVER' if figure > target else '<=', target)


# --- instructions ---

def instructions(argv, env, file=os.devnull):
    with tempfile.TemporaryDirectory(prefix='bench') as directory, open(file) as stdin:
        p = subprocess.run(['valgrind', '--tool=callgrind', '--callgrind-out-file=%s/out' % directory, *argv],
                           env=paired.clean_environment(env), stdin=stdin, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    return int(re.search(r'Collected : (\d+)', p.stderr).group(1))


def per_op(command, env, n=400000):
    """Of a run that is longer by so many operations."""
    short, long = (instructions(paired.bench_program(command + ['-n', str(k * n)]), env) for k in (1, 2))
    return (long - short) / n


def of_rows(env):
    with tempfile.TemporaryDirectory(prefix='bench') as directory:
        short, long = (instructions(argv, env, file) for argv, file in
                       (real_programs.sqlite(directory, n) for n in (15000, 45000)))
    return long - short


def measure_instructions(library):
    shim = dict(paired.ours(library)['shim'][0], PPROFSHIM_ADDR='off', PPROFSHIM_CPU_HZ='0')
    del shim['PPROFSHIM_PORT']      # else there is our thread, with work of its own when it comes to it
    print('%-16s %10s %10s %10s' % ('instructions', 'plain', 'never', 'default'))
    for name, command in (('malloc_hot -x 1', ['malloc_hot', '-x', '1']), ('deep_alloc', ['deep_alloc']),
                          ('malloc_mix', ['malloc_mix'])):
        plain = per_op(command, {})
        never = per_op(command, dict(shim, PPROFSHIM_HEAP_RATE='1g')) - plain
        default = per_op(command, shim) - plain
        print('%-16s %10.1f %+10.2f %+10.2f  %s' % (
            name, plain, never, default,
            judge(name, never, PAIR_TARGET) if command[0] == 'malloc_hot' else ''), flush=True)
    plain = of_rows({})
    never, default = (of_rows(env) / plain for env in (dict(shim, PPROFSHIM_HEAP_RATE='1g'), shim))
    print('%-16s %10.0f %10.4f %10.4f  %s' % ('sqlite', plain, never, default, judge('sqlite', default, SQLITE_TARGET)),
          flush=True)


# --- floors ---

def measure_floors(library, rounds):
    configs = paired.ours(library)
    for n, name in enumerate(FLOORS):
        configs['floor: ' + name] = ({'LD_PRELOAD': os.path.join(paired.BUILD, 'test', 'bench', 'floor_%d.so' % n)}, 'plain')
    argv = paired.bench_program(['malloc_hot', '-x', '1', '-n', '2000000'])
    table = paired.Table()
    runs = paired.interleaved(configs, rounds, lambda _, env: paired.Run(argv, env).says('cpu_ns_per_op'))
    table.ratios('malloc_hot -x 1', configs, runs, 'ns/op', None)
    table.end(rounds, None)


# --- long runs ---

def long_run(arguments):
    argv = [os.path.join(paired.BUILD, 'test', 'bench', 'heap', 'long'), *map(str, arguments)]
    text = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True,
                          env=paired.clean_environment({})).stdout
    quarters = [(float(take), float(free)) for take, free in re.findall(r'take_ns=(\d+) free_ns=(\d+)', text)]
    return quarters, int(re.search(r'rss_kib=(\d+)', text).group(1))


def available_mib():
    with open('/proc/meminfo') as f:
        return int(re.search(r'MemAvailable:\s+(\d+)', f.read()).group(1)) >> 10


def measure_long(operations):
    print('%-16s %-36s %8s %20s %8s' % ('long', 'added to a sample + its free, ns', 'last/1st', 'RSS MiB', ''))
    for live in (100, 1024):
        if available_mib() < 2 * live:
            print('%d MiB live: no memory for that here' % live)
            continue
        for size in (200, 2000, 20000, 60000, 0):
            arguments = ['-s', size, '-l', live, '-n', operations // 8 if size else operations]
            quarters, rss = long_run(arguments)
            _, plain = long_run(arguments + ['-p', 1])
            sums = [take + free for take, free in quarters]
            name = '%s %d MiB' % (size or 'mixed', live)
            print('%-16s %-36s %8.2f %8.1f %+6.2f %%  %s, %s, %s' % (
                name, '  '.join('%.0f+%.0f' % q for q in quarters), sums[-1] / sums[0], rss / 1024,
                100 * (rss / plain - 1), judge(name + ': slower', sums[-1] / sums[0], SLOWER_TARGET),
                judge(name + ': memory', rss / plain, RSS_TARGET),
                judge(name + ': sample', max(sums), SAMPLE_TARGET_NS)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-n', '--rounds', type=int, default=31, help='of the floors (31)')
    parser.add_argument('-o', '--operations', type=int, default=80, help='of a long run of all sizes, in millions (80)')
    parser.add_argument('--lib', default=paired.LIBRARY)
    parser.add_argument('--strict', action='store_true', help='status 1 if a target is missed')
    parser.add_argument('wanted', nargs='?', default='', help='instructions, floors or long')
    a = parser.parse_args()
    paired.check_library(a.lib)
    if a.wanted in 'instructions':
        measure_instructions(a.lib)
    if a.wanted in 'floors':
        measure_floors(a.lib, a.rounds)
    if a.wanted in 'long':
        measure_long(a.operations * 1000000)
    for what in missed:
        print('over its target: %s' % what)
    return 1 if missed and a.strict else 0


if __name__ == '__main__':
    sys.exit(main())
