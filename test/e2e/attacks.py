"""What test_security*.py share: words of a request, and what the kernel knows of a host and our thread in it."""
import os
import socket

from hosts import PATIENCE

HOST = b'Host: localhost\r\n'
GET = b'GET /debug/pprof/cmdline HTTP/1.1\r\n' + HOST
POST = b'POST /debug/pprof/symbol HTTP/1.1\r\n' + HOST
WAIT = ['deep_stack', 'wait']
# The longest that anybody who asks properly may have to wait, whatever others do.
SECONDS = 20


def connect(desk):
    return socket.create_connection((desk.host, desk.port), timeout=PATIENCE)


def status_of(answer):
    assert answer.startswith(b'HTTP/1.'), answer[:100]
    return int(answer.split(b' ', 2)[1])


def next_answer(s):
    """A whole one, whose length its head says: the body may come after the head."""
    answer = b''
    while b'\r\n\r\n' not in answer:
        answer += more_of(s)
    head, _, body = answer.partition(b'\r\n\r\n')
    length = int(head.lower().split(b'content-length:')[1].split()[0])
    while len(body) < length:
        body += more_of(s)
    return head + b'\r\n\r\n' + body


def more_of(s):
    piece = s.recv(65536)
    assert piece, 'it was closed in the midst of an answer'
    return piece


def our_thread(pid):
    for tid in os.listdir('/proc/%d/task' % pid):
        with open('/proc/%d/task/%s/comm' % (pid, tid)) as f:
            if f.read() == 'pprofshim\n':
                return int(tid)
    raise AssertionError('no thread of ours')


def descriptors(pid):
    """Of our thread, which has a table of its own."""
    return len(os.listdir('/proc/%d/task/%d/fd' % (pid, our_thread(pid))))


def resident(pid):
    """MiB."""
    with open('/proc/%d/status' % pid) as f:
        return int(f.read().split('VmRSS:')[1].split()[0]) / 1024


def still_serves(desk, path='/debug/pprof/cmdline', **how):
    r = desk.get(path, **how)
    assert r.status == 200
    assert r.seconds < SECONDS
    return r.seconds
