"""The short form of `make oracle`: fewer ticks, the same rules, but for what no scan has seen yet.

Odds. Some 10000 ticks of native programs: 10 of them may be of a class with a name. The largest share of
such a class that was ever seen with a working unwinder was 1 in 7600 (lazy binding), which would exceed
that less than once in a million runs; today there is none. What no scan has seen yet is a matter of the
first second of each program, however long it runs: here it has a bound of its own. Of node's 1500 ticks
15 may fail; of 7000 that were looked at none did.
"""
import os
import sys

import pytest

from hosts import TOP

sys.path.insert(0, os.path.join(TOP, 'test', 'oracle'))
import report  # noqa: E402
import run as oracle  # noqa: E402

TICKS = 1500


@pytest.fixture(scope='module')
def outcomes():
    found = oracle.run_all([], TICKS)
    oracle.tell(found, 1)
    return found


def test_every_stack_is_that_of_libunwind(outcomes):
    assert len(outcomes) == len(oracle.PROGRAMS)
    assert oracle.judge(outcomes, strict=False) == []


def test_all_layers_took_part(outcomes):
    """Else the comparison says less than it seems to."""
    total = oracle.together(outcomes, 'tick')
    assert total.layer['interpreted'] > 0.001 * total.frames
    assert total.layer['compiled'] > 0.5 * total.frames
    assert total.remembered > 0.1 * total.frames
    assert oracle.together(outcomes, 'heap').samples > 1000
    assert all(o.sums['tick'].samples >= TICKS for o in outcomes)


def test_stacks_reach_their_ends(outcomes):
    """But for coroutines, which have none, and code that no scan has seen."""
    for o in outcomes:
        if o.program.native and not o.failures:
            s, names = o.sums['tick'], o.sums['tick'].named()
            known = names.get('ends without a marker', 0) + names.get('not scanned yet', 0)
            assert s.truncated - known <= 0.001 * s.samples, (o.program.name, s.truncated, names)


def made(**verdicts):
    """An outcome of 10000 ticks in which these verdicts came without a name."""
    o = oracle.Outcome(oracle.PROGRAMS[0])
    s = o.sums['tick']
    s.verdict.update(verdicts)
    s.verdict['same'] = 10000 - sum(verdicts.values())
    s.lost = sum(verdicts.values())
    return o


def test_one_difference_without_a_name_is_too_many():
    assert oracle.judge([made()], strict=True) == []
    for verdict in report.VERDICTS[1:]:
        wrong = oracle.judge([made(**{verdict: 1})], strict=False)
        assert len(wrong) == 1 and 'nobody can explain' in wrong[0], verdict


def test_named_differences_have_a_limit():
    def judged(n):
        o = made(different=n)
        s = o.sums['tick']
        s.lost = 0
        s.differences = [type('Named', (), {'name': 'code without tables'})] * n
        return oracle.judge([o], strict=False)
    assert judged(10) == []
    assert len(judged(11)) == 1


def test_the_midst_of_a_switch_is_some_instructions_of_two_functions():
    with open('/proc/self/maps') as f:
        libc = next(line.split()[-1] for line in f if '/libc.so.6' in line)
    found = report.switching(libc)
    assert len(found) == 2 and all(0 < last - first < 64 for first, last in found)
    assert report.switching('/bin/true') == []
