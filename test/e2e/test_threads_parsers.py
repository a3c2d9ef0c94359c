"""Programs of the wild that read Go's goroutine dumps read ours: panicparse, which Debian has, and gostackparse,
which comes from Go's module proxy; and go tool pprof reads the profile."""
import json
import os
import re
import shutil
import subprocess

import pytest

from clients import need
from dumps import dump_of
from go_tool import go, pprof  # noqa: F401
from hosts import eventually
from test_threads_dump import STATES, settled

# What a parser has understood, one JSON object for each goroutine.
PANICPARSE = '''package main

import (
	"encoding/json"
	"io"
	"os"

	"github.com/maruel/panicparse/v2/stack"
)

func main() {
	in := io.Reader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	s, rest, err := stack.ScanSnapshot(in, io.Discard, stack.DefaultOpts())
	if err != nil && err != io.EOF {
		panic(err)
	}
	left, _ := io.ReadAll(in)
	if len(rest) + len(left) > 0 {
		panic("not read: " + string(rest) + string(left))
	}
	for _, g := range s.Goroutines {
		frames := []string{}
		for _, c := range g.Stack.Calls {
			frames = append(frames, c.Func.Complete)
		}
		maker := ""
		if len(g.CreatedBy.Calls) > 0 {
			maker = g.CreatedBy.Calls[0].Func.Complete
		}
		out.Encode(map[string]interface{}{"tid": g.ID, "state": g.State, "minutes": g.SleepMax,
			"frames": frames, "maker": maker, "elided": g.Stack.Elided})
	}
}
'''
GOSTACKPARSE = '''package main

import (
	"encoding/json"
	"os"

	"github.com/DataDog/gostackparse"
)

func main() {
	out := json.NewEncoder(os.Stdout)
	goroutines, errs := gostackparse.Parse(os.Stdin)
	for _, err := range errs {
		panic(err)
	}
	for _, g := range goroutines {
		frames := []string{}
		for _, f := range g.Stack {
			frames = append(frames, f.Func)
		}
		maker := ""
		if g.CreatedBy != nil {
			maker = g.CreatedBy.Func
		}
		out.Encode(map[string]interface{}{"tid": g.ID, "state": g.State, "minutes": int(g.Wait.Minutes()),
			"frames": frames, "maker": maker, "elided": g.FramesElided})
	}
}
'''


def build(where, name, source, env, module=''):
    if shutil.which('go') is None:
        pytest.skip('no go here')
    (where / 'main.go').write_text(source)
    if module:
        (where / 'go.mod').write_text(module)
    target = str(where / name)
    built = subprocess.run(['go', 'build', '-o', target, '.'], cwd=where, env=dict(os.environ, **env),
                           capture_output=True, text=True, timeout=300)
    return target if built.returncode == 0 else built


@pytest.fixture(scope='module')
def panicparse(tmp_path_factory):
    built = build(tmp_path_factory.mktemp('panicparse'), 'panicparse', PANICPARSE,
                  {'GO111MODULE': 'off', 'GOPATH': '/usr/share/gocode'})
    assert isinstance(built, str), built.stderr
    return built


@pytest.fixture(scope='module')
def gostackparse(tmp_path_factory):
    built = build(tmp_path_factory.mktemp('gostackparse'), 'gostackparse', GOSTACKPARSE,
                  {'GOFLAGS': '-mod=mod'}, 'module parse\n\ngo 1.19\n\nrequire github.com/DataDog/gostackparse v0.7.0\n')
    if not isinstance(built, str):
        pytest.skip('no gostackparse here, and no module proxy: ' + built.stderr.strip().split('\n')[-1])
    return built


