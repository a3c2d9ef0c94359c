"""pprofshim check: what it says of a program is what the loader makes of it; each finding has its case.

The truth about a program is whether our constructor runs in it: then it says that there is no such option."""
import os
import re
import shutil
import struct
import subprocess
import tempfile

import pytest

from command import NOBODY, call, installed, needs_root, shut_in  # noqa: F401
from golang import environment_of_go
from hosts import program
from test_presence_libraries import built, need  # noqa: F401

STRIPPED = 'note: stripped: '
FILTER = 'note: a filter of system calls'
with open('/proc/self/status') as status_file:
    IN_FILTER = 'Seccomp:\t0\n' not in status_file.read()       # in a container, say
HELLO = 'int main(void) { return 0; }\n'


@pytest.fixture(scope='session')
def make_program():
    """make_program(NAME, FLAG..., source=, compiler=) -- its path, where everybody may run it."""
    directory = tempfile.mkdtemp(prefix='pprofshim-test-')
    os.chmod(directory, 0o755)

    def make_one(name, *flags, source=HELLO, compiler='cc'):
        target = os.path.join(directory, name)
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target + '.c', 'w') as f:
                f.write(source)
            made = subprocess.run([need(compiler), '-O1', '-w', '-o', target, f.name, *flags],
                                  capture_output=True, text=True)
            if made.returncode != 0 and '-fsanitize' in ' '.join(flags):
                pytest.skip('%s %s cannot build: %s' % (compiler, flags, made.stderr[-200:]))
            assert made.returncode == 0, made.stderr
        return target
    yield make_one
    shutil.rmtree(directory)


def check(installed, path, status, **how):  # noqa: F811
    """What it says: lines, the verdict among them; nothing on stderr."""
    done = installed('check', path, status=status, **how)
    lines = [x for x in done.stdout.splitlines() if not (IN_FILTER and x.startswith(FILTER))]
    assert done.stderr == '' and all(re.match('(no|note|yes): ', line) for line in lines), done
    assert any(line.startswith('no: ') for line in lines) == (status == 1)
    assert ([line for line in lines if line.startswith('yes: ')] == lines[-1:]) == (status == 0)
    return lines


def is_seen(installed, path, *argv, **how):  # noqa: F811
    """Whether our constructor runs in it."""
    done = installed('run', '--addr=off', path, *argv, status=None,
                     env={'PPROFSHIM_NO_SUCH': '1'}, **how)
    return 'PPROFSHIM_NO_SUCH: no such option' in done.stderr and 'sanitizer' not in done.stderr


def no(installed, path, text, *argv, **how):  # noqa: F811
    """It says no, for this reason, and so it is; the line says what to do, too."""
    lines = check(installed, path, 1, **how)
    line, = [x for x in lines if x.startswith('no: ')]
    assert text in line and '; ' in line, line
    assert not is_seen(installed, path, *argv, **how)
    return line


def yes(installed, path, *notes, argv=(), **how):  # noqa: F811
    """It says yes, with these notes and no others, and so it is."""
    lines = check(installed, path, 0, **how)
    found = [x for x in lines if x.startswith('note: ')]
    assert len(found) == len(notes) and all(n in x for n, x in zip(notes, found)), (found, notes)
    assert is_seen(installed, os.path.realpath(path), *argv, **how)
    return lines[-1]


# --- programs that work ---

@pytest.mark.parametrize('name, argv', [('redis-server', ['--version']), ('nginx', ['-v']), ('/bin/sh', ['-c', 'true']),
                                        ('/usr/bin/perl', ['-e', '1']), ('sqlite3', ['--version'])])
def test_programs_of_the_system(installed, name, argv):  # noqa: F811
    """Debian strips what it ships."""
    path = program(need(name))
    assert yes(installed, path, STRIPPED, argv=argv) == 'yes: ' + path


def test_a_program_of_ours(installed, make_program):  # noqa: F811
    path = make_program('plain')
    assert yes(installed, path) == 'yes: ' + path
    yes(installed, make_program('stripped', '-s'), STRIPPED)
    yes(installed, make_program('not-pie', '-no-pie'))
    yes(installed, make_program('undefined', '-fsanitize=undefined'))
    # By PATH, with arguments, in a directory with blanks.
    directory = os.path.join(os.path.dirname(path), "a b'c")
    os.makedirs(directory, exist_ok=True)
    shutil.copy2(path, directory)
    for words in (['plain', '--x'], ['--', 'plain']):
        done = installed('check', *words, env={'PATH': directory + ':' + os.environ['PATH']})
        assert done.stdout.endswith("yes: %s/plain\n" % directory)


