"""What a right server of each protocol says to a command: no sockets, no state but what an answer needs.

    GREETINGS     protocol → what it says at first
    ANSWERS       protocol → what makes a function: command → answer, octets in and out

They are the ground from which hypothesis departs, so that a client gets far before it meets what is odd.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_MESSAGE = b"Subject: x\r\nX-Mailprov-Probe: abc\r\n\r\nhello\r\n"


def smtp(command: bytes) -> bytes:
    verb = command[:4].upper()
    if verb == b"EHLO":
        return b"250-mx.test\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
    return {
        b"STAR": b"220 2.0.0 ready\r\n",
        b"AUTH": b"235 2.7.0 in\r\n",
        b"DATA": b"354 go on\r\n",
        b"QUIT": b"221 2.0.0 bye\r\n",
    }.get(verb, b"250 2.1.0 ok\r\n")


class Imap:
    """It remembers the tag of a command whose literals come one by one."""

    def __init__(self) -> None:
        self._tag = b""

    def __call__(self, command: bytes) -> bytes:
        tag, __, rest = command.partition(b" ")
        if command.endswith(b"}\r\n"):
            self._tag = self._tag or tag
            return b"+ go on\r\n"
        if self._tag:
            tag, rest, self._tag = self._tag, b"", b""
        return _untagged(rest) + tag + b" OK [X] done\r\n"


def _untagged(rest: bytes) -> bytes:
    if rest.startswith(b"CAPA"):
        return b"* CAPABILITY IMAP4rev1 STARTTLS UIDPLUS\r\n"
    if rest.startswith(b"LIST"):
        return b'* LIST (\\HasNoChildren) "/" INBOX\r\n* LIST (\\Junk) "/" {4}\r\nJunk\r\n'
    if rest.startswith(b"UID SEARCH"):
        return b"* SEARCH 1 7\r\n"
    if match := re.match(rb"UID FETCH (\d+)", rest):
        return b"* 1 FETCH (UID %s BODY[] {%d}\r\n%s)\r\n" % (match[1], len(_MESSAGE), _MESSAGE)
    return b""


def pop3(command: bytes) -> bytes:
    verb = command[:4].upper().strip()
    more = {
        b"CAPA": b"STLS\r\nUIDL\r\nSASL PLAIN\r\n.\r\n",
        b"UIDL": b"1 abc\r\n2 abcd\r\n.\r\n",
        b"TOP": _MESSAGE + b".\r\n",
        b"RETR": _MESSAGE + b".\r\n",
    }
    return b"+OK fine\r\n" + more.get(verb, b"")


def sieve(command: bytes) -> bytes:
    verb = command[:4].upper()
    if verb == b"STAR":
        return b"OK\r\n" + GREETINGS["sieve"]
    if verb == b"LIST":
        return b'"one" ACTIVE\r\n{3}\r\ntwo\r\nOK "listed"\r\n'
    return b'OK (WARNINGS) "done"\r\n'


def https(command: bytes) -> bytes:
    if command.startswith(b"POST"):
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nLocation: /y\r\n\r\nhello"


def hello(command: bytes) -> bytes:
    body = b"\x03\x03" + b"r" * 32 + b"\x20" + b"i" * 32 + b"\x13\x02\0" + b"\0\6\0\x2b\0\2\x03\x04"
    message = b"\2" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message


GREETINGS = {
    "smtp": b"220-mx.test hello\r\n220 mx.test ESMTP\r\n",
    "imap": b"* OK [CAPABILITY IMAP4rev1] ready\r\n",
    "pop3": b"+OK ready <1.2@mx.test>\r\n",
    "sieve": b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK "ready"\r\n',
    "https": b"",
    "hello": b"",
}
ANSWERS: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "smtp": lambda: smtp,
    "imap": Imap,
    "pop3": lambda: pop3,
    "sieve": lambda: sieve,
    "https": lambda: https,
    "hello": lambda: hello,
}
