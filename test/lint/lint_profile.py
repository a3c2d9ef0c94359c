#!/usr/bin/python3
"""lint_profile -- what scrapers and viewers demand of a profile, as twenty rules.

    lint_profile.py [--kind heap] [--delta] FILE | http://HOST/debug/pprof/heap | http://HOST

A finding begins with the number of its rule: 1-7 of HTTP (http_rules.py), 8-20 of the message (message_rules.py). Of a
HOST every profile is fetched, and what needs more than one request is asked (rules 6 and 7). One exception is Go's
and wins: heap has no default_sample_type (its last sample type, inuse_space, is what readers open), and allocs has
alloc_space.
"""
import argparse
import http.client
import sys
import urllib.parse

from http_rules import Findings, lint_error, lint_http, lint_requests
from message_rules import lint_message, lint_pair
from profile_kinds import KINDS, SINCE, WINDOWS, read_url

__all__ = ['lint_answer', 'lint_error', 'lint_http', 'lint_message', 'lint_pair', 'lint_requests']


def lint_answer(path, status, headers, body, **program):
    """The answer to a GET of that path: nothing is found wrong with what is no profile."""
    asked = read_url(path)
    if asked is None:
        return Findings()
    if status >= 400:
        return lint_error(status, headers, body)
    if asked.file is None:
        return Findings()
    return (lint_http(status, headers, body, asked.file) +
            lint_message(body, asked.kind, asked.delta, asked.absolute, **program))


def get(netloc, path):
    connection = http.client.HTTPConnection(netloc, timeout=120)
    connection.request('GET', path)
    response = connection.getresponse()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


def lint_desk(netloc):
    found = lint_requests(lambda path: get(netloc, '/debug/pprof/' + path)[0])
    for name in sorted({**KINDS, **SINCE}):
        path = '/debug/pprof/' + name + ('?seconds=1' if name in WINDOWS else '')
        answer = get(netloc, path)
        found += ['%s: %s' % (path, line) for line in lint_answer(path, *answer)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--kind', choices=sorted(KINDS), help='of a file')
    parser.add_argument('--delta', action='store_true', help='a file made with ?seconds=')
    parser.add_argument('source', help='a file or an http URL')
    a = parser.parse_args()
    if a.source.startswith('http://'):
        url = urllib.parse.urlsplit(a.source)
        path = url.path + ('?' + url.query if url.query else '')
        if path in ('', '/'):
            found = lint_desk(url.netloc)
        elif read_url(path) is None:
            parser.error('%s is no profile of ours' % path)
        else:
            found = lint_answer(path, *get(url.netloc, path))
    else:
        with open(a.source, 'rb') as f:
            found = lint_message(f.read(), a.kind, a.delta)
    for line in found:
        print(line)
    print('%d findings' % len(found))
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
