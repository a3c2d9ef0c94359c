"""mariadb -- Debian's database server, and clients that ask it the same question all the time."""
import os
import socket
import struct
import threading

from clients import need
from hosts import eventually

# One thread a connection; no accounts, no files but those of the test.
ARGUMENTS = ['--no-defaults', '--user=root', '--skip-grant-tables', '--skip-networking', '--skip-innodb',
             '--default-storage-engine=Aria', '--skip-log-bin', '--console']


def start_server(start, directory, *more, **how):
    data = os.path.join(str(directory), 'data')
    os.makedirs(data)
    path = os.path.join(str(directory), 'socket')
    h = start([need('mariadbd'), *ARGUMENTS, '--datadir=' + data, '--socket=' + path, *more], **how)
    eventually('mariadb answers: %s' % h.stderr[-500:], lambda: os.path.exists(path) and h.alive())
    return h, path


class Client:
    """MySQL's protocol, as far as a question without an answer to be understood needs it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.rest = b''
        self.read_packet()                      # its greeting
        # Protocol 4.1, plain authentication, user root without a password.
        flags = 0x00000200 | 0x00008000 | 0x00080000
        self.send(1, struct.pack('<IIB23x', flags, 1 << 24, 33) + b'root\0' + b'\0' + b'mysql_native_password\0')
        assert self.read_packet()[0] == 0, 'refused'

    def send(self, number, data):
        self.socket.sendall(struct.pack('<I', len(data))[:3] + bytes([number]) + data)

    def read_packet(self):
        while len(self.rest) < 4 or len(self.rest) < 4 + int.from_bytes(self.rest[:3], 'little'):
            piece = self.socket.recv(65536)
            assert piece, 'the server has closed'
            self.rest += piece
        n = int.from_bytes(self.rest[:3], 'little')
        packet, self.rest = self.rest[4:4 + n], self.rest[4 + n:]
        return packet

    def ask(self, question):
        """Rows are thrown away."""
        self.send(0, b'\3' + question.encode())
        packet = self.read_packet()
        assert packet[0] != 0xff, packet
        ends = 2 if packet[0] != 0 else 0       # of the columns, of the rows
        while ends:
            packet = self.read_packet()
            assert packet[0] != 0xff, packet
            ends -= packet[0] == 0xfe and len(packet) < 9


class Load:
    """So many clients at once, until told to stop."""

    def __init__(self, path, clients, question):
        self.asked, self.failed, self._stop = 0, None, False
        self.threads = [threading.Thread(target=self._ask, args=(path, question), daemon=True)
                        for i in range(clients)]
        for t in self.threads:
            t.start()

    def _ask(self, path, question):
        try:
            c = Client(path)
            while not self._stop:
                c.ask(question)
                self.asked += 1
        except Exception as e:
            self.failed = self.failed or e

    def stop(self):
        self._stop = True
        for t in self.threads:
            t.join(60)
        assert self.failed is None, self.failed
