#!/usr/bin/env python3
"""run_http -- what it takes to fetch a heap profile of many stacks, from us and from Go's net/http/pprof;
what memory we take for it; and how long a small request waits meanwhile.

Both programs have as many live blocks by as many stacks, 20 calls deep, all sampled.  Requests take turns, so
that a busy machine is busy for both; each figure is the ratio of two that followed each other.

The small request is /healthz, of Go's server its cmdline, asked every millisecond by a process of its own: while
nothing else is asked, and while heap profiles are fetched without a pause.  Ours has more to do then: names of
200,000 functions are indexed and their tables compiled, and 2,000 threads are looked at for a wall-clock profile,
in programs that have just been started.  What we do wrong is in the worst wait of every round, what else runs on
the machine in some: the verdict is by the best round.

Fails if ours takes longer than Go's (the median of the ratios), if memory grows by more than 16 MiB or does not come
back, or if the worst wait of each round is more than 50 ms.  Where the spread is wide the machine is too busy to
tell."""
import argparse
import gzip
import http.client
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
sys.path.insert(0, os.path.join(TOP, 'test', 'bench', 'http'))
import heap_server  # noqa: E402

BUILD = os.path.realpath(os.path.join(TOP, os.environ.get('B', 'build')))
LISTENING = re.compile(r'listening on 127\.0\.0\.1:(\d+)')


PEAK_KIB, LEFT_KIB, WAIT_S = 16 << 10, 256, 0.050


