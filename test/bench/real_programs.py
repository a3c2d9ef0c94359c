"""real_programs.py -- work for programs of the distribution, made up here so that it is the same everywhere.

Each writes what it needs into a folder and returns (arguments, file for its input): some seconds of CPU, or `scale`
of that."""
import os
import shutil

SQL = '''CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, kind INTEGER);
CREATE INDEX by_kind ON item(kind, price);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO item SELECT i, printf('item %08x of many', i * 2654435761 % 4294967296), i * 7919 % 1000 / 8.0, i * 31 % 97
FROM n;
SELECT kind, count(*), sum(price), group_concat(substr(name, 6, 4)) FROM item WHERE price > 20 GROUP BY kind
ORDER BY 3 DESC LIMIT 3;
UPDATE item SET name = upper(name) || kind WHERE id % 3 = 0;
SELECT a.kind, count(DISTINCT b.name) FROM item a JOIN item b ON b.kind = a.kind AND b.price = a.price GROUP BY 1
LIMIT 5;
DELETE FROM item WHERE price < 10;
SELECT count(*), max(length(name)), avg(price) FROM item;
'''

PYTHON = '''
import json
kept = {}
for i in range(ROWS):
    row = {'id': i, 'name': 'row %d' % i, 'values': [i * k for k in range(12)]}
    text = json.dumps(row)
    kept[i % 5000] = (json.loads(text), text.upper().split())
print(len(kept), sum(len(t) for _, t in kept.values()))
'''


def find(name):
    return shutil.which(name, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, 'w') as f:
        f.write(text)
    return path


def sqlite(directory, rows):
    return [find('sqlite3'), '-batch', ':memory:'], write(directory, 'script-%d.sql' % rows, SQL.format(rows=rows))


def python(directory, rows):
    return ['/usr/bin/python3', '-S', write(directory, 'rows.py', PYTHON.replace('ROWS', str(rows)))], os.devnull


def gcc(directory, functions):
    """The compiler proper: what takes the time, in one process."""
    text = '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n'
    for n in range(functions):
        text += ('int f%d(char *s, int n) { int sum = %d; for (int i = 0; i < n; i++) { switch (s[i] %% %d) { '
                 'case 0: sum += strlen(s + i); break; case 1: sum ^= atoi(s); break; default: s[i] += %d; } '
                 'if (sum %% %d == 0) printf("%%d %%s", sum, s); } return sum; }\n' % (n, n, n % 7 + 3, n, n % 11 + 2))
    return [find('gcc'), '-O2', '-c', '-o', os.devnull, write(directory, 'many.c', text)], os.devnull
