"""PPROFSHIM_CPU_CLOCK: perf_event_open beside the CPU timers; and neither interrupts anybody at 1 kHz."""
import os
import subprocess

import pytest

from failing import fail, run_failing
from hosts import Background, eventually, run
from undisturbed import at_least, at_most, undisturbed

PERF = {'CPU_CLOCK': 'perf', 'CPU_HZ': 1000}


@pytest.fixture(scope='module')
def perf():
    """What a kernel that refuses it to everybody says is tested below: here it must be there."""
    with open('/proc/sys/kernel/perf_event_paranoid') as f:
        if int(f.read()) > 2 and os.geteuid() != 0:
            pytest.skip('kernel.perf_event_paranoid')


def events(h):
    """Descriptors of perf that the host has."""
    where = '/proc/%d/fd' % h.pid
    found = []
    for fd in os.listdir(where):
        try:
            if 'perf_event' in os.readlink('%s/%s' % (where, fd)):
                found.append(int(fd))
        except FileNotFoundError:
            pass
    return sorted(found)


def check_total(p, used, outside, least=0.9, most=1.03, moment=0.05):
    """Of the CPU time that the kernel has counted, and for a moment at either end."""
    got = p.total('cpu') / 1e9
    at_least(got, least * used - outside - 0.1)
    at_most(got, most * used + moment)


@pytest.mark.parametrize('argv', [['spin_split', 0], ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1M']],
                         ids=['program', 'kernel'])
@undisturbed
def test_perf_counts_program_and_kernel(start, perf, argv):
    """The one by events of its own, the other by ticks that come in system calls: all of the time is there.
    Neither is random; a part of the time are page faults and interrupts."""
    h = start(argv, **PERF)
    eventually('its event', lambda: events(h))
    p, used, outside = h.profile_and_cpu('profile?seconds=3')
    check_total(p, used, outside)
    assert h.log == [line for line in h.log if 'listening' in line]


@undisturbed
def test_its_descriptors_are_high_and_few(start, perf):
    h = start(['short_threads', 20000], **PERF)
    for _ in range(5):
        h.profile('profile?seconds=1')
        found = events(h)
        assert len(found) <= 3 and all(fd >= 900 for fd in found)
    p, used, outside = h.profile_and_cpu('profile?seconds=3')
    check_total(p, used, outside, least=0.85, most=1.05, moment=0.1)


@undisturbed
def test_it_ends_with_the_rate(start, perf):
    h = start(['spin_split', 0], CPU_CLOCK='perf', CPU_HZ=0)
    p, used, outside = h.profile_and_cpu('profile?seconds=2&hz=1000')
    check_total(p, used, outside)
    eventually('no event', lambda: not events(h))
    # An event that was on its way comes when its thread has a processor again.
    assert 0 in (h.profile('profile?seconds=1').total('samples') for _ in range(2))


@pytest.mark.parametrize('how', ['close', 'cover'])
@undisturbed
def test_a_host_that_takes_its_descriptors_away_is_sampled_all_the_same(start, perf, how):
    h = start(['perf_descriptors', how], **PERF)
    h.wait_for_output('ready')
    eventually('its event', lambda: events(h))
    p, used, outside = h.profile_and_cpu('profile?seconds=3')
    check_total(p, used, outside)


def test_a_fork_child_that_has_it_open_does_not_make_it_go_on(perf):
    assert run(['perf_descriptors', 'fork'], **PERF) == run(['perf_descriptors', 'fork'], shim=False)


def test_threads_that_end_by_a_system_call_leave_none_for_ever(start, perf):
    """Our thread finds out at its next scan, the next thread closes them: their number falls again."""
    h = start(['perf_descriptors', 'exit'], **PERF)
    most = 0

    def fewer():
        nonlocal most
        now = len(events(h))
        most = max(most, now)
        return most > 20 and now < most - 10
    eventually('fewer', fewer)


@pytest.mark.parametrize('name', ['waits_every_way', 'waits_for_signals', 'masks_by_old_calls',
                                  'own_sigprof_handler', 'execs_with_ticks', 'fork_ways', 'threads_churn',
                                  'closes_all_fds', 'becomes_daemon'])
def test_hosts_notice_nothing_of_it(perf, name):
    assert run([name], **PERF) == run([name], shim=False)


def test_where_it_is_refused_there_is_the_timer():
    """As paranoid 3 or a container's filter does."""
    for error, says in (('EACCES', 'refused'), ('EPERM', 'refused'), ('ENOSYS', 'no perf_event_open')):
        r, record, lines = run_failing(['true'], fail('perf_event_open', 1, error, True), **PERF)
        assert r.status == 0 and record.failed_of == {'perf_event_open': 1}
        assert len(lines) == 1 and says in lines[0] and '; using timer' in lines[0], lines


@pytest.mark.parametrize('clock', ['auto', 'timer'])
def test_otherwise_perf_is_not_asked_for(clock):
    _, record, lines = run_failing(['true'], CPU_CLOCK=clock)
    assert 'perf_event_open' not in record.of and lines == []


def test_no_call_ends_early_at_1_khz(start, perf):
    """Fifty threads in each kind of wait, four that compute and wait in turn: no EINTR, none early, none late.  By
    either clock, at once: mostly they wait."""
    hosts = [start(['looks_waits', 50, 20], CPU_CLOCK=clock, CPU_HZ=1000) for clock in ('timer', 'perf')]
    clients = [Background(lambda h=h: h.profile('profile?seconds=1&hz=1000'), repeat=True) for h in hosts]
    try:
        for h in hosts:
            h.wait(240)
    finally:
        for c in clients:
            try:
                c.get()
            except Exception:
                pass        # its last request may have been cut by the end of the program
    for h in hosts:
        assert h.process.returncode == 0
        assert 'interrupted 0, early 0, late 0, other 0, waits many' in h.stdout, h.stdout