# --- what the loader does not do for us ---

@pytest.mark.parametrize('flag', ['-static', '-static-pie'])
def test_static(installed, make_program, flag):  # noqa: F811
    path = make_program('hello' + flag, flag)
    assert no(installed, path, 'static, so no loader').startswith('no: %s: ' % path)
    stripped = make_program('hello-s' + flag, flag, '-s')
    no(installed, stripped, 'static, so no loader')
    assert len(check(installed, stripped, 1)) == 1, 'what would be missing besides does not matter'


def test_static_program_of_the_system(installed):  # noqa: F811
    """Debian's ldconfig has to work without a loader."""
    if not os.path.exists('/sbin/ldconfig') or b'ld-linux' in open('/sbin/ldconfig', 'rb').read(4096):
        pytest.skip('no static ldconfig here')
    no(installed, '/sbin/ldconfig', 'static, so no loader', '--version')


def test_musl(installed, make_program):  # noqa: F811
    no(installed, make_program('musl', compiler='musl-gcc'), 'made for musl')
    no(installed, make_program('musl-static', '-static', compiler='musl-gcc'), 'static, so no loader')


def header(bits=2, machine=62, order='<'):
    ident = b'\x7fELF' + bytes([bits, '<>'.index(order) + 1, 1]) + bytes(9)
    return ident + struct.pack(order + 'HHI', 2, machine, 1) + bytes(200)


@pytest.mark.parametrize('data, text', [
    (header(bits=1, machine=3), 'a program of 32 bits, and the library is of 64'),
    (header(machine=183), "for another machine (ELF's number 183, the library's is 62)"),
    (header(machine=22, order='>'), "for another machine (ELF's number 22, the library's is 62)"),
    (header()[:40], 'static'),
    (b'\x7fELF', 'a program of 0 bits'),
    (b'MZ\0', 'neither a program nor a script'),
    (b'echo without a first line\n', 'neither a program nor a script'),
    (b'', 'neither a program nor a script'),
], ids=['32', 'arm', 's390', 'short', 'magic', 'dos', 'text', 'empty'])
def test_what_is_no_program_of_this_machine(installed, tmp_path, data, text):  # noqa: F811
    path = tmp_path / 'strange'
    path.write_bytes(data)
    path.chmod(0o755)
    assert text in check(installed, str(path), 1)[0]


@pytest.mark.parametrize('seed', range(20))
def test_damaged_programs(installed, make_program, tmp_path, seed):  # noqa: F811
    """Headers that lie are no reason to hang, or to say something on stderr."""
    with open(make_program('plain'), 'rb') as f:
        data = bytearray(f.read())
    for i in range(6):
        data[(seed * 7919 + i * 131) % 56 + 8 if seed % 2 else (seed * 104729 + i * 7907) % 900 + 64] = 255 - seed * i
    path = tmp_path / 'damaged'
    path.write_bytes(data)
    path.chmod(0o755)
    done = installed('check', str(path), status=None)
    assert done.returncode in (0, 1) and done.stderr == ''


def test_loader_is_missing_or_another(installed, make_program):  # noqa: F811
    path = make_program('elsewhere', '-Wl,--dynamic-linker=/no/ld.so')
    assert 'its loader /no/ld.so is not there' in check(installed, path, 1)[0]
    other = os.path.join(os.path.dirname(path), 'ld-other.so')
    shutil.copy2('/lib64/ld-linux-x86-64.so.2', other)
    yes(installed, make_program('other', '-Wl,--dynamic-linker=' + other), 'its loader %s is not the system' % other)


def test_library_of_the_program_is_missing(installed, make_program):  # noqa: F811
    lib = make_program('libgone.so', '-shared', '-fPIC', '-nostdlib', source='int gone(void) { return 0; }\n')
    path = make_program('needs', lib, source='int gone(void); int main(void) { return gone(); }\n')
    os.rename(lib, lib + '.away')
    try:
        assert 'it needs %s, without which it does not start' % lib in no(installed, path, 'it needs')
    finally:
        os.rename(lib + '.away', lib)


