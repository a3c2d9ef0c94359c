"""http_rules -- rules 1 to 7: of an answer, of an error, of several requests."""
import threading


class Findings(list):
    def add(self, rule, text, *args):
        self.append('%s: %s' % (rule, text % args if args else text))


def lint_error(status, headers, body):
    """Findings about an answer that is not a profile but an error."""
    found = Findings()
    if not 400 <= status <= 599:
        found.add(3, 'an error with status %d', status)
    if not headers.get('content-type', '').startswith('text/plain'):
        found.add(3, 'an error of type %r', headers.get('content-type'))
    if headers.get('x-go-pprof') != '1':
        found.add(3, 'an error without X-Go-Pprof: pprof will not show its text')
    if headers.get('x-content-type-options') != 'nosniff':
        found.add('go', 'no nosniff on an error')
    if 'content-disposition' in headers:
        found.add('go', 'an error offered as a file')
    if not body.endswith(b'\n') or not body.strip():
        found.add(3, 'an error without a line of text')
    return found


def lint_http(status, headers, body, file):
    """headers: a dict with lower-case names.  file: as which the profile is offered."""
    found = Findings()
    if status != 200:
        found.add(1, 'status %d', status)
    if not body:
        found.add(1, 'the body is empty')
    if headers.get('content-type') != 'application/octet-stream':
        found.add(2, 'type %r', headers.get('content-type'))
    if body.lstrip()[:1] in (b'{', b'[', b'<'):
        found.add(2, 'the body looks like text: %r', body[:20])
    if 'x-go-pprof' in headers:
        found.add(3, 'X-Go-Pprof, the mark of an error, on a profile')
    if 'content-encoding' in headers:
        found.add(4, 'Content-Encoding: %s', headers['content-encoding'])
    if body[:2] != b'\x1f\x8b':
        found.add(4, 'not gzip: %r', body[:4])
    if headers.get('x-content-type-options') != 'nosniff':
        found.add('go', 'no X-Content-Type-Options: nosniff')
    if headers.get('content-disposition') != 'attachment; filename="%s"' % file:
        found.add('go', 'Content-Disposition: %s', headers.get('content-disposition'))
    return found


# Scrapers add their own to what a user has set: the first one counts.
REPEATED = ('heap?seconds=1&seconds=1', 'heap?seconds=1&seconds=x', 'profile?seconds=1&seconds=300')


def lint_requests(ask):
    """What one request does not show.  ask(path below /debug/pprof/) gives the status."""
    found = Findings()
    status = {}
    paths = REPEATED + ('profile?seconds=2', 'profile?seconds=1')
    threads = [threading.Thread(target=lambda p=p: status.update({p: ask(p)})) for p in paths]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for path in REPEATED[:2]:
        if status.get(path) != 200:
            found.add(6, '%s: status %s', path, status.get(path))
    refused = [path for path in paths[2:] if status.get(path) != 200]
    if refused:
        found.add(7, 'while another one is taken: %s is refused with status %s', refused[0], status.get(refused[0]))
    return found
