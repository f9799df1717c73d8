"""One question to DNS as this host's programs ask it: to the name servers of /etc/resolv.conf, over UDP.

    ask(tree, name, kind) -> Answer       MX, A or AAAA

The standard library knows addresses alone, and a mail server looks for MX (RFC 1035 section 4, RFC 5321 section 5.1).
Raises nothing: what went wrong stands in `answer`.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import List, NamedTuple, Tuple

from mailprov.agent import files
from mailprov.agent.files import Tree

KINDS = {"A": 1, "MX": 15, "AAAA": 28}
_CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
_PATIENCE = 3.0  # seconds for each server
_PORT = 53


class Answer(NamedTuple):
    """`values`: addresses, or `10 mx.example.org`; `server` gave them; `answer`: the code, or why there is none."""

    name: str
    type: str
    server: str = ""
    values: Tuple[str, ...] = ()
    answer: str = ""
    ttl: int = 0
    seconds: float = 0.0


def ask(tree: Tree, name: str, kind: str) -> Answer:
    began = time.monotonic()
    failed = "NOSERVER"
    for server in _servers(tree):
        try:
            code, values, ttl = _exchange(server, name, kind)
        except (OSError, ValueError, KeyError, IndexError, struct.error, UnicodeError) as error:
            failed = "TIMEOUT" if isinstance(error, socket.timeout) else type(error).__name__.upper()
            continue
        return Answer(name, kind, server, tuple(values), code, ttl, time.monotonic() - began)
    return Answer(name, kind, answer=failed, seconds=time.monotonic() - began)


def _servers(tree: Tree) -> List[str]:
    text = (files.read(tree.at("/etc/resolv.conf")) or b"").decode("ascii", "replace")
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"][:3]


def _exchange(server: str, name: str, kind: str) -> Tuple[str, List[str], int]:
    ident = int.from_bytes(os.urandom(2), "big")
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError(name)
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    packet = struct.pack(">6H", ident, 0x0100, 1, 0, 0, 0) + question + struct.pack(">2H", KINDS[kind], 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.settimeout(_PATIENCE)
        link.connect((server, _PORT))
        link.send(packet)
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            reply = link.recv(4096)
            if len(reply) >= 12 and reply[:2] == packet[:2] and reply[2] & 0x80:
                return _read(reply, KINDS[kind])
    raise socket.timeout


def _read(reply: bytes, wanted: int) -> Tuple[str, List[str], int]:
    flags, questions, answers = struct.unpack(">3H", reply[2:8])
    at = 12
    for _number in range(questions):
        at = _name(reply, at)[1] + 4
    values: List[str] = []
    ttl = 0
    for _number in range(answers):
        at = _name(reply, at)[1]
        kind, _class, seconds, size = struct.unpack(">2HIH", reply[at : at + 10])
        at += 10
        if kind == wanted:
            ttl = seconds
            values.append(_value(reply, at, size, kind))
        at += size
    return _CODES.get(flags & 15, str(flags & 15)), sorted(values), ttl


def _value(reply: bytes, at: int, size: int, kind: int) -> str:
    if kind == KINDS["MX"]:
        preference = struct.unpack(">H", reply[at : at + 2])[0]
        return f"{preference} {_name(reply, at + 2)[0]}"
    family = socket.AF_INET if kind == KINDS["A"] else socket.AF_INET6
    return socket.inet_ntop(family, reply[at : at + size])


def _name(reply: bytes, at: int) -> Tuple[str, int]:
    """A name, and what comes behind it. Pointers lead to earlier places (RFC 1035 section 4.1.4), and only so far."""
    labels: List[str] = []
    end = -1
    for _step in range(128):
        length = reply[at]
        if length & 0xC0 == 0xC0:
            end = at + 2 if end < 0 else end
            at = struct.unpack(">H", reply[at : at + 2])[0] & 0x3FFF
        elif length == 0:
            return ".".join(labels).lower() or ".", (at + 1 if end < 0 else end)
        else:
            labels.append(reply[at + 1 : at + 1 + length].decode("ascii", "replace"))
            at += 1 + length
    raise ValueError(labels)
