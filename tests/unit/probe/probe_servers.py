"""Scripted mail and name servers on loopback: real sockets, real TLS, right behaviour unless a fault is asked
for.

`World` is two hosts (127.0.0.1 and 127.0.0.2) with seven ports each and a name server. `faults` are words
that the session classes look for, such as `open-relay`; a fault holds on every host and port where it makes
sense.
"""

from __future__ import annotations

import base64
import contextlib
import re
import selectors
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import ClassVar

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailprov.model.ports import PORTS, Port, Protocol, TlsStart
from tests.unit.probe.probe_certs import Authority

FQDNS = {"127.0.0.1": "mx1.alpha.test", "127.0.0.2": "mx2.beta.test"}
DOMAINS = {"alpha.test": "127.0.0.1", "alfa.test": "127.0.0.1", "beta.test": "127.0.0.2"}
PASSWORDS = {"ana@alpha.test": "right-ana", "zoe@alpha.test": "right-zoe", "eva@beta.test": 'ñ"right\\eva'}


class Gone(Exception):
    """The client has gone, or the script says to hang up."""


@dataclass
class World:
    authority: Authority
    faults: frozenset[str] = frozenset()
    certificate: str = "right"
    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    boxes: dict[str, list[bytes]] = field(default_factory=lambda: {user: [] for user in PASSWORDS})
    attempts: list[tuple[str, str]] = field(
        default_factory=list
    )  # every (user, password) that reached a server
    commands: list[str] = field(default_factory=list)
    most_wrong: dict[str, int] = field(default_factory=dict)  # address → wrong passwords looked at at once
    most_sessions: dict[str, int] = field(default_factory=dict)  # user → IMAP and POP sessions at once
    port_map: dict[tuple[str, int], int] = field(default_factory=dict)

    def __enter__(self) -> World:
        self.lock = threading.Lock()
        self.now_wrong: dict[str, int] = {}
        self.now_sessions: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._open: list[socket.socket] = []
        for address in FQDNS:
            for port in PORTS:
                sock = socket.create_server((address, 0))
                self.port_map[address, port.number] = sock.getsockname()[1]
                if "refused" in self.faults:
                    sock.close()
                    continue
                self._open.append(sock)
                self._selector.register(sock, selectors.EVENT_READ, (address, port))
        self._dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._dns.bind(("127.0.0.1", 0))
        self.dns_port = self._dns.getsockname()[1]
        self._selector.register(self._dns, selectors.EVENT_READ, None)
        self._stop, self._wake = socket.socketpair()
        self._selector.register(self._stop, selectors.EVENT_READ, "stop")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._thread.join(5)
        for sock in [*self._open, self._dns, self._stop]:
            with contextlib.suppress(OSError):
                sock.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data == "stop":
                    return
                if key.data is None:
                    self._answer()
                    continue
                sock, _peer = key.fileobj.accept()  # type: ignore[union-attr]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(sock)
                kind = {Protocol.SMTP: Smtp, Protocol.IMAP: Imap, Protocol.POP3: Pop}[key.data[1].protocol]
                threading.Thread(target=kind(self, sock, *key.data).run, daemon=True).start()

    def _answer(self) -> None:
        data, peer = self._dns.recvfrom(4096)
        if "dns-silent" in self.faults:
            return
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        if "dns-refused" in self.faults:
            reply.set_rcode(dns.rcode.REFUSED)
        elif "dns-servfail" in self.faults:
            reply.set_rcode(dns.rcode.SERVFAIL)
        else:
            if "dns-hearsay" not in self.faults:
                reply.flags |= dns.flags.AA
            if found := self.records.get((name, kind)):
                reply.answer.append(dns.rrset.from_text(name + ".", 60, "IN", kind, *found))
            elif alias := self.records.get((name, "CNAME")):
                reply.answer.append(dns.rrset.from_text(name + ".", 60, "IN", "CNAME", *alias))
            elif not any(owner == name for owner, _ in self.records):
                reply.set_rcode(dns.rcode.NXDOMAIN)
        self._dns.sendto(reply.to_wire(), peer)


