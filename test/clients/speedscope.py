#!/usr/bin/python3
"""speedscope.py -- speedscope, in a chromium without a window, loads profiles straight from a desk and shows their functions.

It is another origin, which PPROFSHIM_CORS lets read; and one that is not listed must be shown nothing. speedscope comes from npm
and stays beside what else is built; its page is served on loopback."""
import functools
import html
import http.server
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'e2e'), os.path.join(HERE, '..', 'lint')]
sys.dont_write_bytecode = True

from hosts import BUILD, Host  # noqa: E402

VERSION = '1.25.0'
BROWSERS = ('chromium-headless-shell', 'chromium', 'chromium-browser')
# (path, in its table).
PROFILES = [('heap', ('deep_malloc', 'level_01', 'level_50', 'main')),
            ('profile?seconds=1', ('deep_spin', 'level_25', 'main')),
            ('goroutine', ('deep_spin',)),
            ('wall?seconds=1', ('deep_spin', 'main'))]


class Missing(Exception):
    """Why something cannot be had here."""


def speedscope():
    """The folder of its page."""
    folder = os.path.join(BUILD, 'clients', 'speedscope-' + VERSION)
    page = os.path.join(folder, 'package', 'dist', 'release')
    if not os.path.exists(os.path.join(page, 'index.html')):
        if shutil.which('npm') is None:
            raise Missing('no npm here')
        os.makedirs(folder, exist_ok=True)
        got = subprocess.run(['npm', 'pack', '--silent', 'speedscope@' + VERSION], cwd=folder, capture_output=True,
                             text=True, timeout=300)
        if got.returncode != 0:
            raise Missing('npm gives no speedscope: ' + got.stderr[-300:])
        with tarfile.open(os.path.join(folder, got.stdout.split()[-1])) as f:
            f.extractall(folder)
    return page


def browser():
    for name in BROWSERS:
        if shutil.which(name):
            return shutil.which(name)
    raise Missing('none of %s here' % ', '.join(BROWSERS))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def text_after_loading(page, profile, directory):
    """What stands on it some seconds later: of the views the table of functions is text, the others are drawn."""
    url = '%s#profileURL=%s&view=sandwich' % (page, urllib.parse.quote(profile, safe=''))
    got = subprocess.run([browser(), '--headless', '--no-sandbox', '--disable-dev-shm-usage', '--use-gl=angle',
                          '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--user-data-dir=' + directory,
                          '--window-size=1200,4000', '--virtual-time-budget=20000', '--dump-dom', url],
                         capture_output=True, text=True, timeout=180)
    if got.returncode != 0:
        raise OSError('the browser ended with %d: %s' % (got.returncode, got.stderr[-1000:]))
    body = re.sub(r'<(script|style)\b.*?</\1>', ' ', got.stdout, flags=re.S)
    return html.unescape(re.sub(r'\s+', ' ', re.sub(r'<[^>]*>', ' ', body)))


def main():
    try:
        browser()
        folder = speedscope()
    except Missing as e:
        print('speedscope: %s' % e)
        return 2
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = 'http://127.0.0.1:%d' % server.server_port
    bad = []
    with tempfile.TemporaryDirectory(prefix='speedscope') as directory:
        for cors in (origin, ''):
            host = Host(['deep_stack', 'spin'], **({'CORS': cors} if cors else {}))
            try:
                for path, names in PROFILES if cors else PROFILES[:1]:
                    text = text_after_loading(origin + '/index.html', host.desk.url('/debug/pprof/' + path), directory)
                    seen = [n for n in names if re.search(r'\b%s\b' % n, text)]
                    print('%s, %s: %s; the page says %r' % (
                        path, 'listed' if cors else 'not listed',
                        'shows ' + ', '.join(seen) if seen else 'shows none of ours', text.strip()[:200]), flush=True)
                    bad += [path] if seen != (list(names) if cors else []) else []
            finally:
                host.stop()
    server.shutdown()
    print('wrong: %s' % bad if bad else 'right')
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
