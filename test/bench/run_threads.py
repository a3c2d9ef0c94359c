#!/usr/bin/python3
"""run_threads.py -- what a dump of 2,000 threads that wait takes, beside reading their /proc/.../stat alone; and
what threads cost that come and go, or are many, with all profiles on.

dump: each round asks for each form and reads the files, in turns; printed are medians with quartiles, and the
ratio to the files of the same round.  life: as paired.py says.  memory: what the process has more for each of 500
threads that all use a CPU, the heap and a lock; apart from it what a signal's frame takes of the thread's own stack.
A target missed is OVER, with --strict status 1.

    run_threads.py              some three minutes
    run_threads.py dump         one part of it: dump, life or memory
    run_threads.py -t 500 -n 51 another number of threads, more rounds
"""
import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import time

import paired

TARGET = 20
FORMS = ['goroutine?debug=2', 'goroutine?debug=1', 'goroutine']
# name, command, target of shim/plain
# So many rounds that the making of the threads, which churn measures, is nothing in the second.
LIVES = [('churn', ['thread_life', '-n', '20000'], 1.20),
         ('500 live', ['thread_life', '-m', 'live', '-n', '6000'], 1.05)]
MEMORY_KIB, MEMORY_ROUNDS = 8, 2        # it is the same to 0.1 KiB in each
HOST = os.path.join(paired.BUILD, 'test', 'host', 'threads_numbered')


def start(library, threads):
    """The host, and the port where it serves."""
    e = {**os.environ, **paired.ours(library)['shim'][0], 'PPROFSHIM_LOG': 'info'}
    host = subprocess.Popen([HOST, str(threads)], env=e, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    port = int(re.search(r'listening on \S+:(\d+)', host.stderr.readline())[1])
    assert host.stdout.readline() == 'ready\n'
    return host, port


def ask_ms(port, form, threads):
    begin = time.monotonic()
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    c.request('GET', '/debug/pprof/' + form)
    r = c.getresponse()
    body = r.read()
    took = (time.monotonic() - begin) * 1e3
    c.close()
    assert r.status == 200
    if 'debug=2' in form:
        # All of them, each with its stack.
        assert body.count(b'\ngoroutine ') == threads + 1 and b'unavailable' not in body
    return took


def files_ms(pid):
    out = subprocess.run(paired.bench_program(['read_stats', str(pid)]), stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    return float(re.search(r'ms=([\d.]+)', out)[1])


def quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return '%7.2f (%.2f to %.2f)' % (middle, low, high)


def measure_dumps(a):
    """True if the target is missed."""
    host, port = start(a.lib, a.threads)
    files, forms, missed = [], {f: [] for f in FORMS}, False
    try:
        for form in FORMS:
            ask_ms(port, form, a.threads)       # names are read once
        for _ in range(a.rounds):
            files.append(files_ms(host.pid))
            for form in FORMS:
                forms[form].append(ask_ms(port, form, a.threads))
    finally:
        host.kill()
    print('%d threads, %d rounds\n%-20s %s ms' % (a.threads, a.rounds, 'their stat files', quartiles(files)))
    for form, took in forms.items():
        ratios = [t / f for t, f in zip(took, files)]
        over = statistics.median(ratios) > TARGET
        missed |= over
        print('%-20s %s ms, times the files %s  target %d%s' % (form, quartiles(took), quartiles(ratios), TARGET,
                                                             '  OVER' if over else ''))
    return missed


def measure_lives(a):
    configs, table = paired.ours(a.lib), paired.Table()
    for name, command, target in LIVES:
        argv = paired.bench_program(command)
        runs = paired.interleaved(configs, a.rounds, lambda _, env: paired.Run(argv, env))
        table.ratios(name, configs, {c: [r.cpu for r in of] for c, of in runs.items()}, 'ns/op', target,
                     own={c: [r.says('cpu_ns_per_op') for r in of] for c, of in runs.items()})
    table.end(a.rounds, None)
    return table.missed > 0


def measure_memory(a):
    configs = paired.ours(a.lib)
    argv = paired.bench_program(['thread_memory'])
    runs = paired.interleaved(configs, MEMORY_ROUNDS, lambda _, env: paired.Run(argv, env))

    def more(what):
        with_us, without = (statistics.median(r.says(what) for r in runs[c]) for c in ('shim', 'plain'))
        return with_us - without
    ours, stack = more('other_kib'), more('stack_kib')
    missed = ours > MEMORY_KIB
    print('memory of ours, 500 threads: %.2f KiB each, target %g%s; of their own stacks %.2f'
          % (ours, MEMORY_KIB, '  OVER' if missed else '', stack))
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-t', '--threads', type=int, default=2000)
    parser.add_argument('-n', '--rounds', type=int, default=21)
    parser.add_argument('wanted', nargs='?', default='', choices=['', 'dump', 'life', 'memory'])
    parser.add_argument('--strict', action='store_true', help='status 1 if a target is missed')
    parser.add_argument('--lib', default=paired.LIBRARY)
    a = parser.parse_args()
    paired.check_library(a.lib)
    missed = a.wanted in ('', 'dump') and measure_dumps(a)
    missed |= a.wanted in ('', 'life') and measure_lives(a)
    missed |= a.wanted in ('', 'memory') and measure_memory(a)
    sys.exit(a.strict and missed)


if __name__ == '__main__':
    main()
