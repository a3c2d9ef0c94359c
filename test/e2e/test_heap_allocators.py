"""Every allocator that a distribution has does the same with us as without, at its edges and under stress, on
either side of us; behind us its blocks are counted."""
import os
import re

import pytest

from hosts import BUILD, run
from test_presence_libraries import installed

STRESS = os.path.join(BUILD, 'test', 'torture', 'heap_stress')
HOSTS = {'stress': [STRESS, 16, 4, 6], 'semantics': ['malloc_semantics', 'apart']}
LIBRARIES = {'glibc': '', 'jemalloc': 'libjemalloc.so.2', 'tcmalloc_minimal': 'libtcmalloc_minimal.so.4',
             'tcmalloc': 'libtcmalloc.so.4', 'mimalloc': 'libmimalloc.so.2'}
EVERYTHING = {'HEAP_RATE': 1, 'CPU_HZ': 1000}


def library(name):
    return LIBRARIES[name] and installed(LIBRARIES[name])


@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.parametrize('order', ['after', 'before'])
@pytest.mark.parametrize('name', LIBRARIES)
def test_the_same_results(name, order, host):
    """In the order `before` its doors are found first."""
    how = {order: library(name)}
    plain = run(HOSTS[host], shim=False, **how)
    assert plain.status == 0 and plain.stdout.count('\n') >= (1 if host == 'stress' else 100)
    assert run(HOSTS[host], **how) == plain
    assert run(HOSTS[host], **EVERYTHING, **how) == plain


@pytest.mark.parametrize('name', LIBRARIES)
def test_stress_is_counted(start, name):
    """At rate 1, to the object and to the byte; and all of it is freed."""
    h = start(HOSTS['stress'], after=library(name), HEAP_RATE=1)
    h.wait_for_output('allocated ')
    objects, space, freed, wrong = map(int, re.findall(r'\d+', h.stdout))
    assert wrong == 0 and freed == objects > 200000
    p = h.profile('heap')
    having = {v: sum(p.total(v, having=site) for site in ('take', 'resize')) for v in p.samples[0].values}
    assert having == {'alloc_objects': objects, 'alloc_space': space, 'inuse_objects': 0, 'inuse_space': 0}
    assert not [c for c in p.comments if re.match(r'heap_\w+: ', c)]


@pytest.mark.parametrize('name', [n for n in LIBRARIES if n != 'glibc'])
def test_in_front_of_us_it_is_named(start, name):
    h = start(HOSTS['stress'], before=library(name), HEAP_RATE=1)
    h.wait_for_output('allocated ')
    assert h.profile('heap').total('alloc_objects', having='take') == 0
    assert 'heap_shadowed' in h.get('/debug/pprof/').text
