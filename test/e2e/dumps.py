"""dumps -- goroutine?debug=2, read strictly by what Go prints and by what its readers take."""
import re

HEAD = re.compile(r'goroutine (\d+) \[([^\],]+)(?:, (\d+) minutes)?\](?: \{thread: ("?)(.*)\4\})?:')
LOCATION = re.compile(r'\t(?:\?\?|[^:]+\.s):0 \+0x[0-9a-f]+')
MAKER = re.compile(r'created by (.+) in goroutine (\d+)')
ELIDED = '...additional frames elided...'
UNAVAILABLE = '\tgoroutine running on other thread; stack unavailable'


class Thread:
    """word: the state without what it waits for; on: that, without its parentheses."""

    def __init__(self, block):
        lines = block.split('\n')
        head = HEAD.fullmatch(lines[0])
        assert head, lines[0]
        self.tid, self.state, self.minutes = int(head[1]), head[2], int(head[3] or 0)
        self.name = head[5]
        self.word, _, on = self.state.partition(' (')
        assert on == '' or on.endswith(')'), self.state
        self.on = on[:-1]
        self.frames, self.truncated, self.maker, self.made_by = [], False, None, None
        self.unavailable = lines[1:2] == [UNAVAILABLE]
        rest = lines[2 if self.unavailable else 1:]
        while rest:
            maker = MAKER.fullmatch(rest[0])
            if rest[0] == ELIDED:
                assert self.frames and not self.truncated, block
                self.truncated = True
                rest = rest[1:]
                continue
            assert LOCATION.fullmatch(rest[1]), block
            if maker:
                assert len(rest) == 2, block
                self.maker, self.made_by = maker[1], int(maker[2])
            else:
                assert rest[0].endswith('(...)') and not self.unavailable, block
                self.frames.append(rest[0][:-len('(...)')])
            rest = rest[2:]
        assert self.unavailable or self.frames, block

    def has(self, function):
        return function in self.frames


class Dump:
    def __init__(self, text):
        assert text.endswith('\n') and not text.endswith('\n\n')
        self.text = text
        self.threads = [Thread(block) for block in text[:-1].split('\n\n')]
        self.own, self.others = self.threads[0], self.threads[1:]
        assert self.own.state == 'running' and self.own.frames == ['serve_goroutine']
        self.by_tid = {t.tid: t for t in self.threads}
        assert len(self.by_tid) == len(self.threads)

    def of(self, function):
        """The one thread that has this function in its stack."""
        found = [t for t in self.others if t.has(function)]
        assert len(found) == 1, (function, self.text)
        return found[0]

    def truncated(self):
        return [t.tid for t in self.threads if t.truncated]

    def unavailable(self):
        return [t.tid for t in self.threads if t.unavailable]


def dump_of(host, query='', path='goroutine'):
    r = host.get('/debug/pprof/%s?debug=2%s' % (path, query))
    assert r.status == 200 and r.headers['content-type'] == 'text/plain; charset=utf-8'
    assert 'content-disposition' not in r.headers
    return Dump(r.text)
