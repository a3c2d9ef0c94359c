"""Waits that end in another way than by an unlock of the holder's: who pays for them, and that nobody does for ever.

The host sleeps for 100 ms and then for 10, or longer where somebody else has the processor, and says how long
(host/lock_ends.c).  Nobody pays for more than the time in which he can have held, but for a hundredth between two clocks;
who pays for what was before him pays for 100 ms more."""
import re

import pytest

from hosts import run

ALL = {'BLOCK_RATE': 1, 'MUTEX_FRACTION': 1}
UNKNOWN = '[holder unknown]'


def ended(start, case):
    """The host, and what it says: ns before and after the end of the wait that is meant."""
    h = start(['lock_ends', case], **ALL)
    h.wait_for_output('ready')
    return h, *map(int, re.search(r'^before (\d+) after (\d+)$', h.stdout, re.M).groups())


@pytest.mark.parametrize('case, takes', [('dies', 'takes_over'), ('kernels', 'takes_kernels')])
def test_the_next_holder_pays_for_its_own_time_only(start, case, takes):
    """Nobody gave the lock back to whom it came: what both waited until then is not the next one's."""
    h, before, after = ended(start, case)
    p = h.profile('mutex')
    assert 8e6 < p.total('delay', having=takes) <= 1.01 * after, (p.flat('delay'), after)
    assert 90e6 < p.total('delay', having=UNKNOWN) <= 1.01 * (before + after), (p.flat('delay'), before, after)
    assert h.profile('block').total('delay', having=takes) > 200e6


def test_nobody_pays_for_a_child_that_is_dead(start):
    """A vfork child waits in its parent's memory, and is killed there."""
    h = start(['lock_ends', 'killed'], **ALL)
    h.wait_for_output('ready')
    assert h.profile('mutex').flat('delay') == {}


def test_nobody_pays_for_a_wait_that_was_left(start):
    """It is taken out when its thread waits again."""
    h, before, after = ended(start, 'left')
    p = h.profile('mutex')
    assert p.total('delay', having='holds_first') == 0, p.flat('delay')
    assert 8e6 < p.total('delay', having='holds_second') <= 1.01 * after, (p.flat('delay'), after)


def test_what_a_host_forbids_itself_is_not_done(start):
    """Not even to see whether a futex is a lock."""
    assert run(['lock_ends', 'sandboxed'], **ALL) == run(['lock_ends', 'sandboxed'], shim=False)
