"""deep.py SECONDS -- a Python program whose C stack is 20 to 30 frames deep: callbacks in callbacks."""
import json
import re
import sys
import time

WORDS = re.findall(r'\w+', ' '.join(str(i * 7919) for i in range(60)))


class Odd:
    def __init__(self, n):
        self.n = n


def plain(odd):
    return {'n': odd.n, 'text': 'x' * (odd.n % 9)}


def size(word):
    return len(json.dumps([Odd(len(word)), word, [1.5, None]], default=plain))


def main():
    end, n = time.process_time() + float(sys.argv[1]), 0
    while time.process_time() < end:
        n += len(sorted(WORDS, key=size)[-1])
        n += len(re.sub('7', lambda match: match.group(0) * size('7'), '17 27 37 ' * 20))
    print(n > 0)


main()