def start(name, *arguments):
    """A program of test/host under the library, and its port."""
    env = dict(os.environ, LD_PRELOAD=os.path.join(BUILD, 'libpprofshim.so'), PPROFSHIM_HEAP_RATE='1',
               PPROFSHIM_ADDR='127.0.0.1:0', PPROFSHIM_LOG='info', PPROFSHIM_MEMORY='256m')
    p = subprocess.Popen([os.path.join(BUILD, 'test', 'host', name), *map(str, arguments)], env=env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return p, int(LISTENING.search(p.stderr.readline()).group(1))


def start_ours(stacks):
    p, port = start('many_stacks', stacks)
    assert p.stdout.readline() == 'ready\n'
    return p, port


def start_go(program, stacks):
    p = subprocess.Popen([program, str(stacks)], stdout=subprocess.PIPE, text=True)
    return p, int(p.stdout.readline())


def fetch(port, path='/debug/pprof/heap'):
    """(seconds, body), over a connection of its own, as pprof has."""
    began = time.monotonic()
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    c.request('GET', path)
    r = c.getresponse()
    body = r.read()
    took = time.monotonic() - began
    assert r.status == 200, (path, r.status, body[:200])
    c.close()
    return took, body


def status(pid):
    """{name: KiB} of /proc/PID/status."""
    with open('/proc/%d/status' % pid) as f:
        return {m.group(1): int(m.group(2)) for m in re.finditer(r'^(\w+):\s+(\d+) kB', f.read(), re.M)}


def own_cpu(port):
    text = fetch(port, '/metrics')[1].decode()
    return float(re.search(r'^pprofshim_desk_cpu_seconds_total (\S+)', text, re.M).group(1))


def resident(pid):
    """KiB, of all mappings: status counts in steps of some 100 KiB where there are many CPUs."""
    with open('/proc/%d/smaps_rollup' % pid) as f:
        return int(re.search(r'^Rss: +(\d+)', f.read(), re.M).group(1))


def measure_memory(p, port):
    """(peak, left) in KiB of resident memory that one request takes, once names are known."""
    fetch(port)
    time.sleep(0.1)
    before, exactly = status(p.pid)['VmRSS'], resident(p.pid)
    with open('/proc/%d/clear_refs' % p.pid, 'w') as f:
        f.write('5')                    # the peak begins anew
    fetch(port)
    time.sleep(0.1)
    return status(p.pid)['VmHWM'] - before, resident(p.pid) - exactly


# --- how long others wait ----------------------------------------------------------------------

def ask_often(port, path, seconds, out):
    """Sends a list of how long each answer took."""
    took, end = [], time.monotonic() + seconds
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    while time.monotonic() < end:
        began = time.monotonic()
        c.request('GET', path)
        r = c.getresponse()
        r.read()
        assert r.status == 200, (path, r.status)
        took.append(time.monotonic() - began)
        time.sleep(0.001)
    out.send(took)


def worst_wait(port, path, seconds, *busy):
    """The longest of many small requests, while others ask for busy, again and again; and how many."""
    here, there = multiprocessing.Pipe()
    asker = multiprocessing.Process(target=ask_often, args=(port, path, seconds, there))
    others = [multiprocessing.Process(target=fetch_often, args=(port, large, seconds)) for large in busy]
    for p in [asker] + others:
        p.start()
    there.close()                       # its end is seen, if it fails
    took = here.recv()
    for p in [asker] + others:
        p.join()
    return max(took), len(took)


def fetch_often(port, path, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fetch(port, path)


HEAP = '/debug/pprof/heap'
# What is new in each round: the program, its arguments, and what is asked for, again and again.
ROUNDS = (
    ('heap profiles', 'many_stacks', ('10000',), (HEAP, HEAP + '?debug=1')),
    ('names and tables', 'many_functions', ('0',), ('/debug/pprof/profile?seconds=1', HEAP)),
    ('2,000 threads', 'threads_numbered', ('2000',), ('/debug/pprof/wall?seconds=1&hz=1000',
                                                      '/debug/pprof/goroutine?debug=2')),
)


def say_waits(name, waits):
    print('%-28s %7.2f ms, the worst of %d (of each round: %s)' % (
        name, 1e3 * min(w for w, _ in waits), sum(n for _, n in waits),
        ' '.join('%.1f' % (1e3 * w) for w, _ in sorted(waits))))
    return min(w for w, _ in waits)


def measure_waits(ours, theirs, rounds, seconds):
    """The worst wait for our /healthz in the best round, of the work in which that is longest."""
    print('a small request waits, in the best of %d rounds:' % rounds)
    say_waits('  ours, nothing else', [worst_wait(ours, '/healthz', seconds) for _ in range(rounds)])
    if theirs is not None:
        cmdline = '/debug/pprof/cmdline'
        say_waits("  Go's, nothing else", [worst_wait(theirs, cmdline, seconds) for _ in range(rounds)])
        say_waits("  Go's, heap profiles", [worst_wait(theirs, cmdline, seconds, HEAP, HEAP + '?debug=1')
                                            for _ in range(rounds)])
    worst = []
    for name, program, arguments, busy in ROUNDS:
        waits = []
        for _ in range(rounds):
            p, port = start(program, *arguments)
            try:
                waits.append(worst_wait(port, '/healthz', seconds, *busy))
            finally:
                p.kill()
                p.wait()
        worst.append(say_waits('  ours, ' + name, waits))
    return max(worst)


def cpu_of(p):
    return time.clock_gettime(~p.pid << 3 | 2) if p is not None else 0   # its CLOCK_PROCESS_CPUTIME_ID


def say_cpu(name, seconds, rounds):
    print('%-28s %7.2f ms a request' % (name, 1e3 * seconds / rounds))


def say(name, seconds):
    q = statistics.quantiles(seconds, n=4)
    print('%-28s %7.2f ms (quartiles %.2f to %.2f; least %.2f)' %
          (name, 1e3 * q[1], 1e3 * q[0], 1e3 * q[2], 1e3 * min(seconds)))


def sizes(name, body):
    print('%-28s %d bytes, %d without gzip' % (name, len(body), len(gzip.decompress(body))))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('-s', '--stacks', type=int, default=10000)
    a.add_argument('-n', '--rounds', type=int, default=40)
    a.add_argument('-w', '--waits', type=int, default=5, help='rounds of small requests')
    a.add_argument('--seconds', type=float, default=2.5, help='of such a round')
    args = a.parse_args()
    go, why = heap_server.find_go()
    ours, port = start_ours(args.stacks)
    theirs = None
    try:
        first = fetch(port)
        print('%d stacks; the first request, which reads symbols, takes %.2f ms' % (args.stacks, 1e3 * first[0]))
        sizes('our heap profile', first[1])
        times, ratios = ([], []), []
        if go is None:
            print('ours only: %s' % why)
        else:
            theirs, go_port = start_go(heap_server.build(go, os.path.join(BUILD, 'test', 'bench', 'http')),
                                       args.stacks)
            sizes("Go's (%s)" % why, fetch(go_port)[1])
        cpu, go_cpu = own_cpu(port), cpu_of(theirs)
        for i in range(args.rounds):
            if theirs is not None and i % 2:
                times[1].append(fetch(go_port)[0])
            times[0].append(fetch(port)[0])
            if theirs is not None and i % 2 == 0:
                times[1].append(fetch(go_port)[0])
        say('ours', times[0])
        say_cpu('CPU time of our thread', own_cpu(port) - cpu, args.rounds)
        if theirs is not None:
            say("Go's", times[1])
            say_cpu("CPU time of Go's process", cpu_of(theirs) - go_cpu, args.rounds)
            ratios = sorted(o / t for o, t in zip(*times))
            q = statistics.quantiles(ratios, n=4)
            print('%-28s %7.2f    (quartiles %.2f to %.2f)' % ("ours to Go's", q[1], q[0], q[2]))
        peak, left = measure_memory(ours, port)
        print('%-28s %7.2f MiB; %.2f MiB of it is kept' % ('peak memory of a request', peak / 1024, left / 1024))
        wait = measure_waits(port, go_port if theirs is not None else None, args.waits, args.seconds)
        good = {'not slower than Go': not ratios or statistics.median(ratios) <= 1,
                'memory': peak <= PEAK_KIB, 'memory comes back': left <= LEFT_KIB, 'waits': wait <= WAIT_S}
        bad = [name for name, is_so in good.items() if not is_so]
        print('beyond its limit: ' + ', '.join(bad) if bad else 'all within their limits')
        return 1 if bad else 0
    finally:
        for p in (ours, theirs):
            if p is not None:
                p.kill()
                p.wait()


if __name__ == '__main__':
    sys.exit(main())
