"""PPROFSHIM_UNWINDER=libunwind: the same profiles by that library, which is opened only then; what is said
of it, and what is done where it is not there."""
import re
import subprocess

import pytest

from hosts import eventually, run
from undisturbed import at_least, at_most, undisturbed

PYTHON = '/usr/bin/python3'

# Ends each stack at its leaf: where stacks have one frame, this library has walked them.
FAKE = r'''
#define UNW_LOCAL_ONLY
#include <libunwind.h>
static int access_mem(unw_addr_space_t s, unw_word_t a, unw_word_t *v, int w, void *x) { return -1; }
static struct { unw_accessors_t acc; } space = { { .access_mem = access_mem } };
unw_addr_space_t unw_local_addr_space = (unw_addr_space_t)&space;
unw_accessors_t *unw_get_accessors(unw_addr_space_t s) { return &space.acc; }
int unw_init_local2(unw_cursor_t *c, unw_context_t *u, int f) { c->opaque[0] = (unw_word_t)u; return 0; }
int unw_get_reg(unw_cursor_t *c, unw_regnum_t r, unw_word_t *v)
{
	ucontext_t *u = (ucontext_t *)c->opaque[0];
	*v = u->uc_mcontext.gregs[r == UNW_REG_IP ? REG_RIP : REG_RSP];
	return 0;
}
int unw_is_signal_frame(unw_cursor_t *c) { return 0; }
#ifndef WITHOUT_STEP
int unw_step(unw_cursor_t *c) { return 0; }
#endif
'''


@pytest.fixture
def fake(tmp_path):
    """A directory for LD_LIBRARY_PATH; what is in place of libunwind there."""
    def build(*flags, empty=False):
        target = str(tmp_path / 'libunwind.so.8')
        if empty:
            open(target, 'w').close()
        else:
            source = tmp_path / 'fake.c'
            source.write_text(FAKE)
            subprocess.run(['cc', '-shared', '-fPIC', '-w', '-D_GNU_SOURCE', *flags, '-o', target, str(source)], check=True)
        return {'LD_LIBRARY_PATH': str(tmp_path)}
    return build


def sampled(desk, some=lambda p: p.samples):
    """A profile of a window with some samples: a busy machine may give a host nothing for a second."""
    def one():
        p = desk.profile('profile?seconds=1')
        return p if some(p) else None
    return eventually('samples', one)


def depths(profile, leaf):
    found = {len(s.frames) for s in profile.samples if s.frames[0] == leaf}
    assert found, [s.frames for s in profile.samples][:5]
    return found


def said(host):
    return [x for x in host.log if 'UNWINDER' in x]


# --- with it ---

def spins_of(p):
    return [s for s in p.samples if s.frames[0] == 'deep_spin']


def test_a_c_program(start):
    h = start(['deep_stack', 'spin'], UNWINDER='libunwind', HEAP_RATE=1)
    h.wait_for_output('ready')
    levels = ['level_%02d' % n for n in range(50, 0, -1)]
    cpu = sampled(h, spins_of)
    for s in spins_of(cpu):
        assert s.frames[1:51] == levels and s.frames[51] == 'main' and s.frames[-1] == '_start'
    s = next(s for s in h.profile('heap').samples if s.frames[0] == 'deep_malloc')
    assert s.frames[1:51] == levels and s.frames[-1] == '_start'
    assert len(said(h)) == 1 and 'not safe in signal handlers' in said(h)[0]
    assert 'libunwind.so.8' in open('/proc/%d/maps' % h.pid).read()


def test_python(start):
    """Through the interpreter and its libraries to the end of the stack."""
    code = 'import json\nx = list(range(1000))\nprint("ready", flush=True)\nwhile True: json.loads(json.dumps(x))'
    h = start([PYTHON, '-c', code], UNWINDER='libunwind', HEAP_RATE='64k')
    h.wait_for_output('ready')
    all_of_it, whole = [], []

    def enough():
        p = h.profile('profile?seconds=2')
        all_of_it.extend(s.values['samples'] for s in p.samples)
        whole.extend(s.values['samples'] for s in p.samples
                     if s.frames[-1] == '_start' and '_PyEval_EvalFrameDefault' in s.frames)
        return sum(all_of_it) > 50
    eventually('samples', enough)
    assert sum(whole) > 0.9 * sum(all_of_it)
    assert any(s.frames[-1] == '_start' for s in h.profile('heap').samples)


@undisturbed
def test_as_many_ticks(start):
    """In a walk it blocks all signals and lets them in again.  Were that the program's doing, the timer
    would stop and begin anew each time."""
    h = start(['deep_stack', 'spin'], UNWINDER='libunwind')
    h.wait_for_output('ready')
    p, used, outside = h.profile_and_cpu('profile?seconds=2')
    at_least(p.total('cpu') / 1e9, 0.6 * used - outside - 0.05)
    at_most(p.total('cpu') / 1e9, 1.4 * used + 0.05)


def test_by_this_library(start, fake):
    """What the other tests cannot show: that it is not ours which has walked."""
    for unwinder, deep in (('libunwind', False), ('auto', True)):
        h = start(['deep_stack', 'spin'], UNWINDER=unwinder, HEAP_RATE=1, env=fake())
        h.wait_for_output('ready')
        assert (depths(sampled(h, spins_of), 'deep_spin') == {1}) is not deep
        # The one frame there is one of ours.
        assert bool(h.profile('heap').samples) is deep
        assert len(said(h)) == 1 - deep


