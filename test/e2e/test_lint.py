"""The linter passes a good profile and complains about bad ones, by every one of its twenty rules; and no test
fetches a profile past it."""
import http.server
import threading
import time

import pytest

from hosts import Desk, eventually
from http_rules import lint_error, lint_http, lint_requests
from message_rules import lint_message, lint_pair
from profile_kinds import KINDS, SINCE, WINDOWS, read_url
from profile_message import Profile, Read, decode, encode

START = 0x555555554000


def good_heap():
    """Two stacks under main, one location with two functions."""
    m = Profile()
    strings = ['']

    def s(text):
        if text not in strings:
            strings.append(text)
        return strings.index(text)
    for name, unit in (('alloc_objects', 'count'), ('alloc_space', 'bytes'),
                       ('inuse_objects', 'count'), ('inuse_space', 'bytes')):
        m.sample_type.add(type=s(name), unit=s(unit))
    m.period_type.type, m.period_type.unit, m.period = s('space'), s('bytes'), 524288
    m.mapping.add(id=1, memory_start=START, memory_limit=START + 0x10000, file_offset=0x1000,
                  filename=s('/usr/bin/app'), build_id=s('00ff10'), has_functions=True)
    m.mapping.add(id=2, memory_start=START + 0x100000, memory_limit=START + 0x200000,
                  filename=s('/lib/libx.so'))
    for i, name in enumerate(('main', 'work', 'inner'), 1):
        m.function.add(id=i, name=s(name), system_name=s(name))
    m.location.add(id=1, mapping_id=1, address=START + 0x10).line.add(function_id=1)
    m.location.add(id=2, mapping_id=1, address=START + 0x20).line.add(function_id=3)
    m.location[1].line.add(function_id=2)
    m.sample.add(location_id=[2, 1], value=[4, 64, 2, 32]).label.add(key=s('bytes'), num=16)
    m.sample.add(location_id=[1], value=[1, 100, 0, 0]).label.add(key=s('bytes'), num=100)
    m.time_nanos = int(time.time() * 1e9)
    m.string_table.extend(x.encode() for x in strings)
    return m


def string(m, text):
    m.string_table.append(text if isinstance(text, bytes) else text.encode())
    return len(m.string_table) - 1


def rules(found):
    return {line.split(':')[0] for line in found}


def test_a_good_profile_has_no_findings():
    assert lint_message(encode(good_heap()), 'heap', exe='/usr/bin/app', build_id='00ff10') == []
    read = Read(decode(encode(good_heap())))
    assert read.samples[0].frames == ['inner', 'work', 'main']
    assert read.total('inuse_space', having='work') == 32
    assert read.flat('alloc_space') == {'main': 100, 'inner': 64}
    others_find_the_names = good_heap()
    nameless(others_find_the_names)
    assert lint_message(encode(others_find_the_names), 'heap') == []


