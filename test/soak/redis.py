#!/usr/bin/python3
"""redis.py [MEBIBYTES [RATE]] -- redis with so much in it (1024, and half as much again), sampled at RATE (65536):
prints what the profile says beside redis' used_memory, and what of the resident memory is which.

Fails if they differ by more than 3 %, or if jemalloc has mapped what the profile `mmap` has not seen.  A standard
deviation is 0.75 % (it is printed), and blocks lose 0.3 % to their classes: by chance one run in 5,000 fails."""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'e2e'), os.path.join(HERE, '..', 'lint')]
sys.dont_write_bytecode = True

from redis_memory import Redis, phases  # noqa: E402


def main():
    mebibytes, rate = (int(x) for x in (sys.argv[1:] + ['1024', '65536'][len(sys.argv) - 1:])[:2])
    bad = 0
    with tempfile.TemporaryDirectory(prefix='soak') as directory:
        redis = Redis(rate, directory)
        try:
            for name, f in phases(redis, mebibytes):
                print('%s: %r' % (name, f), flush=True)
                compared = f.asked if name == 'filling' else f.given
                bad += (abs(compared / f.used - 1) > 0.03 or f.lost != [] or
                        f.mapped < f.info['allocator_resident'])
        finally:
            redis.stop()
    print('wrong: %d' % bad if bad else 'right')
    return bad != 0


if __name__ == '__main__':
    sys.exit(main())
