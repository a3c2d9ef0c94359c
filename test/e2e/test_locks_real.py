"""Locks of programs that others have written: the hot one is there by its name."""
import collections

from mariadb import Client, Load, start_server
from undisturbed import at_least, undisturbed

SPINS = '''
import sys, threading
def spins():
    while True:
        for i in range(1000): pass
for i in range(3): threading.Thread(target=spins, daemon=True).start()
print('ready', flush=True)
sys.stdin.read()
'''


def by_lock(p):
    """{name of the global, without what is inside of it: ns}, longest first."""
    sums = collections.Counter()
    for s in p.samples:
        sums[s.labels.get('lock', '').split('+')[0]] += s.values['delay']
    return sums.most_common()


@undisturbed
def test_python_threads_wait_for_the_gil(start):
    """Of three threads that compute one has the interpreter's lock, and two wait on its condition."""
    h = start(['/usr/bin/python3', '-c', SPINS])
    h.wait_for_output('ready')
    p = h.profile('block?seconds=4&labels=lock')
    # Less on a machine that lets them wait for a processor.
    waited = p.total('delay', having='_PyEval_EvalFrameDefault') / p.duration_nanos
    assert waited < 2.1
    at_least(waited, 1)
    name, ns = by_lock(p)[0]
    assert name == '_PyRuntime' and ns > 0.9 * p.total('delay'), by_lock(p)
    # Nobody holds a condition.
    assert h.profile('mutex').total('delay') < 0.1 * ns


def test_mariadb_waits_for_its_query_cache(start, tmp_path):
    """Eight clients ask what the cache knows: it has one lock."""
    h, path = start_server(start, tmp_path, '--query-cache-type=1', '--query-cache-size=1M')
    c = Client(path)
    c.ask('create database d')
    c.ask('create table d.t (a int)')
    c.ask('insert into d.t values (1), (2), (3)')
    load = Load(path, 8, 'select a, count(*) from d.t group by a')
    try:
        # In five seconds it is held by somebody else some 35 times; on a busy machine four times, or once.
        for _ in range(12):
            p = h.profile('mutex?seconds=5&labels=lock')
            if p.total('contentions') >= 10:
                break
    finally:
        load.stop()
    assert load.asked > 1000
    name, ns = by_lock(p)[0]
    assert name == 'query_cache' and ns > 0.5 * p.total('delay'), by_lock(p)[:5]
    holders = {f for s in p.samples if s.labels.get('lock', '').startswith('query_cache') for f in s.frames}
    assert any(f.startswith('Query_cache::') for f in holders), holders
    assert h.alive()
