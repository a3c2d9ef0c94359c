"""pprofshim run: the program is what it would be without, but for the library; and what the command says
of itself.  check and ls, get have files of their own."""
import ast
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from command import Under, call, installed, line_of, make, shut_in  # noqa: F401
from hosts import BUILD, OURS, TOP, environment, program
from test_presence_libraries import installed as library_of_system

# What a program sees of how it was started, as JSON.
LOOK = '''
import json, os, signal, sys
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "pid": os.getpid(), "ppid": os.getppid(), "group": os.getpgrp(), "session": os.getsid(0),
    "argv": [os.fsencode(a).hex() for a in sys.argv[1:]], "cwd": os.getcwd(),
    "env": open("/proc/self/environ", "rb").read().hex(), "masks": [status[m] for m in ("SigIgn", "SigCgt", "SigBlk")],
    "fds": sorted(int(f) for f in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + f)),
    "umask": status["Umask"], "data": sys.stdin.read()}))
'''
ODD = ['', ' ', 'a b', "it's", '"', '$HOME', '`id`', '*', '\\', 'line\nline', '--heap-rate=1', '--', '-n', 'é',
       '!x', '~', '{a,b}', '\t', '#']


def look(argv, env=None, **how):
    """(what the program saw, the Popen); Popen, because that knows the pid."""
    p = subprocess.Popen([*argv, '/usr/bin/python3', '-I', '-c', LOOK, *ODD], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=environment(shim=False, env=env), **how)
    out, err = p.communicate(b'some\n', timeout=120)
    assert (p.returncode, err) == (0, b''), err
    seen = json.loads(out)
    seen['env'] = sorted(bytes.fromhex(seen['env']).split(b'\0')[:-1])
    seen['argv'] = [os.fsdecode(bytes.fromhex(a)) for a in seen['argv']]
    assert (seen.pop('pid'), seen.pop('ppid')) == (p.pid, os.getpid())
    return seen


# --- the program is itself ---

def test_the_program_is_started_as_without(installed, tmp_path):  # noqa: F811
    """Arguments, environment, signals, descriptors, directory, process: only our variables are more.

    And _, which a shell puts there."""
    directory = tmp_path / "a b'c*"
    directory.mkdir()
    env = {'BASH_FUNC_f%%': '() {  echo; }', 'with.dot': '1', 'a-b': '2', 'BASH_ENV': '/nonexistent', 'CDPATH': '/usr',
           'UID': '7', 'lines': 'x\ny', 'IFSX': ' \t', 'POSIXLY_CORRECT': '1', 'GLOBIGNORE': '*', 'PWD': str(directory),
           'SHLVL': '3', '_': None, 'TZ': 'UTC', 'LC_ALL': 'C', 'ENV': '/nonexistent'}

    def prepare():
        for ignored in 'INT', 'QUIT', 'PIPE', 'HUP', 'TTOU', 'CHLD', 'RTMIN':
            signal.signal(getattr(signal, 'SIG' + ignored), signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGALRM, 41])
        os.umask(0o027)
        for fd in (9, 255):     # what a shell likes to use itself
            os.dup2(1, fd)
    how = {'cwd': str(directory), 'env': env, 'preexec_fn': prepare, 'close_fds': False, 'start_new_session': True}
    plain = look([], **how)
    ran = look([installed.path, 'run', '--addr=off', '--'], **how)
    assert plain['argv'] == ran['argv'] == ODD
    for seen in plain, ran:
        # Each a session of its own; python has a handler for SIGINT, which is ignored here.
        assert seen.pop('group') == seen.pop('session')
        seen['env'] = [e for e in seen['env'] if not e.startswith(b'_=')]
    more = set(ran['env']) - set(plain['env'])
    assert more == {b'LD_PRELOAD=' + installed.library.encode(), b'PPROFSHIM_ADDR=off'}
    assert set(plain['env']) - set(ran['env']) == set()
    # Ours is there, so its SIGPROF is caught.
    profiling = 1 << signal.SIGPROF - 1
    assert int(ran['masks'][1], 16) & profiling and not int(plain['masks'][1], 16) & profiling
    ran['masks'][1] = '%016x' % (int(ran['masks'][1], 16) & ~profiling)
    del plain['env'], ran['env']
    assert ran == plain


