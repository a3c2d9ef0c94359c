"""graphs -- which stacks a program can have: its functions, and who calls each.

A stack is
  exact    each frame is called by the next one, up to where a thread begins
  cut      the same, but it ends in [truncated], at a frame where nothing says how to go on
  lost     it ends in [truncated] anywhere else
  short    frames are missing, only above a frame where nothing says how to go on (an object loaded
           later, before its tables are there: unwound by frame pointers)
  ended    it ends before the beginning of a thread and does not say so; only at such a frame, too
  wrong    anything else: a caller that never calls that callee"""
import collections
import os
import re

TRUNCATED, EVICTED = '[truncated]', '[evicted]'


class Node:
    """name, file: patterns of whole names, of the function and of the file's base name; callers: keys of
    nodes.  root: a thread, or a fiber, begins there.  loose: it may be that nothing says how to go on; cut:
    that it has no caller which could be found."""

    def __init__(self, name, file, callers=(), root=False, loose=False, cut=False):
        self.name, self.file = re.compile(name), re.compile(file)
        self.callers, self.root, self.loose, self.cut = list(callers), root, loose, cut or loose


class Verdict:
    def __init__(self, kind, at=None, nameless=0):
        self.kind, self.at, self.nameless = kind, at, nameless


class Graph:
    def __init__(self, nodes):
        self.nodes = nodes
        for node in nodes.values():
            assert all(c in nodes for c in node.callers), node.callers
        self.ancestors = {k: self._ancestors(k) for k in nodes}
        self.matches = {}

    def _ancestors(self, key):
        found, new = set(), [key]
        while new:
            for c in self.nodes[new.pop()].callers:
                if c not in found:
                    found.add(c)
                    new.append(c)
        return found

    def _find(self, name, file):
        """Nodes that this frame can be.  Without a file: any object that came later."""
        frame = (name, os.path.basename(file))
        if frame not in self.matches:
            self.matches[frame] = {k for k, n in self.nodes.items() if (
                n.loose if file == '' else n.name.fullmatch(name) and n.file.fullmatch(frame[1]))}
        return self.matches[frame]

    def verdict(self, frames, files):
        """Leaf first."""
        truncated = frames[-1] == TRUNCATED
        if truncated:
            frames, files = frames[:-1], files[:-1]
        nameless = sum(f == '' for f in files)
        states = {k: 0 for k in self._find(frames[0], files[0])} if frames else {}
        if frames and not states:
            return Verdict('wrong', 0, nameless)
        for at in range(1, len(frames)):
            here, then = self._find(frames[at], files[at]), {}
            for k, gaps in states.items():
                for c in here.intersection(self.nodes[k].callers):
                    then[c] = min(gaps, then.get(c, gaps))
                if self.nodes[k].loose:
                    for c in here & self.ancestors[k]:
                        then[c] = min(gaps + 1, then.get(c, gaps + 1))
            if not then:
                return Verdict('wrong', at, nameless)
            states = then
        loose = any(self.nodes[k].loose for k in states)
        if truncated:
            if min(states.values(), default=0) > 0:
                return Verdict('short', None, nameless)
            cut = not frames or any(self.nodes[k].cut for k in states)
            return Verdict('cut' if cut else 'lost', None, nameless)
        ends = [gaps for k, gaps in states.items() if self.nodes[k].root]
        if ends:
            return Verdict('exact' if min(ends) == 0 else 'short', None, nameless)
        return Verdict('ended' if loose else 'wrong', len(frames), nameless)


class Judged:
    """All samples of a profile, by kind; weights are values of one type.  having: only those with a
    frame of that name."""

    def __init__(self, graph, profile, value, having=None):
        self.graph, self.profile, self.value = graph, profile, value
        self.weight, self.wrong, self.lost = collections.Counter(), [], []
        self.nameless = self.total = 0
        for s in profile.samples:
            if having is not None and having not in s.frames:
                continue
            if s.frames and s.frames[0] == EVICTED:
                self.weight['evicted'] += s.values[value]
                continue
            v = graph.verdict(s.frames, s.files)
            self.weight[v.kind] += s.values[value]
            self.total += s.values[value]
            self.nameless += s.values[value] if v.nameless else 0
            if v.kind in ('wrong', 'lost'):
                getattr(self, v.kind).append((s.values[value], v.at, s))

    def having(self, name):
        return Judged(self.graph, self.profile, self.value, name)

    def share(self, kind):
        assert self.total > 0, 'an empty profile'
        return self.weight[kind] / self.total

    def __str__(self):
        return 'total %d: %s, nameless %d' % (self.total, dict(self.weight), self.nameless)

    def examples(self, n=5):
        return '\n'.join('%d at %s: %s' % (value, at, ' < '.join(
            '%s (%s)' % (a, os.path.basename(b)) for a, b in zip(s.frames, s.files)))
            for value, at, s in sorted(self.wrong + self.lost, key=lambda w: -w[0])[:n])