class Session:
    """One connection. Subclasses say `greet` and `handle`."""

    def __init__(self, world: World, sock: socket.socket, address: str, port: Port) -> None:
        self.world, self.sock, self.address, self.port = world, sock, address, port
        self.faults = world.faults
        self.fqdn = FQDNS[address]
        self.tls = False
        self.user = ""
        self.buffer = b""

    def run(self) -> None:
        try:
            with contextlib.suppress(OSError, Gone, ssl.SSLError), self.sock:
                self._serve()
        finally:
            if self.user and not isinstance(self, Smtp):
                self._count(self.world.now_sessions, {}, self.user, -1)

    def _count(self, now: dict[str, int], most: dict[str, int], key: str, by: int) -> None:
        with self.world.lock:
            now[key] = now.get(key, 0) + by
            most[key] = max(most.get(key, 0), now[key])

    def _serve(self) -> None:
        if "silent" in self.faults:
            while self.sock.recv(1000):
                pass
            return
        if "dropped" in self.faults:
            return
        if self.port.tls is TlsStart.IMPLICIT:
            if "clear-first" in self.faults:
                self.send("220 hello in clear")
            self.start_tls()
        if "garbage" in self.faults:
            self.send("SSH-2.0-OpenSSH_9.2")
        else:
            self.greet()
        while True:
            self.handle(self.line())

    def start_tls(self) -> None:
        kind = self.world.certificate
        if "other-certificate-on-993" in self.faults and self.port.number == 993:
            kind += "-again"
        context = self.world.authority.context(self.fqdn, kind)
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.tls, self.buffer = True, b""

    def send(self, *lines: str) -> None:
        self.sock.sendall("".join(line + "\r\n" for line in lines).encode())

    def line(self) -> str:
        while b"\n" not in self.buffer:
            chunk = self.sock.recv(65536)
            if not chunk:
                raise Gone
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        with self.world.lock:
            self.world.commands.append(text)
        return text

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.buffer += self.sock.recv(65536)
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def check(self, user: str, password: str) -> str:
        """`yes`, `no` or `later`."""
        with self.world.lock:
            self.world.attempts.append((user, password))
        if "auth-later" in self.faults:
            return "later"
        if "nobody-gets-in" in self.faults:
            return "no"
        if "anybody-gets-in" in self.faults or PASSWORDS.get(user) == password:
            self.user = user
            if not isinstance(self, Smtp):
                self._count(self.world.now_sessions, self.world.most_sessions, user, 1)
            if "slow-login" in self.faults:
                time.sleep(0.1)
            return "yes"
        self._count(self.world.now_wrong, self.world.most_wrong, self.address, 1)
        time.sleep(0.01)  # as Dovecot does, only shorter: two at once would be seen
        self._count(self.world.now_wrong, {}, self.address, -1)
        return "no"

    def greet(self) -> None:
        raise NotImplementedError

    def handle(self, line: str) -> None:
        raise NotImplementedError

    def box(self) -> list[bytes]:
        return self.world.boxes[self.user]


