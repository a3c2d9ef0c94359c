"""Heaps that no door of ours sees: the index and the profile say which, and why it is empty."""
import os
import subprocess

import pytest

from test_presence_libraries import built, ends_well, installed  # noqa: F401

LINE = 'heap_unseen '


def unseen(h):
    """What the index says, as (name, sentence)."""
    text = h.get('/debug/pprof/').text
    return [tuple(x.split('</li>')[0].split(': ', 1)) for x in text.split('<li>' + LINE)[1:]]


def comments(h, path='heap'):
    return [c for c in h.profile(path).comments if c.startswith('heap_unseen: ')]


@pytest.mark.parametrize('name, flags', [
    ('_rjem_malloc', ['-DPREFIX(x)=_rjem_##x']),
    ('je_malloc', ['-DPREFIX(x)=je_##x', '-DHIDDEN']),
    ('mi_malloc', ['-DPREFIX(x)=mi_##x', '-rdynamic', '-s']),     # stripped, but exported
    ('malloc', ['-DHIDDEN']),
])
def test_linked_into_the_program(built, start, name, flags):  # noqa: F811
    h = start([built('prefixed' + name + '_'.join(f.strip('-') for f in flags[1:]), 'prefixed.c', *flags)],
              HEAP_RATE=1)
    h.wait_for_output('ready')
    assert h.profile('heap').total('inuse_space', having='hold_here') == 0, 'then there is nothing to say'
    assert [n for n, _ in unseen(h)] == [name]
    for path in ('heap', 'allocs', 'heap?seconds=1'):
        assert [c.split(': ')[1] for c in comments(h, path)] == [name], path
    assert not [c for c in h.profile('profile?seconds=1').comments if 'unseen' in c]
    # That malloc which the doors of others would find is something else.
    assert 'heap_shadowed' not in h.get('/debug/pprof/').text
    ends_well(h, 0)


def test_malloc_of_the_program_is_named_and_counted(built, start):  # noqa: F811
    """What it exports is everybody's, also its libraries'."""
    h = start([built('own_functions', 'own_functions.c', '-rdynamic')], HEAP_RATE=1)
    h.wait_for_output('ready')
    assert [n for n, _ in unseen(h)] == ['malloc'] and len(comments(h)) == 1
    assert 'heap_shadowed' in h.get('/debug/pprof/').text
    ends_well(h, 5)


def test_library_under_another_name(built, start):  # noqa: F811
    """A plugin that brings one; seen from when it is there."""
    lib = built('prefixed_rjem.so', 'prefixed.c', '-DPREFIX(x)=_rjem_##x', '-Dmain=its_main')
    h = start([built('loads_it', 'prefixed_user.c', lib, '-Wl,-rpath,$ORIGIN')], HEAP_RATE=1)
    h.wait_for_output('ready')
    assert [n for n, _ in unseen(h)] == ['_rjem_malloc'] and len(comments(h)) == 1
    ends_well(h, 0)


@pytest.mark.parametrize('name', ['libjemalloc.so.2', 'libtcmalloc_minimal.so.4'])
def test_allocators_behind_our_doors_are_seen(start, name):
    """They have both names; libtcmalloc exports tc_malloc."""
    h = start(['hold_heap'], after=installed(name), HEAP_RATE=1)
    assert unseen(h) == [] and comments(h) == []
    assert 'heap_shadowed' not in h.get('/debug/pprof/').text


def test_names_alone_say_nothing(start, tmp_path):
    """A reference that is not defined, a string, a name that ends so: libc has them all."""
    source = tmp_path / 'calls.c'
    source.write_text('void *mi_malloc(unsigned long) __attribute__((weak));\n'
                      'void *my_tc_malloc(void); void *my_tc_malloc(void) { return 0; }\n'
                      'char rpmalloc[8] = "je_malloc";\n'
                      '#include <stdio.h>\n'
                      'int main(void) { puts(mi_malloc ? "has" : "ready"); fflush(stdout);'
                      ' return getchar() + !my_tc_malloc() - !rpmalloc[0]; }\n')
    target = str(tmp_path / 'calls')
    subprocess.run([os.environ.get('CC', 'cc'), '-O0', '-o', target, str(source)], check=True)
    symbols = subprocess.run(['nm', target], capture_output=True, text=True, check=True).stdout
    assert ' w mi_malloc' in symbols and ' rpmalloc' in symbols
    h = start([target])
    assert unseen(h) == []
    assert comments(h) == []