# Each changes a good profile into one that breaks the rule.
def no_empty_string(m): m.string_table[0] = b'x'
def gap_in_location_ids(m): m.location[1].id = 3; m.sample[0].location_id[0] = 3
def function_ids_out_of_order(m): m.function[0].id, m.function[1].id = 2, 1
def mapping_id_zero(m): m.mapping[1].id = 0
def string_index_too_high(m): m.function[0].name = 99
def same_string_twice(m): string(m, 'main')
def too_few_values(m): m.sample[0].value.pop()
def sample_of_no_location(m): m.sample[0].location_id[0] = 77
def one_location_too_many(m): m.sample[0].location_id.append(77)
def location_zero(m): m.sample[0].location_id[0] = 0
def line_without_function(m): m.location[0].line[0].function_id = 0
def location_of_no_mapping(m): m.location[0].mapping_id = 9
def unused_location(m): m.location.add(id=3, mapping_id=1, address=START + 5).line.add(function_id=1)
def address_zero(m): m.location[0].address = 0
def address_zero_of_no_mapping(m): m.location[0].address = m.location[0].mapping_id = 0
def address_outside(m): m.location[0].address = START - 1
def address_twice(m): m.location[1].address = START + 0x10
def sample_twice(m): m.sample.add().CopyFrom(m.sample[0])
def negative_value(m): m.sample[0].value[2] = -2
def more_live_than_allocated(m): m.sample[0].value[3] = 65
def bytes_without_objects(m): m.sample[1].value[3] = 4
def no_time(m): m.time_nanos = 0
def duration_of_a_snapshot(m): m.duration_nanos = 5
def wrong_period_type(m): m.period_type.type = m.sample_type[0].type
def period_negative(m): m.period = -1
def other_sample_types(m): m.sample_type[0].type = string(m, 'allocations')
def minus_in_a_type(m): m.sample_type[0].type = string(m, 'alloc-objects')
def bad_utf8(m): m.function[0].name = string(m, b'ma\xffin')
def label_twice(m): m.sample[0].label.add().CopyFrom(m.sample[0].label[0])
def label_string_and_number(m): m.sample[0].label[0].str = 1
def label_without_key(m): m.sample[0].label[0].key = 0
def label_says_nothing(m): m.sample[0].label[0].num = 0
def thread_id_as_string(m): m.sample[0].label.add(key=string(m, 'tid'), str=string(m, '4711'))
def address_as_string(m): m.sample[0].label.add(key=string(m, 'at'), str=string(m, '0x12ab'))
def many_labels(m): [m.sample[0].label.add(key=string(m, 'l%d' % i), num=i + 1) for i in range(100)]
def very_deep(m): m.sample[0].location_id.extend([1] * 1000)
def long_string(m): m.function[0].filename = string(m, 'x' * 65536)
def executable_info(m): m.comment.append(string(m, 'executableInfo=0x3;0x0;0x0'))
def names_untold(m): m.mapping[0].has_functions = False
def name_missing_in_mapping(m): del m.location[0].line[:]
def nobody_can_name(m): nameless(m); m.mapping[0].build_id = 0
def nothing_known(m): m.location[0].mapping_id = 0; del m.location[0].line[:]
def function_without_name(m): m.function[1].name = 0
def default_type_set(m): m.default_sample_type = m.sample_type[1].type
def default_type_unknown(m): m.default_sample_type = m.function[0].name
def mapping_upside_down(m): m.mapping[1].memory_limit = START
def no_whole_pages(m): m.mapping[1].memory_start += 8
def build_id_in_capitals(m): m.mapping[0].build_id = string(m, '00FF10')
def main_program_not_first(m): m.mapping[0].filename = string(m, '[vdso]')
def deleted_in_name(m): m.mapping[1].filename = string(m, '/x (deleted)')
def no_sample_types(m): del m.sample_type[:]


def no_mappings(m):
    for x in m.location:
        x.mapping_id = 0
    del m.mapping[:]


def nameless(m):
    for x in m.location:
        del x.line[:]
    m.mapping[0].has_functions = False


BAD = [(8, no_empty_string), (8, gap_in_location_ids), (8, function_ids_out_of_order),
       (8, mapping_id_zero), (8, string_index_too_high), (8, same_string_twice), (9, too_few_values),
       (9, sample_of_no_location), (9, one_location_too_many), (9, location_zero),
       (9, line_without_function), (9, location_of_no_mapping), (9, unused_location),
       (10, address_zero), (10, address_zero_of_no_mapping), (10, address_outside),
       (10, address_twice), (10, sample_twice), (11, negative_value), (11, more_live_than_allocated),
       (11, bytes_without_objects), (12, no_time), (12, duration_of_a_snapshot),
       (13, wrong_period_type), (13, period_negative), (13, other_sample_types), (14, minus_in_a_type),
       (14, bad_utf8), (15, label_twice), (15, label_string_and_number), (15, label_without_key),
       (15, label_says_nothing), (16, thread_id_as_string), (16, address_as_string),
       (17, many_labels), (17, very_deep), (17, long_string), (17, executable_info),
       (18, names_untold), (18, name_missing_in_mapping), (18, nobody_can_name), (18, nothing_known),
       (18, function_without_name), (19, default_type_set), (19, default_type_unknown),
       (20, mapping_upside_down), (20, no_whole_pages), (20, build_id_in_capitals),
       (20, main_program_not_first), (20, deleted_in_name), (20, no_mappings), (5, no_sample_types)]


@pytest.mark.parametrize('rule, spoil', BAD, ids=[f.__name__ for r, f in BAD])
def test_a_bad_message_is_caught(rule, spoil):
    m = good_heap()
    spoil(m)
    assert str(rule) in rules(lint_message(encode(m), 'heap'))


def duration_negative(m): m.duration_nanos = -5


@pytest.mark.parametrize('rule, spoil', [(19, default_type_unknown), (12, duration_negative)])
def test_a_bad_message_of_an_unknown_kind_is_caught(rule, spoil):
    m = good_heap()
    assert lint_message(encode(m)) == []
    spoil(m)
    assert rules(lint_message(encode(m))) == {str(rule)}