class Smtp(Session):
    sender = ""
    recipients: ClassVar[list[str]] = []

    def greet(self) -> None:
        if "banner-554" in self.faults:
            self.send("554 5.3.2 not today")
        elif "banner-stars" in self.faults:
            self.send("220 ****************")
        elif "banner-name" in self.faults:
            self.send("220 localhost ESMTP")
        elif "banner-version" in self.faults:
            self.send(f"220 {self.fqdn} ESMTP Postfix 3.7.11")
        else:
            self.send(f"220-{self.fqdn} ESMTP", f"220 {self.fqdn} ready")

    def handle(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if verb == "EHLO":
            self.send(*self._hello())
        elif verb == "STARTTLS":
            self._upgrade()
        elif verb == "AUTH":
            self._auth(rest)
        elif verb in {"MAIL", "RCPT"}:
            getattr(self, "_" + verb.lower())(rest)
        elif verb == "DATA":
            self._data()
        elif verb == "RSET":
            self.sender, self.recipients = "", []
            self.send("250 2.0.0 Ok")
        else:
            self.send("502 5.5.2 no")

    def _hello(self) -> list[str]:
        words = [self.fqdn, "PIPELINING", "SIZE 10240000", "ENHANCEDSTATUSCODES"]
        if "no-8bitmime" not in self.faults:
            words.append("8BITMIME")
        may_tls = self.port.tls is TlsStart.UPGRADE and "no-starttls" not in self.faults
        if may_tls and (not self.tls or "starttls-twice" in self.faults):
            words.append("STARTTLS")
        if self.port.login and "no-auth" not in self.faults and (self.tls or "clear-auth" in self.faults):
            words.append("AUTH PLAIN LOGIN")
        if self.port.number == 25 and self.tls and "auth-on-25" in self.faults:
            words.append("AUTH PLAIN")
        if "xclient" in self.faults:
            words.append("XCLIENT NAME ADDR")
        return [f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]

    def _upgrade(self) -> None:
        if "starttls-refused" in self.faults:
            self.send("454 4.7.0 TLS not available")
        elif "injected" in self.faults:
            self.send("220 2.0.0 ready", "250 injected")
            self.start_tls()
        elif "broken-handshake" in self.faults:
            self.send("220 2.0.0 ready")
            self.line()
            self.send("this is not TLS")
            raise Gone
        else:
            self.send("220 2.0.0 ready")
            self.start_tls()

    def _auth(self, rest: str) -> None:
        allowed = self.port.login or {"auth-on-25", "hidden-auth-on-25"} & self.faults
        if not allowed:
            self.send("503 5.5.1 Error: authentication not enabled")
            return
        if "asks-in-clear" not in self.faults and not self.tls and "clear-auth" not in self.faults:
            self.send("530 5.7.0 Must issue a STARTTLS command first")
            return
        token = rest.partition(" ")[2]
        if not token:
            self.send("334 ")
            self.line()
            self.send("501 5.7.0 cancelled")
            return
        _, user, password = base64.b64decode(token).decode().split("\0")
        answer = self.check(user, password)
        if answer == "later":
            self.send("454 4.7.0 Temporary authentication failure: Connection lost to authentication server")
        elif answer == "yes":
            self.send("235 2.7.0 Authentication successful")
        else:
            self.send(f"535 5.7.8 Error: authentication failed: {token}")

    def _mail(self, rest: str) -> None:
        self.sender = re.search(r"<(.*?)>", rest)[1]  # type: ignore[index]
        if "sender-4xx" in self.faults:
            self.send("450 4.1.8 try again")
        elif "auth-does-nothing" in self.faults and self.user:
            self.send("530 5.7.0 log in first")
        else:
            self.send("250 2.1.0 Ok")

    def _rcpt(self, rest: str) -> None:
        address = rest.partition(":")[2].strip("<>").lower()
        domain = address.rpartition("@")[2]
        here = DOMAINS.get(domain) == self.address
        if self.port.login and not self.user and "open-relay" not in self.faults:
            self.send("554 5.7.1 Client host rejected: Access denied")
        elif "rcpt-4xx" in self.faults and (address.startswith("nobody-") or "all-4xx" in self.faults):
            self.send("450 4.7.1 come back later")
        elif self.user and self.sender != self.user and "spoof" not in self.faults:
            if "spoof-4xx" in self.faults:
                self.send("450 4.7.1 Sender address rejected")
            elif "spoof-other" in self.faults:
                self.send("550 5.1.0 no")
            else:
                self.send("553 5.7.1 Sender address rejected: not owned by user")
        elif "refuses-all" in self.faults:
            self.send("554 5.7.1 Service unavailable; client host blocked")
        elif here and (address in PASSWORDS or "catch-all" in self.faults):
            self._take(address)
        elif here:
            code = "550 5.7.0" if "odd-code" in self.faults else "550 5.1.1"
            self.send(f"{code} <{address}>: Recipient address rejected")
        elif (
            (self.user and "@" in address)
            or "open-relay" in self.faults
            or ("percent-hack" in self.faults and "%" in address)
        ):
            self._take(address)
        else:
            self.send("554 5.7.1 Relay access denied")

    def _take(self, address: str) -> None:
        self.recipients = [*self.recipients, address]
        self.send("250 2.1.5 Ok")

    def _data(self) -> None:
        if "data-refused" in self.faults:
            self.send("554 5.6.0 no such content here")
            return
        self.send("354 go on")
        lines = []
        while (line := self._raw_line()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        text = b"".join(lines)
        if "data-4xx" in self.faults:
            self.send("451 4.3.0 queue file write error")
            return
        for recipient in self.recipients:
            self._deliver(recipient, text)
        self.send("250 2.0.0 Ok: queued as 4F00BA")

    def _raw_line(self) -> bytes:
        while b"\n" not in self.buffer:
            self.buffer += self.sock.recv(65536)
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def _deliver(self, recipient: str, text: bytes) -> None:
        there = FQDNS[DOMAINS[recipient.rpartition("@")[2]]]
        login = "ESMTPA" if "clear-submission" in self.faults else "ESMTPSA"
        transfer = "ESMTP" if "clear-hop" in self.faults else "ESMTPS"
        source = "10.9.9.9" if "other-address" in self.faults else self.address
        helo = "localhost" if "other-helo" in self.faults else self.fqdn
        relay = (
            "relay.elsewhere.test (relay [10.8.8.8])"
            if "other-relay" in self.faults
            else f"{helo} ({helo} [{source}])"
        )
        received = [f"from {there} by {there} with LMTP id x; date"]
        if there != self.fqdn and "missing-hop" not in self.faults:
            comment = "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))"
            received.append(
                f"from {relay}\r\n\t{comment}\r\n\tby {there} (Postfix) with {transfer} id y\r\n\tfor "
                "<z>; date"
            )
        if "no-submission-hop" not in self.faults:
            received.append(
                f"from [127.0.0.9] (unknown [127.0.0.9])\r\n\tby {self.fqdn} (Postfix) with {login} id z; "
                "date"
            )
        if "alters-body" in self.faults:
            text = text.replace(b"\r\nFrom here", b"\r\n>From here")
        whole = "".join(f"Received: {item}\r\n" for item in received).encode() + text
        copies = 0 if "loses-mail" in self.faults else 2 if "doubles-mail" in self.faults else 1
        with self.world.lock:
            self.world.boxes[recipient] += [whole] * copies


class Imap(Session):
    deleted: ClassVar[set[int]] = set()

    def greet(self) -> None:
        if "preauth" in self.faults:
            self.send("* PREAUTH ready, nobody needs a password")
        elif "bye" in self.faults:
            self.send("* BYE too busy")
        else:
            self.send("* OK ready")

    def handle(self, line: str) -> None:
        tag, _, rest = line.partition(" ")
        verb, _, rest = rest.partition(" ")
        if verb == "UID":
            sub, _, rest = rest.partition(" ")
            verb += sub
        getattr(self, "_" + verb.lower(), self._unknown)(tag, rest)

    def _unknown(self, tag: str, rest: str) -> None:
        self.send(f"{tag} BAD no")

    def _capability(self, tag: str, rest: str) -> None:
        words = ["IMAP4rev1"] if "no-imap4" not in self.faults else []
        words += [] if "no-uidplus" in self.faults else ["UIDPLUS"]
        if self.port.tls is TlsStart.UPGRADE and (not self.tls or "starttls-twice" in self.faults):
            words += [] if "no-starttls" in self.faults else ["STARTTLS"]
        if self.tls or "clear-auth" in self.faults:
            words.append("AUTH=PLAIN")
        else:
            words.append("LOGINDISABLED")
        self.send("* CAPABILITY " + " ".join(words), f"{tag} OK done")

    def _starttls(self, tag: str, rest: str) -> None:
        if "starttls-refused" in self.faults:
            self.send(f"{tag} NO not now")
            return
        injected = ["* OK injected"] if "injected" in self.faults else []
        self.send(f"{tag} OK begin", *injected)
        self.start_tls()

    def _login(self, tag: str, rest: str) -> None:
        if not self.tls and not {"clear-auth", "looks-in-clear"} & self.faults:
            self.send(
                f"{tag} NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure connections."
            )
            return
        parts: list[str] = []
        while match := re.search(r"\{(\d+)\}$", rest):
            self.send("+ go on")
            parts.append(self.exactly(int(match[1])).decode())
            rest = self.line()
        if not parts:
            parts = [re.sub(r"\\(.)", r"\1", item) for item in re.findall(r'"((?:[^"\\]|\\.)*)"', rest)]
        answer = self.check(*parts)
        if answer == "later":
            self.send(f"{tag} NO [UNAVAILABLE] Temporary authentication failure.")
        elif answer == "yes":
            self.send(f"{tag} OK Logged in")
        else:
            self.send(f"{tag} NO [AUTHENTICATIONFAILED] no: {parts[1]}")

    def _select(self, tag: str, rest: str) -> None:
        self.folder = rest.strip('"')
        if "auth-does-nothing" in self.faults:
            self.send(f"{tag} NO no mailbox")
        else:
            self.send(f"* {len(self.box())} EXISTS", f"{tag} OK selected")

    def _list(self, tag: str, rest: str) -> None:
        self.send('* LIST (\\HasNoChildren) "/" INBOX', '* LIST (\\Junk) "/" "Junk Mail"', f"{tag} OK done")

    def _uidsearch(self, tag: str, rest: str) -> None:
        found = []
        if rest == "DELETED":
            found = [99] if "others-deleted" in self.faults else []
        elif (self.folder == "Junk Mail") == ("into-junk" in self.faults):
            name, token = rest.split()[1:]
            mark = f"\r\n{name}: {token}\r\n".encode()
            found = [i for i, text in enumerate(self.box(), 1) if mark in text]
        self.send("* SEARCH " + " ".join(map(str, found)), f"{tag} OK done")

    def _uidfetch(self, tag: str, rest: str) -> None:
        uid = int(rest.split(maxsplit=1)[0])
        text = self.box()[uid - 1]
        if "other-bytes-143" in self.faults and self.port.number == 143:
            text = text.replace(b"Subject: ", b"Subject:  ")
        self.sock.sendall(f"* {uid} FETCH (UID {uid} BODY[] {{{len(text)}}}\r\n".encode() + text + b")\r\n")
        self.send(f"{tag} OK done")

    def _uidstore(self, tag: str, rest: str) -> None:
        self.deleted = {int(uid) for uid in rest.split(maxsplit=1)[0].split(",")}
        self.send(f"{tag} NO read only" if "read-only" in self.faults else f"{tag} OK done")

    def _expunge(self, tag: str, rest: str) -> None:
        with self.world.lock:
            self.world.boxes[self.user] = [
                b"" if i in self.deleted else text for i, text in enumerate(self.box(), 1)
            ]
        self.send(f"{tag} OK done")

    _uidexpunge = _expunge


class Pop(Session):
    name = ""

    def greet(self) -> None:
        self.send("-ERR [SYS/TEMP] too busy" if "bye" in self.faults else "+OK ready")

    def handle(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        getattr(self, "_" + verb.lower(), self._unknown)(rest)

    def _unknown(self, rest: str) -> None:
        self.send("-ERR no")

    def _capa(self, rest: str) -> None:
        if "no-capa" in self.faults:
            self.send("-ERR no")
            return
        words = ["TOP"] if "no-uidl" in self.faults else ["TOP", "UIDL"]
        if self.port.tls is TlsStart.UPGRADE and (not self.tls or "starttls-twice" in self.faults):
            words += [] if "no-starttls" in self.faults else ["STLS"]
        if self.tls or "clear-auth" in self.faults:
            words += ["USER", "SASL PLAIN"]
        else:
            words.append("SASL")
        self.send("+OK", *words, ".")

    def _stls(self, rest: str) -> None:
        if "starttls-refused" in self.faults:
            self.send("-ERR not now")
            return
        injected = ["+OK injected"] if "injected" in self.faults else []
        self.send("+OK begin", *injected)
        self.start_tls()

    def _user(self, rest: str) -> None:
        if not self.tls and not {"clear-auth", "looks-in-clear"} & self.faults:
            self.send("-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
        else:
            self.name = rest
            self.send("+OK")

    def _pass(self, rest: str) -> None:
        answer = self.check(self.name, rest)
        said = {
            "later": "-ERR [SYS/TEMP] Temporary",
            "yes": "+OK Logged in.",
            "no": f"-ERR [AUTH] no: {rest}",
        }
        self.send(said[answer])

    def _stat(self, rest: str) -> None:
        self.send("-ERR no" if "auth-does-nothing" in self.faults else f"+OK {len(self.box())} 1")

    def _uidl(self, rest: str) -> None:
        texts = [] if "pop-empty" in self.faults else self.box()
        texts = [*texts, b""] if "pop-removed-meanwhile" in self.faults else texts
        self.send("+OK", *(f"{i} uid-{i}" for i, _ in enumerate(texts, 1)), ".")

    def _body(self, text: bytes) -> None:
        stuffed = text if "pop-unstuffed" in self.faults else re.sub(rb"(?m)^\.", b"..", text)
        self.sock.sendall(b"+OK\r\n" + stuffed + b".\r\n")

    def _top(self, rest: str) -> None:
        if int(rest.split(maxsplit=1)[0]) > len(self.box()):
            self.send("-ERR Message expunged.")
            return
        self._body(self.box()[int(rest.split(maxsplit=1)[0]) - 1].partition(b"\r\n\r\n")[0] + b"\r\n\r\n")

    def _retr(self, rest: str) -> None:
        text = self.box()[int(rest) - 1]
        if "other-bytes-pop" in self.faults:
            text = text.replace(b"blanks at the end:   ", b"blanks at the end:")
        self._body(text)
