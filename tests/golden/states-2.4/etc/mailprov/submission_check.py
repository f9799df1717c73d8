# Managed by mailprov: do not edit, the inventory is where this file comes from.
"""Milter of Postfix for submitted mail: a message names as its authors and senders only who has logged in.

Readers see the header and not the envelope, so who may not send as another may not write so either (RFC 6409 section
8.1). From: is there once, Sender: once at most (RFC 5322 section 3.6), and each address in them, in Resent-From: and
in Resent-Sender: is the user's own: whose an address is stands in the map that smtpd_sender_login_maps names.

One process and one thread for all sessions. A client that connects and does nothing costs a small object here, and
nothing that a client sends makes it keep more than KEPT bytes of a packet and of a message. systemd holds the socket
(mailprov-submission.socket): while this program is started again, Postfix waits; where nothing answers, Postfix says
4xx to the user (mua_milters in main.cf). Trouble in here is 4xx, too. No message goes on unlooked at.

A session goes on after its password has been taken back or changed, and the program that lent it (Dovecot) cannot end
it. So who takes a password back notes when: the next message of a session that is older is refused with 421, which
ends it, and the mail program logs in again.

The words of the protocol are those of Sendmail's include/libmilter/mfdef.h: packets of a length (four bytes), a
command and data.
"""

import os
import re
import selectors
import socket
import struct
import sys
import time
from email.utils import getaddresses

LOGINS = "/etc/postfix/mailprov/logins"
DELIMITER = "+"
ONCE = ("from", "sender")
FIELDS = (*ONCE, "resent-from", "resent-sender")
KEPT = 8192  # bytes: of one packet, and of the fields above of one message
ADDRESSES = 100  # in one message; each is looked up
SESSIONS = 1000  # at once; Postfix has a hundred processes for each of the ports 465 and 587
ALIVE = 15  # seconds between two signs of life to systemd (WatchdogSec)
# What Postfix need not send: CONNECT, HELO, RCPT, BODY, UNKNOWN, DATA (SMFIP_NO…).
UNSENT = 0x1 | 0x2 | 0x8 | 0x10 | 0x100 | 0x200
SILENT = 0x80  # header fields get no answer (SMFIP_NR_HDR)
CONTINUE, TRY_AGAIN = b"c", b"t"
ENDED = ["/run/mailprov-states/ended"]  # who, and when: time.monotonic(), one clock for all programs
LOG_IN = b"421 4.7.0 the password of this session is no longer valid; log in again"


class Unclear(Exception):
    """Not this protocol: the connection ends, and Postfix tells the user to try again."""


QUOTED = re.compile(r'"(?:[^"\\]|\\[\s\S])*("|\\?\Z)')  # to its end, in any case: the time is linear


def owners(addresses):
    """{address: the login that may use it}; "" for none. A detail makes no other address of it. OSError."""
    with open(LOGINS, "rb") as source:
        rows = b"\n" + source.read()
    found = {}
    for address in addresses:
        local, _, domain = address.lower().rpartition("@")
        names = [local + "@" + domain]
        if DELIMITER and DELIMITER in local:
            names.append(local.partition(DELIMITER)[0] + "@" + domain)
        found[address] = next((login for login in (login_of(rows, name) for name in names) if login), "")
    return found


def login_of(rows, name):
    if not re.fullmatch(r"[!-~]+@[!-~]+", name):  # what is no word of ASCII is in no row, and must not match two
        return ""
    at = rows.find(b"\n" + name.encode("ascii") + b" ")
    if at < 0:
        return ""
    return rows[at + len(name) + 2 :].split(b"\n", 1)[0].decode("ascii", "replace").strip().lower()


def addresses_in(value):
    """All that somebody's mail program could show as an address: they differ in how they read what is no proper one.

    What stands in angle brackets counts as one, and a field without any address has the address "", which is nobody's.
    """
    found = [address for _, address in getaddresses([value])] or [""]
    return found + re.findall(r"<([^<>]*)>", re.sub(QUOTED, kept_if_open, value))


