"""conformance -- two servers that are asked the same: a host of ours, and Go's own net/http/pprof.

Both do what a line on their input says (test/host/does_as_told.c, test/host/go_server/main.go). The Go one is built by the
newest Go that is here, if that is 1.24 or newer: it proves that a check does not ask for more than Go does."""
import collections
import contextlib
import os
import re
import subprocess
import tempfile

import pytest

from golang import environment_of_go, newest_go
from hosts import TOP, Background, Desk, Host, eventually

# Since then its mux answers as it does now, and its programs have a build id.
GO_OLDEST = (1, 24)

# What comes with other parts of the library, by the number of the check.
LATER = {9: 'source lines', 19: 'the API for custom profiles', 24: 'the trace', 33: 'the API for custom profiles'}

# What is as if nobody had said how long a CPU profile takes.
NO_SECONDS = ('', '?seconds=0', '?seconds=-1', '?seconds=abc', '?seconds=1.5', '?seconds=', '?seconds=99999999999999999999')

# What is known to be wrong in Go's own profiles, by (kind, beginning of the linter's finding).
GO_KNOWN = (
    ('threadcreate', '18: function 1 has no name'),            # its stacks are 32 zeros
    ('allocs', "19: default_sample_type '', Go has"),           # lost in a delta
    # Before 1.27 all sizes of a stack are one sample, whose label is their mean; and some stacks come twice.
    ('heap', '11: alloc_'), ('allocs', '11: alloc_'),
    ('heap', '10: sample '), ('allocs', '10: sample '),
)


@contextlib.contextmanager
def comes_later(server, number):
    """What Go does already. For ours pytest lists it as an expected failure; when it holds, this is to go."""
    if server.kind == 'go':
        yield
        return
    try:
        yield
    except AssertionError:
        pytest.xfail('check %d comes with %s' % (number, LATER[number]))
    pytest.fail('check %d holds: it comes no later' % number)


class GoDesk(Desk):
    def excuses(self, kind, finding):
        return any(kind == k and finding.startswith(f) for k, f in GO_KNOWN)


Waited = collections.namedtuple('Waited', 'least most')


class Server:
    """A host that does as it is told."""

    def __init__(self, host, desk):
        self.host, self.desk, self.pid = host, desk, host.pid

    def tell(self, line):
        """What it says to that."""
        before = self.host.stdout.count('\n')
        self.host.say(line.encode() + b'\n')
        eventually('%s is done with %r' % (self.host.argv[0], line),
                   lambda: re.search(r'^(done|what\?)$', '\n'.join(
                       self.host.stdout.split('\n')[before:]), re.M))
        said = self.host.stdout.split('\n')[before:-1]
        assert said[-1] == 'done', (line, said)
        return said[:-1]

    def fight(self, count, us):
        """How many ns were waited: at least, and at most. Between the two is what a machine that is busy takes to
        wake somebody, or lets him stand before he waits."""
        return Waited(*map(int, self.tell('fight %d %d' % (count, us))[0].split()[1:]))

    def samples(self, path, name):
        """Those of a profile that have a frame of that function."""
        return [s for s in self.desk.profile(path).samples if self.name(name) in s.frames]

    def stop(self):
        self.host.stop()


class Ours(Server):
    kind = 'ours'

    def __init__(self, **options):
        host = Host(['does_as_told'], CPU_HZ=100, BLOCK_RATE=1, **options)
        super().__init__(host, host.desk)

    @staticmethod
    def another(heap_rate):
        return Ours(HEAP_RATE=heap_rate)

    @staticmethod
    def name(function):
        return function


class Gos(Server):
    kind = 'go'

    def __init__(self, program, **env):
        host = Host([program], shim=False, env=env)
        found = eventually('the Go server listens', lambda: re.search(
            r'^listening on (\S+):(\d+)$', host.stdout, re.M))
        host._desk = GoDesk(found.group(1), int(found.group(2)), program)
        super().__init__(host, host.desk)
        self.program = program

    def another(self, heap_rate):
        return Gos(self.program, GODEBUG='memprofilerate=%d' % heap_rate)

    @staticmethod
    def name(function):
        return 'main.' + function


def working(server):
    """The same server after it has done something of all."""
    server.tell('keep 256 1048576')
    server.tell('drop 64 1048576')
    server.waited = server.fight(20, 3000)
    # Samples every block. And it is asked for what takes thirty seconds; of Go one profile at once.
    server.other = server.another(1)
    server.thirty = {query: Background(lambda query=query: server.other.desk.profile('profile' + query))
                     for query in (NO_SECONDS if server.kind == 'ours' else NO_SECONDS[:1])}
    return server


def stop(server):
    server.other.stop()
    server.stop()


@pytest.fixture(scope='session')
def ours():
    server = working(Ours())
    yield server
    stop(server)


@pytest.fixture(scope='session')
def original():
    with tempfile.TemporaryDirectory(prefix='pprofshim-test-') as directory:
        program = os.path.join(directory, 'go_server')
        subprocess.run([newest_go(GO_OLDEST), 'build', '-o', program,
                        os.path.join(TOP, 'test', 'host', 'go_server', 'main.go')],
                       env=environment_of_go(), check=True)
        server = working(Gos(program))
        yield server
        stop(server)


@pytest.fixture(params=['ours', 'go'])
def server(request):
    """Each test is asked of both."""
    return request.getfixturevalue({'ours': 'ours', 'go': 'original'}[request.param])


@pytest.fixture
def desk(server):
    return server.desk
