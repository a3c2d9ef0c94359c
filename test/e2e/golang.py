"""golang -- the Gos that are here, and what they build of other people's: google/pprof, Parca."""
import functools
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

from hosts import BUILD

# They are not those of the newest day, so that a test fails for us alone.
STANDALONE = ('github.com/google/pprof', 'v0.0.0-20260906184651-6331bc6350fe', '.')
PARCA = ('github.com/parca-dev/parca', 'v0.28.0', './cmd/parca')
# A first build takes about ten seconds of two CPUs, of Parca ten minutes.
PATIENCE_OF_A_TEST = 120
PATIENCE_OF_A_TARGET = 3600


class Missing(Exception):
    """Why something cannot be had here."""


def environment_of_go(**more):
    """No other Go than the one that is called, nothing of the caller's modules."""
    env = dict(os.environ, CGO_ENABLED='0', GOTOOLCHAIN='local', GOFLAGS='-buildvcs=false', GOWORK='off')
    env.setdefault('HOME', BUILD)
    return dict(env, **more)


@functools.lru_cache(maxsize=None)
def gos():
    """[((1, 26), path of go)], newest first: the one on PATH, Debian's, and that of go.dev's archive."""
    found = {}
    for path in [shutil.which('go'), '/usr/local/go/bin/go', *glob.glob('/usr/lib/go*/bin/go')]:
        if path is None or not os.path.exists(path):
            continue
        said = subprocess.run([path, 'version'], capture_output=True, text=True, env=environment_of_go()).stdout
        m = re.match(r'go version go(\d+)\.(\d+)', said)
        if m:
            found.setdefault((int(m.group(1)), int(m.group(2))), path)
    return sorted(found.items(), reverse=True)


def go_since(oldest):
    """The newest Go, if that is new enough."""
    have = gos()
    if not have or have[0][0] < oldest:
        raise Missing('%s; it takes Go %d.%d' % (
            'the newest Go here is %d.%d' % have[0][0] if have else 'no Go here', *oldest))
    return have[0][1]


def newest_go(oldest):
    """The same for a test, which is skipped."""
    try:
        return go_since(oldest)
    except Missing as e:
        pytest.skip(str(e))


def pprof_of(go):
    """The program behind `go tool pprof`. Since Go 1.25 it is built when it is first used, and looked for each time."""
    env = environment_of_go()
    subprocess.run([go, 'tool', 'pprof', '-h'], env=env, capture_output=True, timeout=300)
    return subprocess.run([go, 'tool', '-n', 'pprof'], env=env, capture_output=True, text=True, check=True).stdout.strip()


def built(module, version, package, patience=PATIENCE_OF_A_TEST):
    """The path of a program out of the module proxy, built in the module's own folder and so of what its go.sum says; kept
    beside what else is built."""
    name = os.path.basename(module if package == '.' else package)
    program = os.path.join(BUILD, 'clients', '%s-%s' % (name, version))
    if os.path.exists(program):
        return program
    go, env = go_since((1, 24)), environment_of_go()
    os.makedirs(os.path.dirname(program), exist_ok=True)
    try:
        got = subprocess.run([go, 'mod', 'download', '-json', '%s@%s' % (module, version)], env=env,
                             cwd=os.path.dirname(program), capture_output=True, text=True, timeout=patience)
        said = json.loads(got.stdout or '{}')
        if 'Dir' not in said:
            raise Missing('no %s: %s' % (module, said.get('Error') or got.stderr.strip()[-300:]))
        made = subprocess.run([go, 'build', '-o', program + '.new', package], env=env, cwd=said['Dir'],
                              capture_output=True, text=True, timeout=patience)
    except subprocess.TimeoutExpired:
        raise Missing('no %s: not done after %d s' % (module, patience))
    if made.returncode != 0:
        raise Missing('no %s: %s' % (module, made.stderr.strip()[-300:]))
    os.replace(program + '.new', program)
    return program
