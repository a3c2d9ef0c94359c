"""heap_server -- a Go program whose heap profile is that of test/host/many_stacks.c: as many stacks, as deep,
of as many functions, served by net/http/pprof."""
import os
import re
import shutil
import subprocess

FUNCTIONS = 64
DEPTH = 20

MAIN = '''package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strconv"
)

var kept [][]byte

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

var steps [%(functions)d]func(path uint64, depth int, i uint64)

%(body)s
func main() {
	runtime.MemProfileRate = 1
	n, _ := strconv.ParseUint(os.Args[1], 10, 64)
	kept = make([][]byte, n)
%(init)s	for i := uint64(0); i < n; i++ {
		path := mix(i/100 + 1000000007)
		steps[path%%%(functions)d](path/%(functions)d, %(depth)d-1, i)
	}
	runtime.MemProfileRate = 0
	runtime.GC()
	runtime.GC()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(l, nil))
}
'''

# As in C, where the common part is inlined: a step is one frame.
STEP = '''
//go:noinline
func step%(n)d(path uint64, depth int, i uint64) {
	if depth == 0 {
		kept[i] = make([]byte, 64)
		return
	}
	next := path / %(functions)d
	if depth == %(depth)d/2 {
		next = mix(i)
	}
	steps[path%%%(functions)d](next, depth-1, i)
}
'''


def find_go():
    """The go command, if it is 1.24 or newer; else None and why not."""
    for go in filter(None, (shutil.which('go'), '/usr/local/go/bin/go')):
        if not os.path.exists(go):
            continue
        said = subprocess.run([go, 'env', 'GOVERSION'], capture_output=True, text=True,
                              env=dict(os.environ, GOTOOLCHAIN='local')).stdout.strip()
        m = re.match(r'go1\.(\d+)', said)
        if m and int(m.group(1)) >= 24:
            return go, said
        return None, '%s is %s; 1.24 or newer is asked for' % (go, said or 'silent')
    return None, 'there is no go'


def build(go, directory):
    """The path of the program."""
    each = dict(functions=FUNCTIONS, depth=DEPTH)
    source = MAIN % dict(
        each, body=''.join(STEP % dict(each, n=n) for n in range(FUNCTIONS)),
        init=''.join('\tsteps[%d] = step%d\n' % (n, n) for n in range(FUNCTIONS)))
    os.makedirs(directory, exist_ok=True)
    for name, text in (('main.go', source), ('go.mod', 'module heapserver\n\ngo 1.24\n')):
        with open(os.path.join(directory, name), 'w') as f:
            f.write(text)
    subprocess.run([go, 'build', '-o', 'heap_server', '.'], cwd=directory, check=True,
                   env=dict(os.environ, GOTOOLCHAIN='local', GOFLAGS='-mod=mod'))
    return os.path.join(directory, 'heap_server')