@pytest.mark.parametrize('how, status', [('exit 0', 0), ('exit 42', 42), ('kill -KILL $$', -9), ('kill -TERM $$', -15),
                                         ('kill -INT $$', -2)])
def test_its_end_is_the_programs(installed, how, status):  # noqa: F811
    assert installed('run', '--addr=off', 'sh', '-c', how, status=status).stderr == ''


def test_what_stands_behind_the_program_is_the_programs(installed):  # noqa: F811
    """With and without --, and with a program whose name needs care."""
    for words in (['--'], []):
        done = installed('run', *words, 'printf', '<%s>', '--', '--log=info', '--no-such', '--help')
        assert done.stdout == '<--><--log=info><--no-such><--help>'
    with open(os.path.join(installed.directory, '-x=y z'), 'w') as f:
        f.write('#!/bin/sh\necho "$0" "$#"\n')
    os.chmod(f.name, 0o755)
    path = installed.directory + ':' + os.environ['PATH']
    done = installed('run', '--', '-x=y z', '', env={'PATH': path})
    assert done.stdout == f.name + ' 1\n'
    # A script is told the whole path, as from PATH.
    done = installed('run', '--', './-x=y z', cwd=installed.directory)
    assert done.stdout == f.name + ' 0\n'


def test_programs_that_do_not_start(installed, tmp_path):  # noqa: F811
    assert line_of(installed('run', 'no-such-program', status=127)) == 'no-such-program: not found'
    assert line_of(installed('run', './no/such', status=127)) == './no/such: not found'
    assert line_of(installed('run', '/etc/passwd', status=126)) == '/etc/passwd: not executable'
    assert line_of(installed('run', '/', status=126)) == '/: not executable'
    broken = tmp_path / 'broken'
    broken.write_text('#!/no/such/interpreter\n')
    broken.chmod(0o755)
    assert str(broken) in installed('run', broken, status=None).stderr


# --- options ---

def test_each_option_is_its_variable(installed):  # noqa: F811
    """All that README has, and what it does is asked from the process."""
    with open(os.path.join(TOP, 'README.md')) as f:
        variables = set(re.findall(r'^\| `PPROFSHIM_([A-Z_]+)` \|', f.read(), re.M))
    options = installed.options()
    assert {'--' + v.lower().replace('_', '-') for v in variables} == set(options)
    given = ['%s=%s' % (name, 'x = "%d"' % i) for i, name in enumerate(options)]
    seen = installed('run', *given, '--log=quiet', 'env').stdout.splitlines()
    for i, name in enumerate(options):
        if name != '--log':
            assert 'PPROFSHIM_%s=x = "%d"' % (name[2:].upper().replace('-', '_'), i) in seen
    assert 'PPROFSHIM_LOG=quiet' in seen, 'the last one counts'


def test_an_option_reaches_the_library(installed):  # noqa: F811
    h = Under(installed, ['--heap-rate=64k', '--cpu-hz=250', 'hold_heap'], env={'PPROFSHIM_HEAP_RATE': '1m'})
    try:
        rates = json.loads(h.get('/debug/pprof/config').text)
        assert (rates['heap_rate'], rates['cpu_hz']) == (65536, 250)
    finally:
        h.stop()


@pytest.mark.parametrize('words, says', [
    (['--heap-rat=1', 'true'], '--heap-rat: no such option; the nearest is --heap-rate'),
    (['--heaprate=1', 'true'], '--heaprate: no such option; the nearest is --heap-rate'),
    (['--heap_rate=1', 'true'], '--heap_rate: no such option; the nearest is --heap-rate'),
    (['--alocator=jemalloc', 'true'], '--alocator: no such option; the nearest is --allocator'),
    (['--hepl', 'true'], '--hepl: no such option; the nearest is --help'),
    (['--heap-rate', '64k', 'true'], '--heap-rate: which value? --heap-rate=VALUE'),
    (['--allocator', 'jemalloc', 'true'], '--allocator: which value? --allocator=VALUE'),
    (['--allocator=dlmalloc', 'true'], '--allocator=dlmalloc: not known; there is jemalloc'),
    ([], 'run: which program? pprofshim run [OPTION]... -- CMD [ARGUMENT]...'),
    (['--heap-rate=1', '--'], 'run: which program? pprofshim run [OPTION]... -- CMD [ARGUMENT]...'),
])
def test_a_wrong_option_is_one_line(installed, words, says):  # noqa: F811
    assert line_of(installed('run', *words, status=2)) == says


