"""redis_memory -- Debian's redis, full of values, and what it and its allocator say of the memory beside what the
heap profile says.  Used by test_heap_real.py and soak/redis.py.

redis counts the blocks that jemalloc gave it (used_memory), the profile counts what was asked for.  Where that lies
between two of jemalloc's classes of sizes, Figures.given has the larger one.

What is resident beyond used_memory has three parts: places in jemalloc's pages that hold no block
(allocator_frag_bytes), pages of jemalloc that hold no block and were not given back (allocator_rss_bytes; it
counts some that nobody has touched), and what is not jemalloc's: code, stacks, our tables."""
import math
import os
import random
import re
import socket
import time

from hosts import Host, eventually, program

# A value of more than 255 bytes has 5 before it and 1 after it: these fill classes of jemalloc.
FILLING = (4096 - 6, 16384 - 6)


def class_of(size):
    """Four classes to a doubling, above 128 bytes; below it all multiples of 16, and 8."""
    if size <= 8:
        return 8
    step = max(16, 1 << ((size - 1).bit_length() - 3))
    return -(-size // step) * step


class Redis:
    def __init__(self, rate, directory):
        path = os.path.join(directory, 'redis.sock')
        self.rate = rate
        self.host = Host([program('redis-server'), '--port', '0', '--unixsocket', path, '--save', '',
                          '--appendonly', 'no', '--dir', directory], HEAP_RATE=rate)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        eventually('redis listens', lambda: self.socket.connect_ex(path) == 0)
        self.file = self.socket.makefile('rb')
        self.keys = []

    @staticmethod
    def command(*words):
        words = [w if isinstance(w, bytes) else w.encode() for w in words]
        return b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words)

    def do(self, commands):
        """Each has an answer of one line."""
        for i in range(0, len(commands), 200):
            batch = commands[i:i + 200]
            self.socket.sendall(b''.join(batch))
            for _ in batch:
                answer = self.file.readline()
                assert answer[:1] in b'+:', answer

    def set(self, sizes):
        """Values of those sizes, each under a key of its own."""
        for i in range(0, len(sizes), 1000):
            keys = ['key:%08d' % n for n in range(len(self.keys), len(self.keys) + len(sizes[i:i + 1000]))]
            self.do([self.command('SET', k, b'x' * n) for k, n in zip(keys, sizes[i:i + 1000])])
            self.keys += keys

    def delete(self, keys):
        self.do([self.command('DEL', k) for k in keys])

    def info(self):
        self.socket.sendall(self.command('INFO', 'memory'))
        text = self.file.read(int(self.file.readline()[1:]) + 2).decode()
        return {m[1]: int(m[2]) for m in re.finditer(r'^(\w+):(\d+)\r$', text, re.M)}

    def memory(self):
        """INFO memory.  redis looks at its allocator ten times a second, but answers first if it has just got a CPU: the
        second answer is of a later round."""
        time.sleep(0.3)
        self.info()
        return self.info()

    def stop(self):
        self.socket.close()
        self.host.stop()


class Figures:
    """Bytes.  asked, given: by the profile; one standard deviation of these; mapped: by jemalloc, says the profile
    `mmap`; info: what redis says."""

    def __init__(self, redis):
        self.info = redis.memory()
        p, mapped = redis.host.profile('heap'), redis.host.profile('mmap')
        self.asked = p.total('inuse_space')
        self.used, self.resident = self.info['used_memory'], self.info['used_memory_rss']
        self.given, variance = 0, 0.0
        for s in p.samples:
            n, size = s.values['inuse_objects'], s.labels['bytes']
            # That of n draws with p = 1 - exp(-size / rate), each of which stands for size / p.
            variance += n * size * size / math.expm1(size / redis.rate)
            self.given += n * class_of(size)
        self.deviation = math.sqrt(variance)
        self.mapped = sum(s.values['inuse_space'] for s in mapped.samples if 'libjemalloc' in s.files[0])
        self.lost = [c for c in p.comments if re.match(r'heap_\w+: \d', c)]

    def __repr__(self):
        i = self.info
        return ('asked for %.1f MB (%+.2f %% of used_memory), with classes %.1f (%+.2f %%; one standard deviation: '
                '%.2f %%), used_memory %.1f\n  resident %.1f = used_memory + places without a block %.1f + pages '
                'without one %.1f + not jemalloc\'s %.1f;  jemalloc has mapped %.1f' % (
                    self.asked / 1e6, 100 * (self.asked / self.used - 1), self.given / 1e6,
                    100 * (self.given / self.used - 1), 100 * self.deviation / self.used, self.used / 1e6,
                    self.resident / 1e6, (i['allocator_active'] - self.used) / 1e6,
                    (i['allocator_resident'] - i['allocator_active']) / 1e6,
                    (self.resident - i['allocator_resident']) / 1e6, self.mapped / 1e6))


def phases(redis, mebibytes):
    """(name, Figures): values that fill a class of jemalloc; of all sizes, half as much; two in three of these gone."""
    half = (mebibytes << 20) // 2
    redis.set([n for n in FILLING for _ in range(half // n)])
    yield 'filling', Figures(redis)
    roll, sizes, filling = random.Random(1), [], len(redis.keys)
    while half > 0:
        sizes.append(int(math.exp(roll.uniform(math.log(60), math.log(20000)))))
        half -= sizes[-1]
    redis.set(sizes)
    yield 'all sizes', Figures(redis)
    redis.delete([k for k in redis.keys[filling:] if roll.random() < 2 / 3])
    yield 'with holes', Figures(redis)
