"""walls -- what a host of known waits has measured itself, and our thread beside it."""
import os
import re

from hosts import eventually


def truth(h):
    """{('spent', FUNCTION), ('cpu', THREAD) or ('waited', THREAD): ns} up to now; 'at': when it began and ended to say so."""
    before = h.stdout.count('end\n')
    h.say()
    eventually('%s says what it did' % h.argv[0], lambda: h.stdout.count('end\n') > before)
    said = h.stdout.split('end\n')[before]
    found = {(what, name): int(ns) for what, name, ns in re.findall(r'^(spent|cpu|waited) (\S+) (\d+)$', said, re.M)}
    found['at'] = tuple(map(int, re.search(r'^at (\d+) (\d+)$', said, re.M).groups()))
    return found


def between(before, after):
    """What was so from the one to the other; 'passed': ns in which all of that was."""
    found = {key: after[key] - before[key] for key in before if key != 'at'}
    found['passed'] = after['at'][1] - before['at'][0]
    return found


def task_of_ours(h):
    """The folder of our thread."""
    task = '/proc/%d/task' % h.pid
    for tid in os.listdir(task):
        with open('%s/%s/comm' % (task, tid)) as f:
            if f.read() == 'pprofshim\n':
                return '%s/%s' % (task, tid)
    raise AssertionError('no thread of ours')


def ticks_of_ours(h):
    """CPU ticks that our thread has used, and how often it has gone to sleep."""
    with open(task_of_ours(h) + '/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    with open(task_of_ours(h) + '/status') as f:
        sleeps = int(re.search(r'^voluntary_ctxt_switches:\s+(\d+)', f.read(), re.M).group(1))
    return int(fields[11]) + int(fields[12]), sleeps
