"""Who gets a message signed by asking a host's milter directly, past Postfix: a client of the milter protocol that is
run on a lab host as one of its users.

    signed(where, host, users, places, author) -> {(user, place)}     who got a DKIM-Signature, and where

A place is a port of 127.0.0.1, or the path of a socket. The protocol: version 6 as in libmilter's mfdef.h.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

from mailprov import lab
from tests.lab.labs import run_on

_CLIENT = """
import json, os, pwd, socket, struct, sys
users, places, author = json.loads(sys.argv[1])
# Step -> the bits by which a milter says that it wants not to be asked, or not to answer.
WISHES = {b"C": (1, 0x1000), b"H": (2, 0x2000), b"M": (4, 0x4000), b"R": (8, 0x8000), b"B": (0x10, 0x80000),
          b"L": (0x20, 0x80), b"N": (0x40, 0x40000), b"T": (0x200, 0x10000)}
def packet(kind, data=b""):
    return struct.pack("!I", 1 + len(data)) + kind + data
def answer(peer):
    def exactly(size):
        got = b""
        while len(got) < size:
            more = peer.recv(size - len(got))
            if not more: raise OSError("closed")
            got += more
        return got
    return exactly(struct.unpack("!I", exactly(4))[0])
def ask(place):
    peer = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
    peer.settimeout(20)
    peer.connect(place if isinstance(place, str) else ("127.0.0.1", place))
    peer.sendall(packet(b"O", struct.pack("!III", 6, 0x1FF, 0x1FFFFF)))
    wishes = struct.unpack("!I", answer(peer)[9:13])[0]
    who = author.encode()
    macros = b"C" + b"\\0".join([b"j", b"localhost", b"{client_addr}", b"127.0.0.1"]) + b"\\0"
    login = b"M" + b"\\0".join([b"{auth_authen}", who, b"{auth_type}", b"PLAIN", b"i", b"4F00"]) + b"\\0"
    fields = {b"From": who, b"To": b"far@else.test", b"Subject": b"forged", b"Date": b"Tue, 24 Nov 2026 08:00:00 +0000"}
    steps = [b"D" + macros, b"Clocalhost\\x004" + struct.pack("!H", 4000) + b"127.0.0.1\\0", b"Hlocalhost\\0"]
    steps += [b"D" + login, b"M<" + who + b">\\0", b"R<far@else.test>\\0", b"T"]
    steps += [b"L" + name + b"\\0" + value + b"\\0" for name, value in fields.items()]
    steps += [b"N", b"Bbody\\r\\n", b"E"]
    for step in steps:
        not_asked, no_reply = WISHES.get(step[:1], (0, 0))
        if wishes & not_asked:
            continue
        peer.sendall(packet(step[:1], step[1:]))
        if step[:1] == b"D" or wishes & no_reply:
            continue
        while True:
            got = answer(peer)
            if b"DKIM-Signature" in got: return True
            if got[:1] in b"cart45yd": break
    return False
found = []
for user in users:
    who = pwd.getpwnam(user)
    read, write = os.pipe()
    if os.fork() == 0:
        os.setgroups(os.getgrouplist(user, who.pw_gid)); os.setgid(who.pw_gid); os.setuid(who.pw_uid)
        got = []
        for place in places:
            try:
                if ask(place): got.append([user, place])
            except OSError: pass
        os.write(write, json.dumps(got).encode()); os._exit(0)
    os.close(write)
    found += json.loads(os.read(read, 1 << 20)); os.wait(); os.close(read)
print(json.dumps(found))
"""


def signed(
    where: lab.Lab, host: str, users: Iterable[str], places: Iterable[int | str], author: str
) -> set[tuple[str, int | str]]:
    asked = json.dumps([list(users), list(places), author])
    run_on(where, host, f"cat >/srv/signer.py <<'END'\n{_CLIENT}\nEND")
    told = json.loads(run_on(where, host, f"python3 /srv/signer.py {shlex.quote(asked)}"))
    return {(user, place) for user, place in told}
