"""Programs as the distribution ships them, never rebuilt: stripped, optimised, without frame pointers."""
import functools
import http.client
import os
import re
import shutil
import subprocess
import threading

import pytest

from hosts import Background, Desk, add_until, eventually, free_port, program, run


def need(name):
    try:
        return program(name)
    except FileNotFoundError:
        pytest.skip('no %s here' % name)


def share(p, value, condition):
    """Part of a value in samples for which condition holds."""
    total = p.total(value)
    assert total > 0, 'an empty profile'
    return sum(s.values[value] for s in p.samples if condition(s)) / total


def has_shares(*parts):
    """Of a profile: more than the least part of its CPU time is in samples for which each condition holds."""
    def has(p):
        return p.total('cpu') > 0 and all(share(p, 'cpu', condition) > least for condition, least in parts)
    return has


def is_under(function):
    return lambda s: function in s.frames


def is_rooted(s):
    """The stack ends where a thread begins: at the program's entry, or in libc's clone."""
    last = s.frames[-1]
    return ('main' in s.frames or last in ('_start', 'clone', 'clone3', '__clone', '__clone3') or
            re.search(r'/libc(\.so\.6|-2.*\.so)$', s.files[-1]) is not None and len(s.frames) > 2)


# --- redis ---

@pytest.fixture
def redis(start, tmp_path):
    server, bench, cli = need('redis-server'), need('redis-benchmark'), need('redis-cli')
    sock = str(tmp_path / 'redis.sock')
    h = start([server, '--port', 0, '--unixsocket', sock, '--save', '', '--appendonly', 'no',
               '--dir', str(tmp_path)])
    eventually('redis answers', lambda: subprocess.run(
        [cli, '-s', sock, 'ping'], capture_output=True).stdout == b'PONG\n')
    load = subprocess.Popen([bench, '-s', sock, '-q', '-l', '-r', '20000', '-d', '400', '-P', '4', '-t',
                             'set,get,lpush,lpop,sadd,hset,zadd'], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    h.cli = lambda *argv: subprocess.run([cli, '-s', sock, *argv], capture_output=True, text=True).stdout
    yield h
    load.kill()
    load.wait()


REDIS = {'aeMain', 'aeProcessEvents', 'processCommand', 'call', 'readQueryFromClient',
         'processInputBuffer', 'dictFind', 'setCommand', 'lookupKey'}


def test_redis(redis):
    # Its leaves are functions, not addresses: in its own code nearly all, in libc what it exports.
    parts = has_shares((lambda s: {'aeMain', 'main'} <= set(s.frames), 0.9), (is_rooted, 0.97),
                       (lambda s: re.search(r'\+0x', s.frames[0]) is None, 0.3))

    def known(p):
        return REDIS & {f for s in p.samples for f in s.frames}
    p = add_until(lambda p: parts(p) and len(known(p)) >= 5, lambda: redis.profile('profile?seconds=3'))
    assert len(known(p)) >= 5, p.functions
    assert parts(p), p.flat('cpu')
    # One sample stands for half a MiB: on a busy machine it has not come so far.
    eventually('it has 4 MiB', lambda: redis.profile('heap').total('inuse_space') > 4 << 20)
    allocs = redis.profile('allocs')
    assert share(allocs, 'alloc_space', lambda s: 'main' in s.frames) > 0.8
    names = {f for s in allocs.samples for f in s.frames}
    assert len(names & REDIS) >= 2, names
    eventually('it allocates under load', lambda: redis.profile('heap?seconds=1').total('alloc_space') > 1 << 20)
    assert redis.cli('ping') == 'PONG\n'


def test_redis_keeps_its_own_memory_figures_and_forks(redis):
    """It asks its allocator for sizes, names its process, saves in a fork child."""
    assert int(re.search(r'used_memory:(\d+)', redis.cli('info', 'memory')).group(1)) > 100000
    assert redis.cli('bgsave').startswith('Background saving started')
    eventually('the child has saved', lambda: 'rdb_bgsave_in_progress:0' in redis.cli(
        'info', 'persistence') and 'rdb_last_bgsave_status:ok' in redis.cli('info', 'persistence'), 60)
    assert redis.cli('debug', 'sleep', '0') != ''
    assert redis.alive()
    assert redis.cli('config', 'get', 'maxmemory').split() == ['maxmemory', '0']


def test_redis_shuts_down_cleanly(redis):
    redis.cli('shutdown', 'nosave')
    assert redis.wait() == 0


# --- python ---

PYTHON = '/usr/bin/python3'

PURE = '''
import sys
class Tree:
    def __init__(self, depth):
        self.left = Tree(depth - 1) if depth else None
        self.right = Tree(depth - 1) if depth else None
    def count(self):
        return 1 + (self.left.count() if self.left else 0) + (self.right.count() if self.right else 0)
print('ready', flush=True)
while True:
    Tree(12).count()
    ['%d' % i for i in range(10000)]
'''


def test_python(start):
    need(PYTHON)
    h = start([PYTHON, '-c', PURE])
    h.wait_for_output('ready')
    parts = has_shares((is_under('_PyEval_EvalFrameDefault'), 0.9), (is_under('Py_BytesMain'), 0.9), (is_rooted, 0.97))
    p = add_until(parts, lambda: h.profile('profile?seconds=3'))
    assert parts(p), p.flat('cpu')
    # A sample of these is half a MiB.
    eventually('it has allocated', lambda: h.profile('allocs').total('alloc_space') > 20 << 20)
    heap = h.profile('allocs')
    assert share(heap, 'alloc_space', lambda s: 'Py_BytesMain' in s.frames) > 0.7


POOL = '''
import concurrent.futures, hashlib, threading
def work(n):
    while True:
        hashlib.sha256(bytes(200000)).digest()  # outside of the lock
        x = 0
        for i in range(2000):
            x += i
pool = concurrent.futures.ThreadPoolExecutor(4)
for n in range(4):
    pool.submit(work, n)
print('ready', flush=True)
'''


def test_python_thread_pool(start):
    need(PYTHON)
    h = start([PYTHON, '-c', POOL])
    h.wait_for_output('ready')
    # Four threads on however many processors, none of them the main thread; a late tick of each, 0.14 s at most as
    # far as was seen, may be for after the end.
    p, used, outside = h.profile_and_cpu('profile?seconds=3', os.cpu_count())
    assert p.total('cpu') / 1e9 > 0.8 * used - outside - 0.6, (p.total('cpu'), used, outside)
    first = [p]
    parts = has_shares((lambda s: 'Py_BytesMain' not in s.frames, 0.9), (is_under('_PyEval_EvalFrameDefault'), 0.9),
                       (is_rooted, 0.97))
    p = add_until(parts, lambda: first.pop() if first else h.profile('profile?seconds=3'))
    assert parts(p), p.flat('cpu')


def test_threads_by_name(start):
    """labels=thread keeps threads of different names apart; without it they are one."""
    need(PYTHON)
    h = start([PYTHON, '-c', '''
import ctypes, threading
def work(name):
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
    while True:
        sum(range(1000))
for name in (b"baker", b"smith"):
    threading.Thread(target=work, args=(name,)).start()
print("ready", flush=True)
'''])
    h.wait_for_output('ready')

    def has_both(p):
        return {'baker', 'smith'} <= {s.labels.get('thread') for s in p.samples} and has_shares(
            (lambda s: s.labels.get('thread') in ('baker', 'smith'), 0.9))(p)
    p = add_until(has_both, lambda: h.profile('profile?seconds=2&labels=thread'))
    assert has_both(p), [(s.labels, s.values) for s in p.samples]
    assert all(s.labels == {} for s in h.profile('profile?seconds=1').samples)


def test_python_subprocesses(start):
    code = ('import subprocess, sys\n'
            'for i in range(30):\n'
            '    assert subprocess.run(["/bin/echo", str(i)], capture_output=True).stdout == b"%d\\n" % i\n'
            'import multiprocessing\n'
            'with multiprocessing.get_context("fork").Pool(2) as p:\n'
            '    print(sum(p.map(abs, range(-1000, 1000))))\n')
    with_us, without = (run([PYTHON, '-W', 'error', '-c', code], shim=x, LOG='error')
                        for x in (True, False))
    assert with_us == without
    assert without.stdout == '1000000\n'


# --- nginx ---

def ports_of(pid):
    """TCP ports that a process listens on, by its descriptors."""
    inodes = set()
    for task in os.listdir('/proc/%d/task' % pid):      # our thread may have a table of its own
        try:
            fds = os.listdir('/proc/%d/task/%s/fd' % (pid, task))
        except FileNotFoundError:                       # it makes room for another one
            continue
        for fd in fds:
            try:
                m = re.match(r'socket:\[(\d+)\]', os.readlink('/proc/%d/task/%s/fd/%s' % (pid, task, fd)))
            except FileNotFoundError:
                continue
            if m:
                inodes.add(m.group(1))
    found = set()
    with open('/proc/%d/net/tcp' % pid) as f:
        for line in f.readlines()[1:]:
            fields = line.split()
            if fields[3] == '0A' and fields[9] in inodes:
                found.add(int(fields[1].split(':')[1], 16))
    return found


def children_of(pid):
    with open('/proc/%d/task/%d/children' % (pid, pid)) as f:
        return [int(x) for x in f.read().split()]


def test_nginx(start, tmp_path):
    nginx = need('nginx')
    (tmp_path / 'html').mkdir()
    (tmp_path / 'html' / 'x.txt').write_text('text ' * 4000)
    port = free_port()
    paths = '\n'.join('    %s_temp_path %s/%s;' % (x, tmp_path, x) for x in
                      ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    (tmp_path / 'nginx.conf').write_text('''
daemon off;
worker_processes 2;
pid %s/pid;
error_log stderr;
%s
events { worker_connections 128; accept_mutex on; accept_mutex_delay 5ms; }
http {
%s
    access_log off;
    gzip on; gzip_min_length 1; gzip_comp_level 6; gzip_types text/plain;
    server { listen 127.0.0.1:%d; root %s/html; keepalive_requests 50;
             location / { default_type text/plain; } }
}
''' % (tmp_path, 'user root;' if os.getuid() == 0 else '', paths, port, tmp_path))
    h = start([nginx, '-e', 'stderr', '-p', str(tmp_path), '-c', str(tmp_path / 'nginx.conf')])
    workers = eventually('two workers', lambda: len(children_of(h.pid)) == 2 and children_of(h.pid))
    stop = threading.Event()

    def load():
        c = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
        while not stop.is_set():
            c.request('GET', '/x.txt', headers={'Accept-Encoding': 'gzip'})
            r = c.getresponse()
            assert r.status == 200 and r.read()
    clients = [Background(load, repeat=True) for _ in range(8)]
    try:
        # A worker's own desk comes when it has run for a moment.
        def own_ports():
            ports = {w: ports_of(w) - {port} for w in workers}
            return all(len(p) == 1 for p in ports.values()) and ports
        ports = eventually('each worker has one port of its own', own_ports)
        master = ports_of(h.pid) - {port}
        assert master == {h.desk.port}
        assert len(set.union(master, *ports.values())) == 3
        for own in ports.values():
            desk = Desk('127.0.0.1', own.pop(), os.path.realpath(nginx))
            parts = has_shares((lambda s: any(f.startswith('ngx_') for f in s.frames), 0.9),
                               (lambda s: {'ngx_spawn_process', 'main'} <= set(s.frames), 0.9), (is_rooted, 0.97))
            p = add_until(parts, lambda: desk.profile('profile?seconds=2'))
            assert parts(p), p.flat('cpu')
            eventually('a block of half a MiB', lambda: desk.profile('allocs').total('alloc_space') > 0)
        # The master did none of it.
        assert h.profile('profile?seconds=1').total('cpu') <= 0.1e9
    finally:
        stop.set()
    for c in clients:
        c.get()
    # A reload makes new workers, the old ones go with their desks.
    h.process.send_signal(1)
    eventually('new workers', lambda: len(children_of(h.pid)) == 2 and
               not set(children_of(h.pid)) & set(workers))
    h.process.send_signal(3)
    assert h.wait() == 0


# --- C++, Rust ---

def test_cpp(start):
    h = start(['cpp_containers', 1000])
    # Exceptions pass through frames that others threw: the unwinder of C++ is as before.
    under_main = has_shares((is_under('main'), 0.95))

    def has_names(p):
        return any(re.match(r'fruit::Basket<fruit::Apple>::(add|weigh|find)$', f) for s in p.samples for f in s.frames)
    p = add_until(lambda p: under_main(p) and has_names(p), lambda: h.profile('profile?seconds=2'))
    names = {f for s in p.samples for f in s.frames}
    assert has_names(p), names
    assert not [n for n in names if n.startswith('_Z')]
    assert under_main(p), p.flat('cpu')
    assert any(n.startswith('_ZN') for n in h.profile('allocs').system_names), 'system names stay as they are'
    # libstdc++'s reserve of 72 KB, from before main, is sampled in one of eight runs, as half a MiB.
    eventually('it has allocated', lambda: h.profile('allocs').total('alloc_space') > 40 << 20)
    heap = h.profile('allocs')
    assert share(heap, 'alloc_space', lambda s: 'main' in s.frames) > 0.95
    leaves = heap.flat('alloc_space')
    assert not [n for n in leaves if re.match(r'(malloc|operator new|_Znw)', n)], leaves


RUST = '''
mod fruit {
    pub struct Basket<T> { items: Vec<T> }
    impl<T: Clone + std::fmt::Debug> Basket<T> {
        pub fn new() -> Self { Basket { items: Vec::new() } }
        #[inline(never)]
        pub fn squeeze(&mut self, item: &T) -> usize {
            for _ in 0..2000 { self.items.push(item.clone()); }
            let n = format!("{:?}", self.items).len();
            if self.items.len() > 20000 { self.items.clear(); }
            n
        }
    }
}
fn main() {
    let mut basket = fruit::Basket::new();
    let mut sum = 0usize;
    let again = std::env::args().count() > 1;
    for _ in 0..10 { sum += basket.squeeze(&String::from("an apple in a basket")); }
    println!("sum {}", sum);
    std::panic::set_hook(Box::new(|_| {}));     // its text has the pid in it
    let hook = std::panic::catch_unwind(|| { let v: Vec<u8> = Vec::new(); v[1] });
    println!("panic caught: {}", hook.is_err());
    let t = std::thread::spawn(|| { let mut b = fruit::Basket::new(); b.squeeze(&7u64) });
    println!("thread {}", t.join().unwrap());
    while again { sum = sum.wrapping_add(basket.squeeze(&String::from("more"))); }
}
'''


@pytest.fixture(scope='module')
def rust(tmp_path_factory):
    if shutil.which('cargo') is None or shutil.which('rustc') is None:
        pytest.skip('no cargo here')
    where = tmp_path_factory.mktemp('rust')
    (where / 'src').mkdir()
    (where / 'src' / 'main.rs').write_text(RUST)
    (where / 'Cargo.toml').write_text('[package]\nname = "basket"\nversion = "0.1.0"\nedition = "2021"\n')
    built = subprocess.run(['cargo', 'build', '--release', '--offline'], cwd=where, capture_output=True,
                           text=True)
    if built.returncode != 0:
        pytest.skip('cargo cannot build: ' + built.stderr.strip().split('\n')[-1])
    return str(where / 'target' / 'release' / 'basket')


def test_rust(start, rust):
    h = start([rust, 'again'])
    h.wait_for_output('thread')
    rooted = has_shares((is_rooted, 0.97))
    p = add_until(rooted, lambda: h.profile('profile?seconds=2'))
    names = {f for s in p.samples for f in s.frames}
    assert any(re.search(r'basket::fruit::Basket<.*>::squeeze|squeeze', n) for n in names), names
    assert not [n for n in names if n.startswith('_ZN') or n.startswith('_R')]
    assert not [n for n in names if re.search(r'::h[0-9a-f]{16}$', n)], 'hashes are no part of a name'
    assert rooted(p), p.flat('cpu')
    eventually('it has allocated', lambda: h.profile('allocs').total('alloc_space') > 20 << 20)
    assert share(h.profile('allocs'), 'alloc_space',
                 lambda s: any('squeeze' in f for f in s.frames)) > 0.8


def test_rust_is_untouched(rust):
    assert run([rust]) == run([rust], shim=False)


# --- shells ---

PIPELINES = [
    'seq 1 20000 | sort -rn | head -n 5',
    'yes | head -n 100000 | md5sum',
    'for i in 1 2 3; do echo $i; done | while read x; do echo "<$x>"; done',
    'false | true; echo $?; set -o pipefail; false | true; echo $?',
    'exit 42',
    'kill -TERM $$',
    'exec 2>/dev/null; (exit 3); echo $?; (kill -9 $BASHPID); echo $?',
    'echo $(( $(seq 1 1000 | paste -sd+) ))',
    'seq 100000 | grep -c 7 | tee /dev/stderr | cat',
    'find /usr/include -name "*.h" 2>/dev/null | sort | head -n 200 | xargs wc -c | tail -n 1',
    'sleep 0.2 & wait $!; echo $?; jobs; true',
    'coproc cat; echo x >&${COPROC[1]}; read -u ${COPROC[0]} y; echo $y',
    'trap "echo bye" EXIT; trap "echo usr1" USR1; kill -USR1 $$; echo on',
    'cat <(echo one) <(echo two) | tac',
    'ls /nonexistent; echo $?',
    'head -c 1000000 /dev/zero | gzip -c | zcat | wc -c',
    'tar cf - -C /usr/include stdio.h stdlib.h 2>/dev/null | tar tf -',
    'awk \'BEGIN { for (i = 0; i < 200000; i++) x[i % 1000] += i; print x[7] }\'',
    'perl -e \'my %h; $h{$_ % 100} .= "x" for 1 .. 100000; print length $h{7}, "\\n"\'',
    'ulimit -n 64; exec 5</dev/null; ls -1 /proc/self/fd | sort -n | head -n 4',
    'ulimit -v 400000; echo $?; seq 3',
    'env -i /bin/echo clean',
    'exec 2>&1; nosuchcommand; echo $?',
]


@pytest.mark.parametrize('script', PIPELINES, ids=[x[:40] for x in PIPELINES])
def test_bash(script):
    assert run(['bash', '-c', script]) == run(['bash', '-c', script], shim=False)


# --- other allocators ---

ALLOCATORS = {'jemalloc': 'libjemalloc.so.2', 'tcmalloc': 'libtcmalloc_minimal.so.4', 'mimalloc': 'libmimalloc.so.2'}


def library(name):
    for directory in ('/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'):
        path = os.path.join(directory, ALLOCATORS[name])
        if os.path.exists(path):
            return path
    pytest.skip('no %s here' % ALLOCATORS[name])


@functools.lru_cache(None)
def alone_with(lib, *argv):
    """For both orders: it is the same each time."""
    return run(argv, shim=False, after=lib)


@pytest.mark.parametrize('order', ['after', 'before'])
@pytest.mark.parametrize('name', sorted(ALLOCATORS))
@pytest.mark.parametrize('argv', [['new_delete'], ['cpp_containers'], ['dlopen_cxx'],
                                  ['dlopen_loop', 50], ['threads_churn'], ['fork_tree'],
                                  ['vfork_exec', 60]],
                         ids=lambda argv: argv[0])
def test_allocator_is_untouched(argv, name, order):
    """Where the shim comes first it forwards to it; where it comes second its doors are not used."""
    lib = library(name)
    alone = alone_with(lib, *argv)
    assert run(argv, **{order: lib}) == alone
    assert run(argv, HEAP_RATE=1, CPU_HZ=1000, **{order: lib}) == alone


@pytest.mark.parametrize('name', sorted(ALLOCATORS))
def test_allocator_behind_us(start, name):
    h = start(['hold_heap'], after=library(name), HEAP_RATE='16k')
    h.wait_for_output('ready')
    p = h.profile('heap')
    for line in h.stdout.split('\n'):
        if line.startswith('truth hold_'):
            _, site, size, live, _ = line.split()
            want = int(size) * int(live)
            assert 0.7 * want < p.total('inuse_space', having=site) < 1.3 * want, site
        elif line.startswith('truth drop_'):
            assert p.total('inuse_space', having=line.split()[1]) == 0
    h = start(['cpp_containers', 1000], after=library(name))
    eventually('names', lambda: any(
        f.startswith('fruit::Basket') for s in h.profile('allocs?seconds=1').samples for f in s.frames))


@pytest.mark.parametrize('name', sorted(ALLOCATORS))
def test_allocator_before_us(start, name):
    """Its functions are found first: no heap profile, but a valid one, and the CPU's is as good."""
    h = start(['cpp_containers', 1000], before=library(name))
    assert h.profile('heap') is not None
    under_main = has_shares((is_under('main'), 0.9))
    p = add_until(under_main, lambda: h.profile('profile?seconds=2'))
    assert under_main(p), p.flat('cpu')