@pytest.mark.parametrize('words, says', [
    (['rnu', 'true'], 'rnu: no such command; the nearest is run'),
    (['--verison'], '--verison: no such command; the nearest is --version'),
    (['ls', '--al'], '--al: no such option; the nearest is --help'),
    (['ls', '17'], 'ls: 17: it takes no arguments'),
    (['check'], 'check: which program? pprofshim check CMD'),
    (['check', '--librar=x', 'true'], '--librar: no such option; the nearest is --library'),
    (['check', '--library', 'x', 'true'], '--library: which value? --library=VALUE'),
    (['get', '1'], 'get: which process, which profile? pprofshim get [-o FILE] PID|ADDR PROFILE[?QUERY]'),
    (['get', '--out=x', '1', 'heap'], '--out: no such option; the nearest is --output'),
])
def test_a_wrong_command_is_one_line(installed, words, says):  # noqa: F811
    assert line_of(installed(*words, status=2)) == says


def test_help_and_version(installed):  # noqa: F811
    with open(os.path.join(TOP, 'Makefile')) as f:
        version = re.search(r'^VERSION := (.*)', f.read(), re.M).group(1)
    assert installed('--version').stdout == 'libpprofshim %s\n' % version
    with open(installed.table) as f:
        table = f.read().split('\n', 1)[1]
    assert len(installed.options()) > 15 and '(PPROFSHIM_HEAP_RATE: 0 to 1024g)' in table
    for words in (['--help'], ['help'], ['run', '--help']):
        assert installed(*words).stdout.endswith('the variables that they set:\n' + table), words
    nothing = installed(status=2)
    assert nothing.stdout == '' and nothing.stderr == installed('--help').stdout
    for name in ('run', 'check', 'ls', 'get'):
        text = installed(name, '--help').stdout
        assert text.startswith('pprofshim %s' % name), name
        assert ('--heap-rate' in text) == (name == 'run')
        assert 'pprofshim %s' % name in nothing.stderr


# --- LD_PRELOAD ---

def preload_of(installed, *words, before=None, **how):  # noqa: F811
    done = installed('run', '--addr=off', '--log=quiet', *words, 'sh', '-c', 'printf %s "$LD_PRELOAD"',
                     env={'LD_PRELOAD': before}, **how)
    return done.stdout.replace(installed.library, 'OURS')


JEMALLOC = 'libjemalloc.so.2'


@pytest.mark.parametrize('before, after', [
    (None, 'OURS'),
    ('', 'OURS'),
    ('libm.so.6', 'libm.so.6 OURS'),
    ('libm.so.6 libdl.so.2', 'libm.so.6 libdl.so.2 OURS'),
    ('libm.so.6::libdl.so.2: ', 'libm.so.6 libdl.so.2 OURS'),
    (JEMALLOC, 'OURS ' + JEMALLOC),
    ('libm.so.6:' + JEMALLOC, 'libm.so.6 OURS ' + JEMALLOC),
    ('/usr/$LIB/libjemalloc.so.2', 'OURS /usr/$LIB/libjemalloc.so.2'),
    ('libtcmalloc_minimal.so.4 libm.so.6', 'OURS libtcmalloc_minimal.so.4 libm.so.6'),
])
def test_what_is_preloaded_stays(installed, before, after):  # noqa: F811
    """Before an allocator, whose calls would pass us by; behind everything else."""
    for name in (before or '').replace(':', ' ').split():
        if name.startswith('lib'):
            library_of_system(name)
    assert preload_of(installed, before=before) == after