def test_libc_is_too_old(installed, make_program, tmp_path):  # noqa: F811
    """A library that needs a version which this libc does not have: the loader ends the program."""
    version = tmp_path / 'v.map'
    version.write_text('GLIBC_9.99 { new_one; };\n')
    libc = make_program('newer/libc.so.6', '-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libc.so.6',
                        '-Wl,--version-script=%s' % version, source='int new_one(void) { return 0; }\n')
    library = make_program('newer/libpprofshim.so', '-shared', '-fPIC', '-nostdlib', libc,
                           source='int new_one(void); int old(void) { return new_one(); }\n')
    path = make_program('plain')
    line = installed('check', '--library=' + library, path, status=1).stdout
    assert line.startswith('no: %s: its libc has no GLIBC_9.99, which the library needs' % path) and '\nyes' not in line
    assert 'GLIBC_9.99' in installed('run', '--library=' + library, path, status=1).stderr, 'as the loader says'


def test_program_is_too_new_for_libc(installed, make_program, tmp_path):  # noqa: F811
    """The same for the program itself, with or without us."""
    version = tmp_path / 'v.map'
    version.write_text('GLIBC_9.99 { new_one; };\n')
    libc = make_program('newest/libc.so.6', '-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libc.so.6',
                        '-Wl,--version-script=%s' % version, source='int new_one(void) { return 0; }\n')
    path = make_program('too-new', '-nostdlib', libc,
                        source='int new_one(void); void _start(void) { new_one(); __builtin_trap(); }\n')
    assert no(installed, path, 'so it does not start').startswith("no: %s: version `GLIBC_9.99' not found" % path)


def test_library_that_is_none(installed, make_program):  # noqa: F811
    """A file of another machine, say."""
    library = make_program('libpprofshim-empty.so', '-shared', '-fPIC', '-nostdlib')
    with open(library, 'r+b') as f:
        f.seek(0x28)
        f.truncate(100)
    done = installed('check', '--library=' + library, make_program('plain'), status=1)
    assert 'its loader does not take the library: ' in done.stdout


# --- rights ---

@needs_root
@pytest.mark.parametrize('mode', [0o4755, 0o2755], ids=['setuid', 'setgid'])
def test_setuid(installed, make_program, mode):  # noqa: F811
    path = make_program('rights-%o' % mode)
    os.chown(path, 0, 0)
    os.chmod(path, mode)
    what = 'setuid' if mode == 0o4755 else 'setgid'
    no(installed, path, 'a %s program: for you the loader ignores LD_PRELOAD' % what, user=NOBODY)
    yes(installed, path, what + ': it works for you')
    os.chmod(path, 0o755)
    yes(installed, path, user=NOBODY)


@needs_root
def test_setuid_program_of_the_system(installed):  # noqa: F811
    path = program('passwd')
    assert 'a setuid program' in check(installed, path, 1, user=NOBODY)[0]


# v2, effective: CAP_NET_RAW permitted.
CAPABILITY = struct.pack('<IIIII', 0x02000001, 1 << 13, 0, 0, 0)


def capable(path):
    try:
        os.setxattr(path, 'security.capability', CAPABILITY)
    except OSError as e:
        pytest.skip('no file capabilities here: %s' % e)
    return path


@needs_root
def test_file_capabilities(installed, make_program):  # noqa: F811
    path = capable(make_program('capable'))
    program('getcap')
    no(installed, path, 'a program with file capabilities', user=NOBODY)
    yes(installed, make_program('plain'), user=NOBODY)
    yes(installed, path)


@needs_root
@pytest.mark.parametrize('hidden', [['getcap'], ['getcap', 'tar']])
def test_file_capabilities_without_their_tool(installed, make_program, hidden):  # noqa: F811
    """By tar, which any Debian has; without either it says that it does not know."""
    path, plain = capable(make_program('capable')), make_program('plain')
    places = [os.path.join(d, tool) for tool in hidden for d in ('/usr/sbin', '/usr/bin')]
    before = shut_in(*[w for p in places if os.path.exists(p) for w in ('--ro-bind', '/dev/null', p)],
                     '--setenv', 'PATH', '/usr/sbin:/usr/bin')
    before += ['setpriv', '--reuid=%d' % NOBODY, '--regid=%d' % NOBODY, '--clear-groups', '--']
    if hidden == ['getcap']:
        assert 'a program with file capabilities' in check(installed, path, 1, before=before)[0]
        assert check(installed, plain, 0, before=before) == ['yes: ' + plain]
    else:
        for p in path, plain:
            assert 'whether it has file capabilities cannot be seen' in check(installed, p, 0, before=before)[0]