def test_other_bad_bytes_are_caught():
    body = encode(good_heap())
    assert rules(lint_message(body[:-9], 'heap')) == {'8'}
    assert rules(lint_message(body + b'x', 'heap')) == {'8'}
    assert '8' in rules(lint_message(b'heap profile: 0: 0', 'heap'))
    raw = encode(good_heap(), compress=False)
    assert '8' in rules(lint_message(raw + b'\x9a\x01\x00', 'heap'))  # field 19
    many = good_heap()
    for i in range(3, 16005):
        many.location.add(id=i, mapping_id=1, address=START + i).line.add(function_id=1)
        many.sample.add(location_id=[i], value=[1, 1, 0, 0])
    assert '17' in rules(lint_message(encode(many), 'heap'))
    assert '20' in rules(lint_message(body, 'heap', exe='/usr/bin/other'))
    assert '20' in rules(lint_message(body, 'heap', build_id='aa'))


def test_a_delta_may_have_negative_live_values_but_no_negative_allocations():
    m = good_heap()
    m.duration_nanos = 10 ** 9
    m.sample[0].value[2], m.sample[0].value[3] = -2, -32
    assert lint_message(encode(m), 'heap', delta=True) == []
    assert rules(lint_message(encode(m), 'heap', delta=True, absolute=True)) == {'11'}
    m.sample[0].value[0] = -1
    assert rules(lint_message(encode(m), 'heap', delta=True)) == {'11'}
    m = good_heap()
    assert rules(lint_message(encode(m), 'heap', delta=True)) == {'12'}


def test_a_value_that_shrank_is_caught():
    old, new = good_heap(), good_heap()
    new.sample[0].value[0] += 5
    assert lint_pair(encode(old), encode(new), 'heap') == []
    new.sample[0].value[1] -= 1
    assert rules(lint_pair(encode(old), encode(new), 'heap')) == {'11'}
    del new.sample[0]
    assert rules(lint_pair(encode(old), encode(new), 'heap')) == {'11'}


HEADERS = {'content-type': 'application/octet-stream', 'x-content-type-options': 'nosniff',
           'content-disposition': 'attachment; filename="heap"'}
BAD_ANSWERS = [
    (1, 204, {}, None), (1, 200, {}, b''),
    (2, 200, {'content-type': 'application/vnd.google.protobuf+gzip'}, None),
    (2, 200, {}, b'  {"error": 1}'), (2, 200, {}, b'<html>'),
    (3, 200, {'x-go-pprof': '1'}, None),
    (4, 200, {'content-encoding': 'gzip'}, None), (4, 200, {}, b'\x0a\x04'),
    ('go', 200, {'content-disposition': 'attachment; filename="heap-delta"'}, None),
    ('go', 200, {'x-content-type-options': ''}, None)]


@pytest.mark.parametrize('rule, status, change, body', BAD_ANSWERS)
def test_a_bad_answer_is_caught(rule, status, change, body):
    good = encode(good_heap())
    assert lint_http(200, HEADERS, good, 'heap') == []
    found = lint_http(status, dict(HEADERS, **change), good if body is None else body, 'heap')
    assert str(rule) in rules(found)


@pytest.mark.parametrize('status, change, body', [
    (200, {}, b'no\n'), (404, {'content-type': 'text/html'}, b'no\n'),
    (404, {'x-go-pprof': ''}, b'no\n'), (404, {}, b''), (404, {}, b'no newline'),
    (404, {'x-content-type-options': ''}, b'no\n'),
    (404, {'content-disposition': 'attachment'}, b'no\n')])
def test_a_bad_error_is_caught(status, change, body):
    headers = {'content-type': 'text/plain; charset=utf-8', 'x-go-pprof': '1',
               'x-content-type-options': 'nosniff'}
    assert lint_error(404, headers, b'Unknown profile\n') == []
    assert lint_error(status, dict(headers, **change), body) != []


# --- what takes more than one request ---

class Busy:
    """A server of one CPU profile at once."""

    def __init__(self):
        self.lock, self.refused = threading.Lock(), threading.Event()

    def ask(self, path):
        if not path.startswith('profile'):
            return 200
        if not self.lock.acquire(blocking=False):
            self.refused.set()
            return 500
        self.refused.wait(60)
        self.lock.release()
        return 200


BAD_SERVERS = {6: lambda path: 400 if path.count('seconds=') > 1 else 200, 7: Busy().ask}


@pytest.mark.parametrize('rule', BAD_SERVERS)
def test_a_server_that_serves_one_client_is_caught(rule):
    assert lint_requests(lambda path: 200) == []
    assert str(rule) in rules(lint_requests(BAD_SERVERS[rule]))


def test_no_rule_is_without_its_bad_profile():
    assert {rule for rule, spoil in BAD} | {answer[0] for answer in BAD_ANSWERS} | set(BAD_SERVERS) == \
        {*range(1, 21), 'go'}