# --- without it ---

@pytest.mark.parametrize('flags, why', [
    ({'empty': True}, 'file too short'), ({'flags': ['-DWITHOUT_STEP']}, 'has no _ULx86_64_step')])
def test_one_line_and_auto(start, fake, flags, why):
    h = start(['deep_stack', 'spin'], UNWINDER='libunwind', HEAP_RATE=1, LOG='error',
              env=fake(*flags.pop('flags', []), **flags), wait=False)
    h.wait_for_output('ready')
    lines = eventually('a line', lambda: h.log)
    assert len(lines) == 1 and why in lines[0]
    assert 'PPROFSHIM_UNWINDER=libunwind: ' in lines[0]
    assert lines[0].endswith('; allowed: auto, fp or libunwind; using auto')
    h = start(['deep_stack', 'spin'], UNWINDER='libunwind', HEAP_RATE=1,
              env=fake(*(['-DWITHOUT_STEP'] if 'step' in why else []), **flags))
    h.wait_for_output('ready')
    assert min(depths(h.profile('heap'), 'deep_malloc')) > 50


# --- what the program does not notice ---

def test_nothing_of_it_is_in_the_program_s_scope():
    code = '''import ctypes, re
everything = ctypes.CDLL(None)
at = ctypes.cast(everything.backtrace, ctypes.c_void_p).value
for line in open('/proc/self/maps'):
    lo, hi = (int(x, 16) for x in re.match('([0-9a-f]+)-([0-9a-f]+)', line).groups())
    if lo <= at < hi: print(line.split()[-1])
print(hasattr(everything, 'unw_backtrace'), 'libunwind' in open('/proc/self/maps').read())'''
    r = run([PYTHON, '-c', code], UNWINDER='libunwind')
    assert re.fullmatch(r'\S*/libc\.so\.6\nFalse True\n', r.stdout), r.stdout
    r = run([PYTHON, '-c', code], UNWINDER='auto')
    assert r.stdout.endswith('False False\n')


def test_its_pipe_is_not_used():
    """It opens one among the program's descriptors.  Who closes them all has files of his own there."""
    code = '''import os, time
os.closerange(3, 256)
open('x', 'w').write('A' * 100000)
fds = [os.open('x', os.O_RDWR) for _ in range(8)]
os.write(1, b'%d\\n' % fds[0])
end = time.process_time() + 1
while time.process_time() < end: [str(n) for n in range(1000)]
print([os.lseek(fd, 0, os.SEEK_CUR) for fd in fds], set(open('x').read()))'''
    r = run([PYTHON, '-c', code], UNWINDER='libunwind', HEAP_RATE=4096, CPU_HZ=1000)
    assert r.stdout == "3\n[0, 0, 0, 0, 0, 0, 0, 0] {'A'}\n", r


@pytest.mark.parametrize('argv', [['fork_depth'], ['fork_storm'], ['threads_churn'], ['throws'], ['vfork_exec'],
                                  ['jumps_out_of_handlers'], ['own_sigprof_handler']])
def test_programs_run_on(argv):
    """Not one that loads and unloads libraries: that libunwind waits for the loader's lock in a handler is
    what the log warns of."""
    plain = run(argv, shim=False)
    r = run(argv, UNWINDER='libunwind', CPU_HZ=1000, HEAP_RATE=65536, LOG='quiet')
    assert (r.status, r.stdout, r.stderr) == (plain.status, plain.stdout, plain.stderr)


CHILD = '''import os, sys, threading, time
if sys.argv[1] == 'thread':
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
if os.fork() == 0: print('child', os.getpid(), flush=True)
else: os.wait()
while True: [str(n) for n in range(1000)]'''


@pytest.mark.parametrize('how', ['alone', 'thread'])
def test_a_child_of_threads_goes_without(start, fake, how):
    """A lock that one of them held would never be given back."""
    h = start([PYTHON, '-c', CHILD, how], UNWINDER='libunwind', env=fake())
    h.wait_for_output('child')
    pid = int(re.search(r'child (\d+)', h.stdout).group(1))
    desk = eventually('the child listens', lambda: h.desks().get(pid))
    p = sampled(desk)
    assert ({len(s.frames) for s in p.samples} == {1}) is (how == 'alone')


@pytest.mark.parametrize('unwinder', ['auto', 'libunwind'])
def test_it_needs_more_of_an_alternate_stack(start, unwinder):
    code = '''import ctypes
class S(ctypes.Structure): _fields_ = [('sp', ctypes.c_void_p), ('flags', ctypes.c_int), ('size', ctypes.c_size_t)]
room = ctypes.create_string_buffer(9000)
print(ctypes.CDLL(None).sigaltstack(ctypes.byref(S(ctypes.addressof(room), 0, 9000)), None), flush=True)
while True: pass'''
    h = start([PYTHON, '-c', code], UNWINDER=unwinder)
    h.wait_for_output('0')
    if unwinder == 'auto':
        sampled(h)
    else:
        assert h.profile('profile?seconds=1').samples == []
    assert ('thread_small_altstack' in h.get('/debug/pprof/').text) is (unwinder == 'libunwind')


def test_frame_pointers_without_it(start):
    """The third of the three, of which a stack needs no library."""
    h = start(['deep_stack', 'spin'], UNWINDER='fp')
    h.wait_for_output('ready')
    sampled(h)
    assert 'libunwind' not in open('/proc/%d/maps' % h.pid).read() and said(h) == []