# --- scripts ---

def script(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize('first', ['#!/usr/bin/python3', '#! /usr/bin/python3 -I', '#!/usr/bin/env python3',
                                   '#!/usr/bin/env -S A=b python3 -I'])
def test_script(installed, tmp_path, first):  # noqa: F811
    path = script(tmp_path, 'a script', first + '\nimport sys\n')
    lines = check(installed, path, 0, env={'PATH': '/usr/bin:/bin'})
    assert lines[0] == 'note: %s: a script; what runs is /usr/bin/python3, so that is looked at' % path
    assert lines[-1] == 'yes: /usr/bin/python3'
    done = installed('run', '--addr=off', path, env={'PPROFSHIM_NO_SUCH': '1', 'PATH': '/usr/bin:/bin'})
    assert done.stderr.count('no such option') == 1 + ('env' in first), 'env, and what it becomes'


def test_scripts_of_scripts(installed, make_program, tmp_path):  # noqa: F811
    static = make_program('hello-static', '-static')
    one = script(tmp_path, 'one', '#!%s\n' % static)
    two = script(tmp_path, 'two', '#!%s\n' % one)
    lines = check(installed, two, 1)
    assert ['a script' in line for line in lines] == [True, True, False] and 'static, so no loader' in lines[2]
    gone = script(tmp_path, 'gone', '#!/no/interpreter\n')
    assert check(installed, gone, 1) == ['no: %s: a script for /no/interpreter, which is not there; install that' % gone]
    nothing = script(tmp_path, 'nothing', '#!\n')
    assert 'a script for nothing' in check(installed, nothing, 1)[0]
    itself = script(tmp_path, 'itself', '')
    script(tmp_path, 'itself', '#!%s\n' % itself)
    assert 'five times over' in check(installed, itself, 1)[-1]


# --- what is linked into it ---

@pytest.mark.parametrize('name, flags', [
    ('_rjem_malloc', ['-DPREFIX(x)=_rjem_##x']),
    ('je_malloc', ['-DPREFIX(x)=je_##x', '-DHIDDEN']),
    ('mi_malloc', ['-DPREFIX(x)=mi_##x', '-rdynamic', '-s']),
    ('malloc', ['-DHIDDEN']),
])
def test_allocator_of_its_own(installed, built, name, flags):  # noqa: F811
    """As the library finds it at run time: test_unseen.py has the same programs."""
    path = built('prefixed' + name + '_'.join(f.strip('-') for f in flags[1:]), 'prefixed.c', *flags)
    notes = ['it has an allocator of its own (%s)' % name] + ([STRIPPED] if '-s' in flags else [])
    yes(installed, path, *notes)


def test_names_alone_say_nothing(installed, make_program):  # noqa: F811
    yes(installed, make_program('names', source='''
        void *mi_malloc(unsigned long) __attribute__((weak));
        void *my_tc_malloc(void) { return 0; }
        char rpmalloc[8] = "je_malloc";
        int main(void) { return mi_malloc && my_tc_malloc() && rpmalloc[0]; }'''))


def test_shared_allocator_is_seen(installed, make_program):  # noqa: F811
    yes(installed, make_program('jemalloc', '-Wl,--no-as-needed', '-ljemalloc'))


SANITIZERS = [('gcc', 'address', 'a shared libasan ends a program'), ('gcc', 'thread', 'it has a sanitizer'),
              ('gcc', 'leak', 'it has a sanitizer'), ('gcc', 'address -static-libasan', 'it has a sanitizer'),
              ('clang', 'address', 'it has a sanitizer'), ('clang', 'thread', 'it has a sanitizer'),
              ('clang', 'memory', 'it has a sanitizer'), ('clang', 'address -shared-libsan', 'a shared libasan ends')]


@pytest.mark.parametrize('compiler, how, text', SANITIZERS)
def test_sanitizer(installed, make_program, compiler, how, text):  # noqa: F811
    name, *flags = how.split()
    if '-shared-libsan' in flags:
        runtime = subprocess.run([need(compiler), '-print-runtime-dir'], capture_output=True, text=True).stdout.strip()
        flags.append('-Wl,-rpath,' + runtime)
    path = make_program('%s-%s' % (compiler, how), '-fsanitize=' + name, *flags, compiler=compiler)
    no(installed, path, text)


GO = '''package main
%s
func main() {}
'''


@pytest.mark.parametrize('cgo', [False, True], ids=['static', 'cgo'])
def test_go(installed, tmp_path, cgo):  # noqa: F811
    source = tmp_path / 'x.go'
    source.write_text(GO % ('import "C"' if cgo else ''))
    path = str(tmp_path / 'x')
    made = subprocess.run([need('go'), 'build', '-o', path, str(source)], capture_output=True, text=True, cwd=str(tmp_path),
                          env=environment_of_go(CGO_ENABLED=str(int(cgo)), GO111MODULE='off'))
    assert made.returncode == 0, made.stderr
    if cgo:
        yes(installed, path, 'a Go program: its heap, locks and goroutines')
    else:
        no(installed, path, 'a Go program, static; import net/http/pprof')


# --- what confines it ---

FILTERED = '''
import ctypes, os, struct, sys
allow = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0x7fff0000))
program = struct.pack("<H6xQ", 1, ctypes.addressof(allow))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
'''


def test_filter_of_system_calls(installed, make_program):  # noqa: F811
    before = ['/usr/bin/python3', '-c', FILTERED]
    plain = make_program('plain')
    assert installed('check', plain, before=before).stdout.startswith(FILTER)
    assert installed('check', plain).stdout.startswith(FILTER) == IN_FILTER
    assert is_seen(installed, plain, before=before)
    lib = make_program('libseccomp.so.2', '-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libseccomp.so.2',
                       source='int seccomp_load(void) { return 0; }\n')
    path = make_program('filters', lib, '-Wl,-rpath,$ORIGIN',
                        source='int seccomp_load(void); int main(void) { return seccomp_load(); }\n')
    yes(installed, path, 'it uses libseccomp')


def test_apparmor(installed, make_program, tmp_path):  # noqa: F811
    """A machine that has it, and a profile for this program, by name or not."""
    path, other = make_program('plain'), make_program('not-pie', '-no-pie')
    (tmp_path / 'enabled').write_text('Y\n')
    profiles = tmp_path / 'profiles'
    profiles.mkdir()
    (profiles / 'usr.bin.some').write_text('profile some %s flags=(complain) {\n}\n' % path)
    (profiles / 'usr.bin.prefix').write_text('profile another %s-more {\n}\n' % other)
    before = shut_in('--tmpfs', '/sys', '--dir', '/sys/module/apparmor/parameters',
                     '--ro-bind', str(tmp_path / 'enabled'), '/sys/module/apparmor/parameters/enabled',
                     '--dir', '/etc/apparmor.d', '--ro-bind', str(profiles), '/etc/apparmor.d')
    yes(installed, path, 'AppArmor confines it (/etc/apparmor.d/usr.bin.some): that file has to allow "%s mr,"' %
        installed.library, before=before)
    yes(installed, other, before=before)


# --- no telling ---

def test_no_such_program(installed):  # noqa: F811
    for words, status in ((['no-such-program'], 127), (['/etc/passwd'], 126), (['./x y'], 127)):
        done = installed('check', *words, status=status)
        assert done.stdout == '' and done.stderr.count('\n') == 1


@needs_root
def test_not_readable(installed, make_program):  # noqa: F811
    path = make_program('secret')
    os.chmod(path, 0o711)
    done = installed('check', path, status=2, user=NOBODY)
    assert done.stdout == '' and done.stderr == 'pprofshim: %s: not readable, so there is no telling\n' % path


def test_what_is_asked_for_does_not_run(installed, make_program, tmp_path):  # noqa: F811
    """Neither the program nor our library, nor what has been preloaded before."""
    ran = tmp_path / 'ran'
    path = make_program('says', source='#include <fcntl.h>\n__attribute__((constructor)) static void f(void)'
                        ' { creat("%s", 0600); }\nint main(void) { return 0; }\n' % ran)
    lib = make_program('libsays.so', '-shared', '-fPIC', source='#include <stdio.h>\n'
                       '__attribute__((constructor)) static void f(void) { fputs("and I\\n", stderr); }\n')
    assert installed('check', path, env={'PPROFSHIM_NO_SUCH': '1'}).stdout.endswith('yes: %s\n' % path)
    done = installed('check', path, env={'LD_PRELOAD': lib})
    assert done.stdout.endswith('yes: %s\n' % path)
    assert done.stderr.count('and I') == 1, 'in the command itself, and no more'
    assert not ran.exists() and call([path]).returncode == 0 and ran.exists()
