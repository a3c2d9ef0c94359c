"""Torture for the lock profiles: thirty-two threads use every kind of lock, allocate under them, load and unload
libraries, fork, cancel and die with a lock (torture/lock_storm.c), with every wait and every block sampled and a
thousand ticks a second, on libc's allocator and on two whose own locks come through our doors.

Nobody is stuck, nothing that a lock guards is lost, and all profiles can be had all the time.  Five seconds for
each; `make torture` gives a minute (TORTURE_SECONDS)."""
import os
import time

import pytest

from clients import Clients
from hosts import BUILD, eventually
from test_real_programs import library

SECONDS = int(os.environ.get('TORTURE_SECONDS', '5'))
TORTURE = os.path.join(BUILD, 'test', 'torture')
HIGHEST = {'BLOCK_RATE': '1ns', 'MUTEX_FRACTION': 1, 'HEAP_RATE': 1, 'CPU_HZ': 1000}


class LockClients(Clients):
    PATHS = ('block', 'mutex', 'block?debug=1', 'profile?seconds=1', 'mutex?seconds=1', 'heap')


# Not make_thread's joins: of some thousands among millions of waits none may have been chosen.
SITES = {'block': ('use_mutex', 'use_rwlock', 'use_futex', 'produce', 'answer'),
         'mutex': ('use_mutex', 'use_rwlock')}


def all_seen(host):
    return all(p.total('contentions', having=site) > 0
               for p, sites in ((host.profile(name), sites) for name, sites in SITES.items()) for site in sites)


@pytest.mark.parametrize('allocator', ['libc', 'jemalloc', 'tcmalloc'])
def test_nobody_is_stuck(start, allocator):
    how = {} if allocator == 'libc' else {'after': library(allocator)}
    # It goes on until it is told: on a busy machine its answers may take longer.
    began = time.monotonic()
    h = start([os.path.join(TORTURE, 'lock_storm'), TORTURE, 0], **how, **HIGHEST)
    clients = LockClients(h.desk)
    clients.have_got(3)
    eventually('all of %s are seen' % SITES, lambda: all_seen(h))
    time.sleep(max(0, SECONDS - (time.monotonic() - began)))
    h.end_of_input()
    eventually('it ends', lambda: not h.alive(), 90)
    clients.stop()
    assert (h.process.returncode, h.stdout.splitlines()[-1]) == (0, '32 threads, none is stuck'), h.stdout[-500:]
    assert ' 0\n' not in h.stdout       # each role has had its turn
