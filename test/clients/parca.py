#!/usr/bin/python3
"""parca.py [SECONDS] -- Parca scrapes redis under the library for so long (60), every default profile and fgprof; then its
API must know each of their types and answer with redis' function names.

Needs redis and Go 1.25 (go.dev/dl; Debian 12's is 1.19): Parca is built from the module proxy, which takes some ten minutes and
3 GB of memory the first time. It listens on loopback only, and asks no server for debug information."""
import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'e2e'), os.path.join(HERE, '..', 'lint')]
sys.dont_write_bytecode = True

from golang import PARCA, PATIENCE_OF_A_TARGET, Missing, built  # noqa: E402
from hosts import Host, eventually, program  # noqa: E402
from profile_message import Read, decode  # noqa: E402

CONFIG = """
object_storage:
  bucket: {type: FILESYSTEM, config: {directory: "%(directory)s/data"}}
scrape_configs:
  - job_name: redis
    scrape_interval: 5s
    scrape_timeout: 15s
    static_configs: [{targets: ["%(target)s"]}]
    profiling_config:
      pprof_config:
        fgprof: {enabled: true, path: /debug/fgprof, delta: true}
"""
# The names that its pages know, and of each a function of redis that must be in it.
TYPES = {
    'process_cpu:cpu:nanoseconds:cpu:nanoseconds:delta': 'processCommand',
    'process_cpu:samples:count:cpu:nanoseconds:delta': 'processCommand',
    'memory:inuse_space:bytes:space:bytes': 'main',
    'memory:inuse_objects:count:space:bytes': 'main',
    'memory:alloc_space:bytes:space:bytes': 'processCommand',
    'memory:alloc_objects:count:space:bytes': 'processCommand',
    'block:delay:nanoseconds:contentions:count': None,
    'block:contentions:count:contentions:count': None,
    'mutex:delay:nanoseconds:contentions:count': None,
    'mutex:contentions:count:contentions:count': None,
    'goroutine:goroutine:count:goroutine:count': 'aeMain',
    'fgprof:time:nanoseconds:wallclock:nanoseconds:delta': 'aeMain',
    'fgprof:samples:count:wallclock:nanoseconds:delta': 'aeMain',
}


class Parca:
    def __init__(self, path, directory, target):
        with open(os.path.join(directory, 'parca.yaml'), 'w') as f:
            f.write(CONFIG % {'directory': directory, 'target': target})
        with socket.socket() as free:       # its API calls itself by the address of its option: port 0 does not do
            free.bind(('127.0.0.1', 0))
            self.address = '127.0.0.1:%d' % free.getsockname()[1]
        self.log = open(os.path.join(directory, 'parca.log'), 'w+')
        self.process = subprocess.Popen(
            [path, '--config-path=' + f.name, '--http-address=' + self.address, '--debuginfod-upstream-servers=',
             '--debuginfo-cache-dir=' + directory, '--log-level=debug'],
            cwd=directory, stdout=self.log, stderr=self.log)
        eventually('Parca answers', self._answers)

    def said(self):
        with open(self.log.name) as f:
            return f.read()

    def _answers(self):
        assert self.process.poll() is None, self.said()[-2000:]
        try:
            return self.get('/profiles/types') is not None
        except OSError:
            return False

    def get(self, path, **query):
        url = 'http://%s/api%s?%s' % (self.address, path, urllib.parse.urlencode(query))
        with urllib.request.urlopen(url, timeout=60) as r:
            return json.load(r)

    def merged(self, kind, since):
        """All that it has of a type, as a profile."""
        query = '%s{job="redis"}' % kind
        got = self.get('/profiles/query', mode='MODE_MERGE', **{
            'merge.query': query, 'merge.start': stamp(since), 'merge.end': stamp(time.time()),
            'reportType': 'REPORT_TYPE_PPROF'})
        return Read(decode(base64.b64decode(got['pprof'])))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def stamp(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(seconds))


def loaded_redis(directory):
    """(redis under the library, who keeps it busy)."""
    sock = os.path.join(directory, 'redis.sock')
    redis = Host(['redis-server', '--port', '0', '--unixsocket', sock, '--save', '', '--appendonly', 'no'])
    eventually('redis listens', lambda: os.path.exists(sock))
    load = subprocess.Popen([program('redis-benchmark'), '-s', sock, '-q', '-l', '-r', '100000', '-d', '200', '-n', '100000',
                             '-t', 'set,get,lpush,hset,zadd'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return redis, load


def judge(parca, since):
    """What is wrong."""
    bad = []
    targets = parca.get('/targets')['targets']['redis']['targets']
    print('%d targets: %s' % (len(targets), ', '.join(sorted(
        '%s %s' % (re.search('[a-z]+$', urllib.parse.urlsplit(t['url']).path).group(), t['health']) for t in targets))))
    bad += [t for t in targets if t.get('lastError') or t['health'] != 'HEALTH_GOOD']
    known = {':'.join(filter(None, (t['name'], t['sampleType'], t['sampleUnit'], t['periodType'], t['periodUnit'],
                                    'delta' if t.get('delta') else ''))) for t in parca.get('/profiles/types')['types']}
    for kind, function in sorted(TYPES.items()):
        # Nothing in redis waits for a lock: a profile without samples is stored as nothing.
        if kind not in known:
            print('%-55s %s' % (kind, 'no samples' if function is None else 'IS NOT KNOWN'))
            bad += [kind] if function is not None else []
            continue
        if function is None:
            print('%-55s known' % kind)
            continue
        p = parca.merged(kind, since)
        names = {name for s in p.samples for name in s.frames}
        top = sorted((x for x in p.flat(p.types[0][0]).items()), key=lambda x: -x[1])[:4]
        print('%-55s %d stacks, %d functions, %s; most in %s' % (
            kind, len(p.samples), len(names), 'has ' + function if function in names else 'HAS NO ' + function,
            ', '.join(name for name, _ in top)))
        bad += [kind] if function not in names else []
    bad += sorted(known - set(TYPES))
    return bad


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    try:
        path = built(*PARCA, patience=PATIENCE_OF_A_TARGET)
    except Missing as e:
        print('parca: %s' % e)
        return 2
    with tempfile.TemporaryDirectory(prefix='parca') as directory:
        redis, load = loaded_redis(directory)
        parca = None
        try:
            since = time.time() - 1
            parca = Parca(path, directory, '%s:%d' % (redis.desk.host, redis.desk.port))
            print('Parca %s at %s scrapes redis at %s for %d s' % (PARCA[1], parca.address, redis.desk, seconds), flush=True)
            time.sleep(seconds)
            bad = judge(parca, since)
            if bad:
                print(parca.said()[-3000:])
        finally:
            load.kill()
            load.wait()
            if parca:
                parca.stop()
            redis.stop()
    print('wrong: %s' % bad if bad else 'right')
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