def test_ours_is_preloaded_once(installed):  # noqa: F811
    """Where it stands already, also from elsewhere: two would be in each other's way."""
    assert preload_of(installed, before=installed.library) == 'OURS'
    assert preload_of(installed, before='libm.so.6 %s libdl.so.2' % installed.library) == 'libm.so.6 OURS libdl.so.2'
    other = os.path.join(BUILD, 'libpprofshim.so')
    assert preload_of(installed, before=other) == other
    done = installed('run', '--addr=off', installed.path, 'run', '--cpu-hz=7', 'env')
    assert 'LD_PRELOAD=%s\n' % installed.library in done.stdout
    assert 'PPROFSHIM_ADDR=off\n' in done.stdout and 'PPROFSHIM_CPU_HZ=7\n' in done.stdout


def test_allocator(installed):  # noqa: F811
    """It is the program's, and behind our doors."""
    library_of_system(JEMALLOC)
    h = Under(installed, ['--heap-rate=1', '--allocator=jemalloc', 'hold_heap', 40])
    try:
        with open('/proc/%d/maps' % h.pid) as f:
            assert '/libjemalloc.so.2' in f.read()
        h.wait_for_output('ready')
        live = int(re.search(r'^truth hold_middle \d+ (\d+)', h.stdout, re.M).group(1))
        assert h.profile('heap').total('inuse_objects', having='hold_middle') == live > 100
        assert 'heap_shadowed' not in h.get('/debug/pprof/').text
    finally:
        h.stop()
    for before, after in ((None, 'OURS ' + JEMALLOC), (JEMALLOC, 'OURS ' + JEMALLOC),
                          ('libm.so.6', 'libm.so.6 OURS ' + JEMALLOC),
                          (installed.library, 'OURS ' + JEMALLOC)):
        assert preload_of(installed, '--allocator=jemalloc', before=before) == after, before


def test_allocator_that_is_not_installed(installed):  # noqa: F811
    path = os.path.realpath(library_of_system(JEMALLOC))
    before = shut_in('--ro-bind', '/dev/null', path)
    done = installed('run', '--allocator=jemalloc', 'true', before=before, status=1)
    assert line_of(done) == '--allocator=jemalloc: there is no libjemalloc.so.2 (Debian: apt-get install libjemalloc2)'


# --- where it finds the library ---