def kept_if_open(quoted):
    """A quotation mark without another one quotes nothing."""
    return "" if quoted[1] == '"' else quoted[0]


def objection(login, fields):
    """Why this message of this login must not go on, as an SMTP reply; "" for none. `fields`: (name, value) each."""
    names = [name for name, _ in fields]
    if "from" not in names:
        return "550 5.6.0 a message needs a field From:, with an address of yours (RFC 5322 section 3.6)"
    for name in ONCE:
        if names.count(name) > 1:
            return "550 5.6.0 a message has one field %s: and no more (RFC 5322 section 3.6)" % name.title()
    pairs = [(name, address) for name, value in fields for address in addresses_in(value)]
    if len({address for _, address in pairs}) > ADDRESSES:
        return "550 5.7.1 more than %d addresses in From: and Sender: are not looked up" % ADDRESSES
    known = owners({address for _, address in pairs})
    for name, address in pairs:
        if known[address] != login.lower():
            title, shown = name.title(), printable(address) or "?"
            return "550 5.7.1 %s: <%s> is not an address of the user %s" % (title, shown, printable(login))
    return ""


def over_since(login):
    """When sessions of this login had to end the last time; 0 where none had since the host started. OSError."""
    last = 0.0
    for path in ENDED:
        try:
            with open(path, encoding="utf-8") as file:
                rows = [line.split() for line in file]
        except FileNotFoundError:
            continue
        last = max([last, *(float(row[1]) for row in rows if len(row) == 2 and row[0].lower() == login)])
    return last


def printable(text):
    return "".join(sign for sign in text if " " <= sign <= "~" and sign != "%")[:200]


def words(data):
    return [part.decode("utf-8", "replace") for part in data.split(b"\0")[:-1]]


