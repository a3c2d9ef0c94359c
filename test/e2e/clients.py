"""clients -- programs with everything sampled, and clients that fetch their profiles all the time."""
import http.client
import socket
import threading

import pytest

from hosts import OURS, eventually, program, run

EVERYTHING = {'CPU_HZ': 1000, 'HEAP_RATE': 1}


class Clients:
    """They ask for one profile after the other until the end; answers counts what they got."""
    PATHS = ('heap', 'profile?seconds=1', 'allocs?debug=1', 'cmdline', 'heap?seconds=1', '')

    def __init__(self, desk):
        self.desk, self.answers, self.failures, self.wrong, self._stop = desk, 0, [], [], False
        self.threads = [threading.Thread(target=self._ask, args=(paths,), daemon=True)
                        for paths in (self.PATHS[:1] + self.PATHS[2:4], self.PATHS[1:2], self.PATHS[3:])]
        for t in self.threads:
            t.start()

    def _ask(self, paths):
        while not self._stop:
            for path in paths:
                try:
                    r = self.desk.get('/debug/pprof/' + path)
                except (OSError, http.client.HTTPException) as e:
                    self.failures.append('%s: %r' % (path, e))
                    return      # the process has gone, or is about to
                except AssertionError as e:
                    self.wrong.append('%s: %s' % (path, e))
                    return
                if r.status != 200:
                    self.failures.append('%s: %d' % (path, r.status))
                    return
                self.answers += 1

    def have_got(self, n):
        eventually('%d answers; so far %d, %s' % (n, self.answers, self.failures),
                   lambda: self.answers >= n or self.failures or self.wrong)
        assert self.failures + self.wrong == [], self.failures + self.wrong

    def stop(self):
        """Their failures."""
        self._stop = True
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), 'a client never got an answer'
        assert self.wrong == [], self.wrong     # what the linter says
        return self.failures


def let_main_go(host):
    """Where its main leaves by pthread_exit, it waits for a line before: the log is said by then."""
    if any(str(a).startswith('last-') for a in host.argv):
        host.process.stdin.write(b'\n')
        host.process.stdin.flush()


def run_with_clients(start, argv, answers=20, **how):
    """(status, stdout, stderr without our lines) of a host that ends at the end of its input."""
    h = start(argv, **{**EVERYTHING, **how})
    let_main_go(h)
    clients = Clients(h.desk)
    clients.have_got(answers)
    h.end_of_input()
    h.wait()
    clients.stop()
    return h.process.returncode, h.stdout, OURS.sub('', h.stderr)


def run_plain(argv, **how):
    r = run(argv, shim=False, **how)
    return r.status, r.stdout, r.stderr


def need(name):
    try:
        return program(name)
    except FileNotFoundError:
        pytest.skip('no %s here' % name)


def ask_unix(path, target):
    """(status, body) from the desk at a unix socket: for processes whose log nobody reads."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(b'GET /debug/pprof/%s HTTP/1.0\r\nHost: localhost\r\n\r\n' % target.encode())
        answer = b''.join(iter(lambda: s.recv(65536), b''))
    head, _, body = answer.partition(b'\r\n\r\n')
    return int(head.split()[1]), body


def answers_unix(path):
    try:
        return ask_unix(path, 'cmdline')[0] == 200
    except OSError:
        return False