def read_by(parser, text):
    p = subprocess.run([parser], input=text, capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, p.stderr
    return {g['tid']: g for g in map(json.loads, p.stdout.split('\n')[:-1])}


def cut(name):
    """gostackparse takes the maker's name up to the first blank, and so a function's up to its last parenthesis."""
    return name.split(' ')[0]


def assert_read(parser, d):
    """All of it, as dumps.py reads it."""
    found = read_by(parser, d.text)
    assert sorted(found) == sorted(d.by_tid)
    for tid, t in d.by_tid.items():
        g = found[tid]
        assert (g['state'], g['minutes'], g['elided']) == (t.state, t.minutes, t.truncated), t.state
        # panicparse reads a + as an escaped blank.
        assert [f.replace('+', ' ') for f in g['frames']] == [f.replace('+', ' ') for f in t.frames]
        assert cut(g['maker'].replace('+', ' ')) == cut((t.maker or '').replace('+', ' '))


HOSTS = {
    'waits': lambda start, tmp: start(['threads_wait']),
    'deadlock': lambda start, tmp: start(['threads_deadlock']),
    'deep': lambda start, tmp: start(['deep_stack', 'wait']),
    'node': lambda start, tmp: start([need('node'), '-e', 'setInterval(() => 0, 1000); console.log("ready")']),
    'redis': lambda start, tmp: start([need('redis-server'), '--port', '0', '--unixsocket', str(tmp / 'redis')]),
}


@pytest.mark.parametrize('parser', ['panicparse', 'gostackparse'])
@pytest.mark.parametrize('name', HOSTS)
def test_parsers_take_it(request, start, tmp_path, name, parser):
    h = HOSTS[name](start, tmp_path)
    if name != 'redis':
        h.wait_for_output('ready')
    d = settled(h, len(STATES) + 3) if name == 'waits' else eventually('all have their stacks', lambda: next(
        (d for d in [dump_of(h)] if not d.unavailable()), None))
    assert_read(request.getfixturevalue(parser), d)


@pytest.mark.parametrize('parser', ['panicparse', 'gostackparse'])
def test_parsers_take_minutes_and_odd_names(request, parser):
    """Forms that no host can be made to have at will, as serve_threads_test.c finds them written."""
    text = ('goroutine 1 [running]:\nserve_goroutine(...)\n\t/x/libpprofshim.so.s:0 +0x1\n\n'
            'goroutine 2 [sync.Mutex.Lock (0x7f00 held by 3 a_ _b_), 12 minutes]:\n'
            'f<void {int {*}{}}>(...)\n\t/a_1_/b.s:0 +0x6\n'
            '(anonymous namespace)::operator()(...)\n\t??:0 +0x6\n'
            'operator_=__(...)\n\t[vdso].s:0 +0x6\n...additional frames elided...\n'
            'created by ns::Box<3>::add in goroutine 1\n\t/a b/c.s:0 +0x6\n')
    found = read_by(request.getfixturevalue(parser), text)
    assert found[2]['state'] == 'sync.Mutex.Lock (0x7f00 held by 3 a_ _b_)' and found[2]['minutes'] == 12
    assert found[2]['frames'] == ['f<void {int {*}{}}>', '(anonymous namespace)::operator()', 'operator_=__']
    assert found[2]['elided'] and found[2]['maker'].startswith('ns::Box<3>::add')


def test_panicparse_takes_a_thread_that_did_not_answer(panicparse):
    text = ('goroutine 1 [running]:\nserve_goroutine(...)\n\t/x/libpprofshim.so.s:0 +0x1\n\n'
            'goroutine 2 [running]:\n\tgoroutine running on other thread; stack unavailable\n'
            'created by main in goroutine 1\n\t/x/c.s:0 +0x6\n\n'
            'goroutine 3 [sleep]:\nmain(...)\n\t/x/c.s:0 +0x6\n')
    found = read_by(panicparse, text)
    assert sorted(found) == [1, 2, 3] and found[2]['maker'].startswith('main')


# --- go tool pprof ---

def test_go_tool_pprof(go, start, tmp_path):        # noqa: F811
    h = start(['threads_wait'])
    h.wait_for_output('ready')
    settled(h, len(STATES) + 3)
    for query in ('', '?debug=1', '?labels=thread'):
        text = pprof(go, tmp_path, '-top', h.desk.url('/debug/pprof/goroutine' + query))
        assert 'Showing nodes accounting for' in text and '%d total' % (len(STATES) + 3) in text, query
        assert 'waits_in_cond' in text
    assert 'Type: goroutine\n' in pprof(go, tmp_path, '-top', h.desk.url('/debug/pprof/threads'))
    tags = pprof(go, tmp_path, '-tags', h.desk.url('/debug/pprof/goroutine?labels=thread'))
    assert 'w-poll_one' in tags
    text = pprof(go, tmp_path, '-top', '-seconds', '1', h.desk.url('/debug/pprof/goroutine'))
    assert re.search(r'Duration: [1-9]', text)