def tree(directory, *names):
    """A tree with these files of ours: as (command, library)."""
    have = {'scripts/pprofshim': os.path.join(TOP, 'scripts/pprofshim'),
            'scripts/pprofshim.d': os.path.join(TOP, 'scripts/pprofshim.d'),
            'build/libpprofshim.so': os.path.join(BUILD, 'libpprofshim.so'),
            'build/pprofshim-help.txt': os.path.join(BUILD, 'pprofshim-help.txt')}
    for name in names or have:
        target = os.path.join(directory, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        (shutil.copytree if os.path.isdir(have[name]) else shutil.copy2)(have[name], target)
    return os.path.join(directory, 'scripts/pprofshim'), os.path.join(directory, 'build/libpprofshim.so')


PRINT = ['sh', '-c', 'printf %s "$LD_PRELOAD"']


def test_in_the_tree_that_it_was_built_in(tmp_path):
    """By any name: relative, through links, on PATH."""
    command, library = tree(str(tmp_path / 'tree'))
    assert call([command, 'run', *PRINT]).stdout == library
    assert call(['scripts/pprofshim', 'run', *PRINT], cwd=str(tmp_path / 'tree')).stdout == library
    assert call(['./pprofshim', 'run', *PRINT], cwd=str(tmp_path / 'tree/scripts')).stdout == library
    links = tmp_path / 'links'
    links.mkdir()
    (links / 'pprofshim').symlink_to('../tree/scripts/pprofshim')
    (links / 'another').symlink_to('pprofshim')
    for name in 'pprofshim', 'another':
        assert call([links / name, 'run', *PRINT]).stdout == library
        assert call([name, 'run', *PRINT], env={'PATH': '%s:%s' % (links, os.environ['PATH'])}).stdout == library
        assert call([links / name, 'check', 'true']).stdout.endswith('yes: /usr/bin/true\n')
        assert call([links / name, '--version']).stdout == call([command, '--version']).stdout
    assert call(['bash', 'pprofshim', 'run', *PRINT], cwd=str(tmp_path / 'tree/scripts')).stdout == library
    assert '--heap-rate=' in call([command, '--help']).stdout


def test_without_a_library(tmp_path):
    command, _ = tree(str(tmp_path), 'scripts/pprofshim', 'scripts/pprofshim.d')
    says = 'there is no libpprofshim.so beside this command; make or make install puts one there, ' \
        '--library=FILE names another'
    assert line_of(call([command, 'run', 'true'], status=1)) == says
    assert call([command, 'check', 'true'], status=1).stdout.splitlines()[0] == 'no: ' + says
    says = '--library=%s/none.so: there is no such file' % tmp_path
    assert line_of(call([command, 'run', '--library=none.so', 'true'], status=1, cwd=str(tmp_path))) == says
    assert call([command, '--version']).returncode == 0 and 'run' in call([command, '--help']).stdout


def test_library_in_a_directory_with_blanks(tmp_path):
    """LD_PRELOAD cannot say it; a link can, also one to the whole tree."""
    command, library = tree(str(tmp_path / 'my tree'))
    assert line_of(call([command, 'run', 'true'], status=1)).startswith(library + ': LD_PRELOAD cannot name a path')
    done = call([command, 'check', 'true'], status=1)
    assert done.stdout.splitlines()[0].startswith('no: %s: LD_PRELOAD cannot name a path' % library)
    link = tmp_path / 'link.so'
    link.symlink_to(library)
    assert call([command, 'run', '--library=link.so', *PRINT], cwd=str(tmp_path)).stdout == str(link)
    assert call([command, 'run', '--library=' + str(link), '--heap-rate=1', *PRINT]).stdout == str(link)
    whole = tmp_path / 'whole'
    whole.symlink_to('my tree')
    assert call([whole / 'scripts/pprofshim', 'run', *PRINT]).stdout == str(whole / 'build/libpprofshim.so')


def test_without_its_table_the_library_judges_options(tmp_path):
    command, _ = tree(str(tmp_path), 'scripts/pprofshim', 'build/libpprofshim.so')
    done = call([command, 'run', '--addr=off', '--cpu-hz=7', '--no-such=1', 'env'])
    assert 'PPROFSHIM_CPU_HZ=7\n' in done.stdout
    assert re.fullmatch(r'pprofshim\[\d+\]: PPROFSHIM_NO_SUCH: no such option; .*\n', done.stderr)
    assert line_of(call([command, 'run', '--No=1', 'true'], status=2)).startswith('--No: no such option')
    assert line_of(call([command, 'ls'], status=1)) == 'ask.sh, a part of this command, is not beside it; install both'


def test_installed_somewhere(tmp_path):
    """By PREFIX, by DESTDIR, or with each folder where somebody wants it; uninstall takes it all away."""
    for words in (['PREFIX=%s/one' % tmp_path], ['PREFIX=/usr', 'DESTDIR=%s/two' % tmp_path],
                  ['PREFIX=/usr', 'LIBDIR=/usr/lib/x86_64-linux-gnu', 'DESTDIR=%s/three' % tmp_path],
                  ['BINDIR=%s/four/a/tools' % tmp_path, 'LIBDIR=%s/four/b/objects' % tmp_path,
                   'DATADIR=%s/four/c' % tmp_path]):
        make('install', *words)
        files = {os.path.relpath(os.path.join(d, f), str(tmp_path)): os.path.join(d, f)
                 for d, _, fs in os.walk(str(tmp_path)) for f in fs}
        command, = [f for name, f in files.items() if name.endswith('/pprofshim')]
        library, = [f for name, f in files.items() if name.endswith('/libpprofshim.so')]
        assert call([command, 'run', *PRINT]).stdout == library, words
        assert call([command, '--version']).stdout.startswith('libpprofshim 0'), words
        assert call([command, 'check', 'true']).stdout.endswith('yes: /usr/bin/true\n'), words
        call([command, 'ls'])
        make('uninstall', *words)
        left = [f for _, _, fs in os.walk(str(tmp_path)) for f in fs]
        assert left == [], words
        assert not [d for d, _, _ in os.walk(str(tmp_path)) if d.endswith('share/pprofshim')]