class Session:
    """One connection of Postfix: bytes in, answers out. Between two messages it keeps a login and nothing else."""

    __slots__ = ("_begun", "_buffer", "_fields", "_login", "_looked_at", "_silent", "_size", "_skip", "over")

    def __init__(self):
        self._buffer, self._skip, self._silent = b"", 0, True
        self._login, self.over = "", False
        self._begun = time.monotonic()  # Postfix connects when a client does: no login of this session is older
        self._begin()

    def _begin(self):
        self._fields, self._size, self._looked_at = [], 0, False

    def feed(self, data):
        """What is to be sent back for these bytes. Unclear."""
        if len(data) <= self._skip:
            self._skip -= len(data)
            return b""
        data, at, answers = self._buffer + data[self._skip :], 0, []
        while len(data) - at >= 4 and not self.over:
            (size,) = struct.unpack_from("!I", data, at)
            if not size:
                raise Unclear
            begin, end = at + 4, at + 4 + min(size, KEPT)
            if len(data) < end:
                break
            answers.append(self._answer(data[begin : begin + 1], data[begin + 1 : end], whole=size <= KEPT))
            at = begin + size
        self._buffer, self._skip = data[at:], max(at - len(data), 0)
        return b"".join(struct.pack("!I", len(answer)) + answer for answer in answers if answer)

    def _answer(self, command, data, whole):
        """One answer for one packet; b"" where none is wanted. Of a long packet only the beginning is here."""
        if command == b"L":
            self._keep(*[*words(data + b"\0"), "", ""][:2], whole)
            return b"" if self._silent else CONTINUE
        if not whole:
            raise Unclear
        if command == b"O":  # negotiation: version, actions, what is skipped
            if len(data) < 12:
                raise Unclear
            version, _, offered = struct.unpack("!III", data[:12])
            self._silent = bool(offered & SILENT)
            return b"O" + struct.pack("!III", min(version, 6), 0, (UNSENT | SILENT) & offered)
        if command == b"D":  # macros; those of MAIL name the login
            if data[:1] == b"M":
                pairs = words(data[1:])
                self._login = dict(zip(pairs[::2], pairs[1::2])).get("{auth_authen}", "")
            return b""
        if command in (b"M", b"A"):  # a message begins, or is given up
            self._begin()
            if command == b"M" and (answer := self._over()):
                return answer
            return CONTINUE if command == b"M" else b""
        if command == b"N":  # the end of the header
            return self._verdict()
        if command == b"E":  # the end of the message
            answer = CONTINUE if self._looked_at else TRY_AGAIN
            self._begin()
            return answer
        if command == b"K":  # the next client
            self._begin()
            self._login = ""
            self._begun = time.monotonic()
            return b""
        if command == b"Q":
            self.over = True
            return b""
        return CONTINUE

    def _over(self):
        """The refusal of a session that is older than the end of its password; b"" where it goes on."""
        try:
            over = bool(self._login) and self._begun <= over_since(self._login.lower())
        except (OSError, ValueError) as error:
            print("%s: %s" % (" ".join(ENDED), error), file=sys.stderr, flush=True)
            return TRY_AGAIN
        return b"y" + LOG_IN + b"\0" if over else b""

    def _keep(self, name, value, whole):
        name = name.strip().lower()
        if name in FIELDS:
            self._size += len(name) + len(value) if whole else KEPT
            if self._size < KEPT:
                self._fields.append((name, value))

    def _verdict(self):
        fields, size = self._fields, self._size
        self._begin()
        if not self._login:  # without AUTH nobody comes here (mua_client_restrictions): somebody has set that anew
            return TRY_AGAIN
        if size >= KEPT:
            answer = "550 5.7.1 the fields From: and Sender: are too long to be looked at"
        else:
            try:
                answer = objection(self._login, fields)
            except OSError as error:
                print("%s: %s" % (LOGINS, error.strerror), file=sys.stderr, flush=True)
                return TRY_AGAIN
            except (IndexError, RecursionError, TypeError, ValueError):  # older Pythons, about what is no address
                answer = "550 5.6.0 the addresses in From: and Sender: cannot be read"
        if answer:
            return b"y" + answer.encode("ascii", "replace") + b"\0"
        self._looked_at = True
        return CONTINUE


class Server:
    """All sessions, on a socket that listens."""

    def __init__(self, listener):
        self._selector, self._listener = selectors.DefaultSelector(), listener
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._count = 0

    def step(self, seconds):
        """Answer whoever asks; without anybody return after `seconds`."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._serve(key.fileobj, key.data)

    def _accept(self):
        try:
            connection, _ = self._listener.accept()
        except OSError:  # gone again, or no descriptor is left: others will end
            return
        if self._count >= SESSIONS:
            connection.close()
            return
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, Session())
        self._count += 1

    def _serve(self, connection, session):
        try:
            data = connection.recv(KEPT)
            answer = session.feed(data)
            if not data or (answer and connection.send(answer) != len(answer)):  # answers are short, and Postfix waits
                session.over = True
        except BlockingIOError:
            session.over = True
        except (OSError, Unclear):
            session.over = True
        if session.over:
            self._selector.unregister(connection)
            connection.close()
            self._count -= 1


def tell(state):
    """To systemd: sd_notify(3)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.sendto(state, "\0" + path[1:] if path[0] == "@" else path)


def main():
    if sys.argv[1:] == ["--check"]:  # it is Python, for this Python
        return 0
    if os.environ.get("LISTEN_FDS") != "1":
        print("systemd starts this, with mailprov-submission.socket", file=sys.stderr)
        return 2
    server = Server(socket.socket(fileno=3))  # sd_listen_fds(3)
    tell(b"READY=1")
    told = time.monotonic()
    while True:
        server.step(ALIVE)
        if time.monotonic() - told >= ALIVE:
            tell(b"WATCHDOG=1")
            told = time.monotonic()


if __name__ == "__main__":
    sys.exit(main())