def test_several_clients_at_once(server):
    """Ours has no findings; Go has one CPU profile at a time."""
    def found():
        return rules(lint_requests(lambda path: server.desk.get('/debug/pprof/' + path).status))
    if server.kind == 'ours':
        assert found() == set()
    else:
        eventually('two come at once', lambda: found() == {'7'})


# --- nothing is fetched past it ---

@pytest.mark.parametrize('path, kind, delta, absolute, file', [
    ('/debug/pprof/heap', 'heap', False, False, 'heap'),
    ('/debug/pprof/heap?seconds=1&seconds=x', 'heap', True, False, 'heap-delta'),
    ('/debug/pprof/heap?seconds=&debug=0', 'heap', False, False, 'heap'),
    ('/debug/pprof/allocs?seconds=1&inuse=absolute', 'allocs', True, True, 'allocs-delta'),
    ('/debug/pprof/heap?debug=1', 'heap', False, False, None),
    ('/debug/pprof/heap?debug=%31', 'heap', False, False, None),
    ('/debug/pprof/heap?debug=x&debug=1', 'heap', False, False, 'heap'),
    ('/debug/pprof/mutex?view=pairs', 'mutex', False, False, None),
    ('/debug/pprof/profile?debug=1', 'profile', True, False, 'profile'),
    ('/debug/pprof/profile?format=json', 'profile', True, False, None),
    ('/debug/pprof/threads', 'goroutine', False, False, 'goroutine'),
    ('/debug/pprof/delta_mutex?client=a', 'mutex', True, True, 'mutex.pprof.gz'),
    ('/debug/fgprof?seconds=1', 'wall', True, False, 'fgprof')])
def test_what_a_url_asks_for(path, kind, delta, absolute, file):
    asked = read_url(path)
    assert (asked.kind, asked.delta, asked.absolute, asked.file) == (kind, delta, absolute, file)


@pytest.mark.parametrize('path', ['/debug/pprof/', '/debug/pprof/cmdline', '/debug/pprof/heap/', '/metrics'])
def test_what_is_no_profile(path):
    assert read_url(path) is None


class Spoiled(http.server.BaseHTTPRequestHandler):
    """Serves what the test has put there, whatever is asked."""
    status, headers_, body = 200, HEADERS, b''

    def do_GET(self):
        self.send_response(self.status)
        for name, value in self.headers_.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope='module')
def spoiled():
    with http.server.HTTPServer(('127.0.0.1', 0), Spoiled) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield Desk('127.0.0.1', s.server_port)
        s.shutdown()


@pytest.mark.parametrize('rule, spoil', BAD, ids=[f.__name__ for r, f in BAD])
def test_no_request_passes_it_by(spoiled, rule, spoil):
    """However a test fetches it, with whatever parameters."""
    m = good_heap()
    Spoiled.status, Spoiled.headers_, Spoiled.body = 200, HEADERS, encode(m)
    spoiled.profile('heap')
    spoil(m)
    Spoiled.body = encode(m)
    for fetch in (spoiled.profile, spoiled.get):
        with pytest.raises(AssertionError, match='[\'"]%d: ' % rule):
            fetch('/debug/pprof/heap?gc=1')


def test_no_error_passes_it_by(spoiled):
    Spoiled.status, Spoiled.headers_, Spoiled.body = 500, {}, b'no\n'
    with pytest.raises(AssertionError, match='[\'"]3: '):
        spoiled.get('/debug/pprof/heap?seconds=1')


def test_a_counter_that_shrinks_does_not_pass_it_by(spoiled):
    m = good_heap()
    Spoiled.status, Spoiled.headers_, Spoiled.body = 200, HEADERS, encode(m)
    spoiled.profile('heap')
    m.sample[1].value[1] -= 1
    Spoiled.body = encode(m)
    with pytest.raises(AssertionError, match='[\'"]11: '):
        spoiled.profile('heap')


# --- valid and empty: what is off ---

@pytest.mark.parametrize('query', ['', '?symbolize=none'])
def test_what_is_off_is_a_valid_profile_without_samples(start, query):
    h = start(['hold_heap', 1000], CPU_HZ=0, HEAP_RATE=0, BLOCK_RATE=0, MUTEX_FRACTION=0)
    for name in ('heap', 'allocs', 'block', 'mutex', 'profile', *SINCE):
        path = name + (query + '&' if query else '?') + 'seconds=1' if name in WINDOWS else name + query
        p = h.profile(path)
        assert p.samples == [], path
        assert p.types == KINDS[SINCE.get(name, (name,))[0]][0]
