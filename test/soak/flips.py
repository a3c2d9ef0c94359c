#!/usr/bin/python3
"""flips.py [SECONDS [SEED]] -- changed requests (e2e/mutants.py) by TCP and by a unix socket, all the time (300 s): against redis under
the library, against a program that computes, and against the sanitized desk (desk_alone.c).

Fails if one of them ends, answers wrongly or not at all, or has more memory or descriptors afterwards; if redis does not do its
work meanwhile; or if a sanitizer has something to say.  B: the folder of the build."""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'e2e'), os.path.join(HERE, '..', 'lint')]
sys.dont_write_bytecode = True

from hosts import BUILD, Host, eventually  # noqa: E402
from mutants import Siege, tcp_of  # noqa: E402

MEMORY_MIB = 8          # of the ground's tables
NOISE_KIB = 4096        # names, arenas of answers
SANITIZER = re.compile(r'AddressSanitizer|runtime error|LeakSanitizer')


class Redis:
    """Its own work, on one connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.lock, self.n = threading.Lock(), 0

    def is_right(self):
        with self.lock:
            self.n += 1
            self.socket.sendall(b'SET key %d\r\nGET key\r\nINCR count\r\n' % self.n)
            expected = b'+OK\r\n$%d\r\n%d\r\n:%d\r\n' % (len(b'%d' % self.n), self.n, self.n)
            answer = b''
            while len(answer) < len(expected):
                answer += self.socket.recv(4096)
            return answer == expected


def besiege(name, pid, addresses, seed, is_right, seconds, grows_kib, results):
    try:
        results[name] = Siege(pid, addresses, seed, is_right, grows_kib).run(seconds)
    except AssertionError as e:
        results[name] = 'FAILED: %s' % e


def shimmed(argv, directory, name):
    path = os.path.join(directory, name + '.sock')
    host = Host(argv, wait=False, ADDR='127.0.0.1:0,unix:' + path, CPU_HZ=100, MEMORY='%dm' % MEMORY_MIB)
    address = eventually('%s listens' % name, lambda: tcp_of(host.stderr))
    return host, [address, path]


def sanitized(directory):
    path = os.path.join(directory, 'alone.sock')
    log = os.path.join(directory, 'alone.log')
    program = os.path.join(BUILD, 'asan', 'test', 'soak', 'desk_alone')
    with open(log, 'wb') as err:
        p = subprocess.Popen([program, '127.0.0.1:0,unix:' + path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             stderr=err, env={'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'})
    address = eventually('the sanitized desk listens', lambda: tcp_of(open(log).read()))
    return p, log, [address, path]


def main(seconds=300, seed=None):
    seconds, seed = float(seconds), int(seed or time.time())
    print('seed %d' % seed, flush=True)
    directory = tempfile.mkdtemp(prefix='pprofshim-flips-')
    redis_path = os.path.join(directory, 'redis')
    redis, redis_at = shimmed(['redis-server', '--port', '0', '--unixsocket', redis_path, '--save', '', '--appendonly', 'no'],
                              directory, 'shim-redis')
    spin, spin_at = shimmed(['deep_stack', 'spin'], directory, 'shim-spin')
    alone, log, alone_at = sanitized(directory)
    eventually('redis listens', lambda: os.path.exists(redis_path))
    grows = MEMORY_MIB * 1024 + NOISE_KIB
    results = {}
    threads = [threading.Thread(target=besiege, args=(*how, seconds, grows, results)) for how in (
        ('redis', redis.pid, redis_at, seed, Redis(redis_path).is_right),
        ('deep_stack', spin.pid, spin_at, seed + 10, spin.alive),
        ('sanitized desk', alone.pid, alone_at, seed + 20, lambda: alone.poll() is None))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    alone.stdin.close()
    if alone.wait(60) != 0:
        results['end of the sanitized desk'] = 'FAILED: status %d' % alone.returncode
    with open(log) as f:
        said = f.read()
    if SANITIZER.search(said):
        results['sanitizer'] = 'FAILED: ' + said[-5000:]
    for host in (redis, spin):
        host.stop()
    shutil.rmtree(directory, ignore_errors=True)
    for name, line in results.items():
        print('%-15s %s' % (name, line))
    return any(line.startswith('FAILED') for line in results.values())


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
