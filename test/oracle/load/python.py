# Interpreter, C extensions, callbacks from C into the interpreter, OpenSSL's assembly.
import functools
import hashlib
import json
import os
import re
import sqlite3
import zlib

db = sqlite3.connect(':memory:')
db.create_function('half', 1, lambda a: a // 2)
db.execute('create table t(a, b)')
tree = {'a': [1, 2, {'x': 'y' * 20}] * 40, 'b': {str(i): [i, i / 3, None] for i in range(200)}}
text = json.dumps(tree)


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def compare(a, b):
    return (a > b) - (a < b)


while True:
    json.loads(json.dumps(tree, indent=1))
    json.dumps(tree, sort_keys=True)
    re.findall(r'"(\w|\s)*"', text)
    re.sub(r'(\d)(\d)', lambda m: m.group(2) + m.group(1), text)
    zlib.decompress(zlib.compress(text.encode() + os.urandom(20000)))
    for algorithm in 'md5', 'sha1', 'sha256', 'sha512', 'sha3_256', 'blake2b':
        hashlib.new(algorithm, b'x' * 100000).digest()
    db.executemany('insert into t values(?, ?)', [(i, str(i * 7919 % 997)) for i in range(500)])
    db.execute('select count(*), b from t where half(a) > 3 group by b order by b').fetchall()
    db.execute('delete from t')
    fibonacci(16)
    sorted([str(i) for i in range(2000)], key=functools.cmp_to_key(compare))
