"""Rust's own locks, which wait on futexes by libc's syscall(); and parking_lot, of which only the waiter is seen."""
import shutil
import subprocess

import pytest

from test_locks import ALL, is_charged, is_close, truth_of
from undisturbed import at_least, at_most, undisturbed

# What it measures itself, it prints as test/host/lock_truth.h does.
COMMON = '''
use std::sync::atomic::{AtomicUsize, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ROUNDS: usize = 40;
static TURN: AtomicUsize = AtomicUsize::new(0);
static WAITED: AtomicU64 = AtomicU64::new(0);
static WAITS: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicU64 = AtomicU64::new(0);
static WAIT_BEGAN: AtomicU64 = AtomicU64::new(u64::MAX);

fn now() -> u64 { SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 }

fn wait_for_turn(n: usize) { while TURN.load(SeqCst) < n { std::thread::yield_now(); } }
fn waited(since: Instant) {
    WAITED.fetch_add(since.elapsed().as_nanos() as u64, SeqCst);
    WAITS.fetch_add(1, SeqCst);
}
fn sleep_ms(n: u64) { std::thread::sleep(Duration::from_millis(n)); }

#[inline(never)] #[no_mangle]
pub extern "C" fn holds_mutex() {
    let guard = LOCK.lock()UNWRAP;
    TURN.fetch_add(1, SeqCst);
    sleep_ms(5);
    HELD.fetch_add(now().saturating_sub(WAIT_BEGAN.swap(u64::MAX, SeqCst)), SeqCst);
    drop(guard);
    WAITS.fetch_add(0, SeqCst);     // no call of this is a tail call
}

#[inline(never)] #[no_mangle]
pub extern "C" fn waits_mutex() {
    let begin = Instant::now();
    WAIT_BEGAN.store(now(), SeqCst);
    let guard = LOCK.lock()UNWRAP;
    waited(begin);
    drop(guard);
    WAITS.fetch_add(0, SeqCst);     // no call of this is a tail call
}

#[inline(never)] #[no_mangle]
pub extern "C" fn waits_condvar() {
    let mut guard = LOCK.lock()UNWRAP;
    let begin = Instant::now();
    while *guard == 0 { WAIT_CONDVAR }
    waited(begin);
    *guard = 0;
    WAITS.fetch_add(0, SeqCst);     // no call of this is a tail call
}

fn mutex() {
    let other = std::thread::spawn(|| for i in 0..ROUNDS {
        wait_for_turn(2 * i + 1);
        waits_mutex();
        TURN.fetch_add(1, SeqCst);
    });
    for i in 0..ROUNDS { wait_for_turn(2 * i); holds_mutex(); }
    wait_for_turn(2 * ROUNDS);
    sleep_ms(50);
    other.join().unwrap();
}

fn condvar() {
    let other = std::thread::spawn(|| for i in 0..ROUNDS {
        wait_for_turn(2 * i + 1);
        sleep_ms(5);
        *LOCK.lock()UNWRAP = 1;
        COND.notify_one();
        wait_for_turn(2 * i + 2);
    });
    for _ in 0..ROUNDS { TURN.fetch_add(1, SeqCst); waits_condvar(); TURN.fetch_add(1, SeqCst); }
    sleep_ms(50);
    other.join().unwrap();
}

fn main() {
    let case = std::env::args().nth(1).unwrap();
    if case == "mutex" { mutex() } else { condvar() }
    println!("block waits_{} {} {}", case, WAITS.load(SeqCst), WAITED.load(SeqCst));
    if case == "mutex" { println!("mutex holds_mutex {}", HELD.load(SeqCst)); }
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}
'''
STD = ('use std::sync::{Mutex, Condvar};\nstatic LOCK: Mutex<u32> = Mutex::new(0);\n'
       'static COND: Condvar = Condvar::new();\n' + COMMON.replace('UNWRAP', '.unwrap()').replace(
           'WAIT_CONDVAR', 'guard = COND.wait(guard).unwrap();'))
PARKING_LOT = ('use parking_lot::{Mutex, Condvar};\nstatic LOCK: Mutex<u32> = Mutex::new(0);\n'
               'static COND: Condvar = Condvar::new();\n' + COMMON.replace('UNWRAP', '').replace(
                   'WAIT_CONDVAR', 'COND.wait(&mut guard);'))


def build(where, name, source, dependencies=''):
    if shutil.which('cargo') is None or shutil.which('rustc') is None:
        pytest.skip('no cargo here')
    (where / 'src').mkdir()
    (where / 'src' / 'main.rs').write_text(source)
    (where / 'Cargo.toml').write_text('[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n'
                                      '[dependencies]\n%s' % (name, dependencies))
    try:
        built = subprocess.run(['cargo', 'build', '--release'] + ([] if dependencies else ['--offline']), cwd=where,
                               capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip('cargo gets no crates here within five minutes')
    if built.returncode != 0 and dependencies:
        pytest.skip('no such crate here, or for this rustc: ' + built.stderr.strip().split('\n')[-1])
    assert built.returncode == 0, built.stderr
    return str(where / 'target' / 'release' / name)


@pytest.fixture(scope='module')
def std(tmp_path_factory):
    return build(tmp_path_factory.mktemp('std'), 'locks_std', STD)


@pytest.fixture(scope='module')
def parking_lot(tmp_path_factory):
    return build(tmp_path_factory.mktemp('parking_lot'), 'locks_parking_lot', PARKING_LOT, 'parking_lot = "0.12"\n')


@undisturbed
def test_std_mutex(start, std):
    h = start([std, 'mutex'], **ALL)
    truth = truth_of(h)
    n, waited = truth.block['waits_mutex']
    block, mutex = h.profile('block?labels=lock'), h.profile('mutex?labels=lock')
    is_close(block.total('delay', having='waits_mutex'), waited)
    # The first four or five waits show that its futex is a lock.
    is_charged(mutex.total('delay', having='holds_mutex'), truth.mutex['holds_mutex'], below=0.25)
    # It waits again when another one was quicker; here nobody is.
    at_least(block.total('contentions', having='waits_mutex'), n)
    assert block.total('contentions', having='waits_mutex') <= 1.2 * n
    for p in (block, mutex):
        assert {s.labels.get('lock', '').split('::')[-1] for s in p.samples
                if {'waits_mutex', 'holds_mutex'} & set(s.frames)} == {'LOCK'}


@undisturbed
def test_std_condvar(start, std):
    h = start([std, 'condvar'], **ALL)
    n, waited = truth_of(h).block['waits_condvar']
    is_close(h.profile('block').total('delay', having='waits_condvar'), waited)
    at_most(h.profile('mutex').total('delay'), 0.02 * waited)


@pytest.mark.parametrize('case', ['mutex', 'condvar'])
@undisturbed
def test_parking_lot(start, parking_lot, case):
    """Each thread waits on a word of its own: block, and never mutex (README)."""
    h = start([parking_lot, case], **ALL)
    n, waited = truth_of(h).block['waits_' + case]
    is_close(h.profile('block').total('delay', having='waits_' + case), waited)
    at_most(h.profile('mutex').total('delay'), 0.02 * waited)
