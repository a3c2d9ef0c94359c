"""walls -- what a host of known waits has measured itself, and our thread beside it."""
import os
import re

from hosts import eventually


def truth(h):
    """{('spent', FUNCTION) or ('cpu', THREAD): ns} up to now."""
    before = h.stdout.count('end\n')
    h.say()
    eventually('%s says what it did' % h.argv[0], lambda: h.stdout.count('end\n') > before)
    said = re.findall(r'^(spent|cpu) (\S+) (\d+)$', h.stdout.split('end\n')[before], re.M)
    return {(what, name): int(ns) for what, name, ns in said}


def between(before, after):
    return {key: after[key] - before[key] for key in before}


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
