"""command -- scripts/pprofshim as `make install` puts it somewhere, and what comes of calling it."""
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from hosts import BUILD, TOP, Desk, Host, environment, eventually, program

NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason='not root: cannot be somebody else')


def make(*words):
    """make, which takes the library as it has been built."""
    done = subprocess.run(['make', '-C', TOP, '-o', 'all', 'B=' + BUILD, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Installed:
    """The command below a prefix of its own, which everybody may read."""

    def __init__(self, directory):
        self.directory = directory
        self.path = os.path.join(directory, 'usr/bin/pprofshim')
        self.library = os.path.join(directory, 'usr/lib/libpprofshim.so')
        self.table = os.path.join(directory, 'usr/share/pprofshim/pprofshim-help.txt')

    def __call__(self, *argv, **how):
        return call([self.path, *argv], **how)

    def options(self):
        """{--name: default} of the table."""
        with open(self.table) as f:
            lines = [line.split()[0] for line in f if line.startswith('  --')]
        return dict(line.split('=', 1) for line in lines)


def call(argv, status=0, env=None, input='', user=None, timeout=120, before=(), **how):
    """Runs it to its end, which must be with this status (None: any); before: a program that starts it."""
    e = environment(shim=False, env=env)
    if user is not None:
        how.update(user=user, group=user, extra_groups=[])
    done = subprocess.run([*before, *map(str, argv)], env=e, input=input, timeout=timeout, errors='replace',
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
    assert status is None or done.returncode == status, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done


def line_of(done):
    """The one line that it said, and said there."""
    assert done.stdout == '' and done.stderr.count('\n') == 1 and done.stderr.startswith('pprofshim: '), (
        done.stdout[-500:], done.stderr[-2000:])
    return done.stderr[len('pprofshim: '):-1]


@pytest.fixture(scope='session')
def installed():
    directory = tempfile.mkdtemp(prefix='pprofshim-test-')
    os.chmod(directory, 0o755)
    try:
        make('install', 'PREFIX=/usr', 'DESTDIR=' + directory)
        yield Installed(directory)
    finally:
        shutil.rmtree(directory)


class Under(Host):
    """A host that the command has started: options of run, then a program as Host has it."""

    def __init__(self, installed, argv, **how):
        argv = list(argv)
        at = next(i for i, a in enumerate(argv) if not str(a).startswith('--'))
        argv[at] = program(argv[at])
        super().__init__([installed.path, 'run', '--addr=127.0.0.1:0', '--log=info', *argv], shim=False, **how)
        try:
            eventually('%s listens' % argv, self.listens)
        except BaseException:
            self.stop()
            raise

    def desks(self):
        """By TCP; the log may name other sockets, too."""
        found = {}
        for m in re.finditer(r'^pprofshim\[(\d+)\]: listening on (127\.0\.0\.1):(\d+)', self.stderr, re.M):
            found.setdefault(int(m.group(1)), Desk(m.group(2), int(m.group(3))))
        return found

    def listens(self):
        assert self.alive(), self.stderr
        return self.pid in self.desks()

    @property
    def desk(self):
        if self._desk is None:
            self._desk = self.desks()[self.pid]
            self._desk.exe = os.path.realpath('/proc/%d/exe' % self.pid)
        return self._desk


def shut_in(*argv):
    """bwrap with these of its arguments, or a reason why not."""
    if shutil.which('bwrap') is None:
        pytest.skip('no bubblewrap here')
    before = ['bwrap', '--dev-bind', '/', '/', *argv]
    plain = subprocess.run([*before, 'true'], capture_output=True, text=True)
    if plain.returncode != 0:
        pytest.skip('not even without us: ' + plain.stderr)
    return before
