"""go tool pprof, as its users type it: names, totals, and not a word of complaint."""
import os
import re
import shutil
import subprocess

import pytest

from hosts import Background

COMPLAINTS = ['Local symbolization failed', 'Main binary', 'Some binary filenames', 'Try setting',
              'Ignoring', 'unrecognized', 'malformed', 'error', 'warning']


@pytest.fixture(scope='module')
def go():
    path = shutil.which('go')
    if path is None:
        pytest.skip('no go here')
    # Since Go 1.25 the tool is built when it is first used.
    subprocess.run([path, 'tool', 'pprof', '-h'], capture_output=True, timeout=300)
    return path


@pytest.fixture(scope='module')
def host(module_start):
    h = module_start(['deep_stack', 'spin'])
    h.wait_for_output('ready')
    return h


def pprof(go, tmp_path, *argv, expect=0):
    e = dict(os.environ, PPROF_TMPDIR=str(tmp_path), PPROF_BINARY_PATH=str(tmp_path))
    p = subprocess.run([go, 'tool', 'pprof', *argv], env=e, capture_output=True, text=True, timeout=120,
                       stdin=subprocess.DEVNULL)
    assert p.returncode == expect, p.stderr
    for line in p.stderr.split('\n'):
        assert not any(c.lower() in line.lower() for c in COMPLAINTS), p.stderr
        assert re.match(r'^$|Fetching profile over HTTP from |Saved profile in |Please wait', line), line
    return p


def total_of(text):
    return re.search(r'(?:of|Showing nodes accounting for [^,]*, [\d.]+% of) (\S+) total', text).group(1)


def bytes_of(text):
    """"64.76MB" as pprof prints it."""
    number, unit = re.fullmatch(r'([\d.]+)([kMG]?B)', text).groups()
    return float(number) * {'B': 1, 'kB': 1 << 10, 'MB': 1 << 20, 'GB': 1 << 30}[unit]


def test_heap(go, host, tmp_path):
    p = pprof(go, tmp_path, '-top', host.desk.url('/debug/pprof/heap'))
    assert 'File: deep_stack\n' in p.stdout
    assert 'Type: inuse_space\n' in p.stdout
    assert 'Build ID: ' in p.stdout
    top = p.stdout.split('\n')
    first = top[[i for i, x in enumerate(top) if 'flat%' in x][0] + 1]
    assert first.split()[-1] == 'deep_malloc'
    for name in ('main', 'level_01', 'level_50'):
        assert re.search(r'\s%s$' % name, p.stdout, re.M), name


def test_cpu(go, host, tmp_path):
    p = pprof(go, tmp_path, '-top', '-seconds', '1', host.desk.url('/debug/pprof/profile'))
    assert 'Type: cpu\n' in p.stdout
    assert re.search(r'^Duration: 1(\.\d+)?s, Total samples = ', p.stdout, re.M)
    assert re.search(r'\sdeep_spin$', p.stdout, re.M)


def test_allocs_and_delta(go, host, tmp_path):
    p = pprof(go, tmp_path, '-top', host.desk.url('/debug/pprof/allocs'))
    assert 'Type: alloc_space\n' in p.stdout
    pprof(go, tmp_path, '-top', host.desk.url('/debug/pprof/heap?seconds=1'))


def test_no_path_is_the_cpu_profile(go, host, tmp_path):
    """It would take thirty seconds; with -seconds it is the same address."""
    p = pprof(go, tmp_path, '-top', '-seconds', '1', 'http://127.0.0.1:%d' % host.desk.port)
    assert 'Fetching profile over HTTP from http://127.0.0.1:%d/debug/pprof/profile' % host.desk.port in p.stderr


def test_text_form_gives_the_same_totals(go, host, tmp_path):
    """Names of the text form come by POST to symbol: Go's own servers refuse it since 1.23."""
    binary = pprof(go, tmp_path, '-top', host.desk.url('/debug/pprof/heap'))
    text = pprof(go, tmp_path, '-top', host.desk.url('/debug/pprof/heap?debug=1'))
    assert re.search(r'\sdeep_malloc$', text.stdout, re.M)
    # The text has one row for a class of sizes, which its reader scales by their mean.
    assert bytes_of(total_of(text.stdout)) == pytest.approx(bytes_of(total_of(binary.stdout)),
                                                            rel=0.01)


@pytest.mark.parametrize('how', ['remote', 'demangle=full', 'none'])
def test_symbolize_modes(go, host, tmp_path, how):
    p = pprof(go, tmp_path, '-top', '-symbolize=' + how, host.desk.url('/debug/pprof/heap'))
    assert re.search(r'\sdeep_malloc$', p.stdout, re.M)


def test_raw_is_valid(go, host, tmp_path):
    p = pprof(go, tmp_path, '-raw', host.desk.url('/debug/pprof/heap'))
    assert 'PeriodType: space bytes\nPeriod: 524288\n' in p.stdout


def test_cpp_names(go, module_start, tmp_path):
    h = module_start(['cpp_containers', 1000])
    p = pprof(go, tmp_path, '-top', '-cum', '-seconds', '2', h.desk.url('/debug/pprof/profile'))
    assert 'fruit::Basket' in p.stdout
    assert '_ZN' not in p.stdout


def test_two_runs_merge_by_name(go, start, tmp_path):
    """Addresses differ from run to run, functions are the same."""
    urls = []
    for _ in range(2):
        h = start(['deep_stack', 'wait'], HEAP_RATE=1)
        h.wait_for_output('ready')
        urls.append(h.desk.url('/debug/pprof/heap'))
    one = pprof(go, tmp_path, '-top', '-unit=MB', urls[0]).stdout
    both = pprof(go, tmp_path, '-top', '-unit=MB', *urls).stdout

    def row(text):
        rows = re.findall(r'^\s*([\d.]+)MB\s.*\sdeep_malloc$', text, re.M)
        assert len(rows) == 1
        return float(rows[0])
    assert row(both) == pytest.approx(2 * row(one), rel=0.01)


def test_diff_base(go, host, tmp_path):
    url = host.desk.url('/debug/pprof/heap')
    pprof(go, tmp_path, '-top', '-diff_base', url, url)


def test_error_text_is_shown(go, host, tmp_path):
    e = dict(os.environ, PPROF_TMPDIR=str(tmp_path))
    p = subprocess.run([go, 'tool', 'pprof', '-top', host.desk.url('/debug/pprof/nosuch')], env=e,
                       capture_output=True, text=True, timeout=120)
    assert p.returncode != 0
    assert 'server response: 404 Not Found - Unknown profile' in p.stderr


def test_while_others_ask(go, host, tmp_path):
    other = Background(lambda: host.profile('profile?seconds=2'))
    pprof(go, tmp_path, '-top', '-seconds', '1', host.desk.url('/debug/pprof/profile'))
    assert other.get().total('cpu') > 0
