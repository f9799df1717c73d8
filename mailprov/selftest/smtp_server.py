"""A scripted SMTP server: takes mail, and puts it into the other host's mailbox with the Received fields of a
real way.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from mailprov.model.ports import TlsStart
from mailprov.selftest.completion import completed
from mailprov.selftest.delivery_reports import about
from mailprov.selftest.session import Gone, Session
from mailprov.selftest.signer import signed_and_checked
from mailprov.selftest.state import DOMAINS, FQDNS, PASSWORDS


class Smtp(Session):
    sender = ""
    recipients: Sequence[str] = ()
    envelope = ""
    size = 0
    notified: Sequence[str] = ()  # recipients whose sender wants to be told that it arrived
    trusted = False  # it takes us for somebody of its own network
    hello = False

    def greet(self) -> None:
        if self._dies and (self.address, self.port.number) in self.world.dead:
            while self.sock.recv(1000):
                pass
            raise Gone
        if "banner-554" in self.faults:
            self.send("554 5.3.2 not today")
        elif "banner-421" in self.faults:
            self.send("421 4.3.2 Connection rate limit exceeded.")
            raise Gone
        elif "banner-stars" in self.faults:
            self.send("220 ****************")
        elif "banner-name" in self.faults:
            self.send("220 localhost ESMTP")
        elif "banner-version" in self.faults:
            self.send(f"220 {self.fqdn} ESMTP Postfix 3.7.11")
        else:
            self.send(f"220-{self.fqdn} ESMTP", f"220 {self.fqdn} ready")

    @property
    def _dies(self) -> bool:
        """Whether it ends itself once somebody speaks under TLS, and greets nobody from then on."""
        return "submission-dies" in self.faults and self.port.number != 25

    def handle(self, line: str) -> None:
        if self._dies and self.tls:
            self.world.dead.add((self.address, self.port.number))
            raise Gone
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if verb == "EHLO":
            self.hello = True
            self.send(*self._hello())
        elif verb == "PROXY" and "obeys-proxy" in self.faults:
            self.trusted = True
        elif verb in {"XCLIENT", "XFORWARD"} and f"obeys-{verb.lower()}" in self.faults:
            self.trusted = self.trusted or verb == "XCLIENT"
            self.send("220 mx ESMTP" if verb == "XCLIENT" else "250 2.0.0 Ok")
        elif verb in {"XCLIENT", "XFORWARD"} and "xclient-4xx" in self.faults:
            self.send("421 4.3.0 not now")
        elif verb == "NOOP":
            self.send("250 2.0.0 Ok")
        elif verb == "STARTTLS":
            self._upgrade()
        elif verb == "AUTH":
            self._auth(rest)
        elif verb in {"MAIL", "RCPT"}:
            getattr(self, "_" + verb.lower())(rest)
        elif verb == "DATA":
            self._data()
        elif verb in {"VRFY", "EXPN"}:
            self.world.looked.set()
            self.send(self._vrfy(verb, rest))
        elif verb == "QUIT":
            self.send("221 2.0.0 Bye")
            raise Gone
        elif verb == "RSET":
            self.sender, self.recipients = "", ()
            self.send("250 2.0.0 Ok")
        else:
            self.send("502 5.5.2 no")

    def _vrfy(self, verb: str, name: str) -> str:
        known = name in PASSWORDS
        if "vrfy-4xx" in self.faults:
            return "450 4.3.0 not now"
        if known and "tells-users" in self.faults:
            return f"250 2.1.5 <{name}>"
        if verb == "VRFY" and "vrfy-as-packaged" in self.faults:  # Postfix without disable_vrfy_command
            return (
                f"252 2.0.0 {name}" if known else f"550 5.1.1 <{name}>: User unknown in local recipient table"
            )
        return "502 5.5.1 no"

    def _hello(self) -> list[str]:
        words = [self.fqdn, "PIPELINING", "ENHANCEDSTATUSCODES"]
        if "no-size" not in self.faults:
            words.append(f"SIZE {self._largest}")
        if "no-8bitmime" not in self.faults:
            words.append("8BITMIME")
        if "no-dsn" not in self.faults:
            words.append("DSN")
        may_tls = self.port.tls is TlsStart.UPGRADE and "no-starttls" not in self.faults
        if may_tls and (not self.tls or "starttls-twice" in self.faults):
            words.append("STARTTLS")
        if self.port.login and "no-auth" not in self.faults and (self.tls or "clear-auth" in self.faults):
            words.append(f"AUTH PLAIN LOGIN{self.more_mechanisms}")
        if self.port.number == 25 and self.tls and "auth-on-25" in self.faults:
            words.append("AUTH PLAIN")
        if "xclient" in self.faults:
            words.append("XCLIENT NAME ADDR")
        return [f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]

    @property
    def _largest(self) -> int:
        """What it says; the inventory's unless a fault says otherwise."""
        others = {"size-small": 10_240_000, "size-large": 104_857_600, "size-unlimited": 0}
        return next((others[word] for word in self.faults & set(others)), 50 * 2**20)

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
        if "refuses-alike" in self.faults and not self.tls:
            self.send("535 Authentication rejected")
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
        self.envelope = found[1] if (found := re.search(r" ENVID=(\S+)", rest)) else ""
        size = self.size = int(found[1]) if (found := re.search(r" SIZE=(\d+)", rest)) else 0
        if not self.hello and "needs-no-helo" not in self.faults:
            self.send("503 5.5.1 Error: send HELO/EHLO first")
        elif "sender-4xx" in self.faults:
            self.send("450 4.1.8 try again")
        elif not self.sender and "no-null-sender" in self.faults:
            self.send("550 5.7.1 Sender address rejected: empty sender")
        elif size and ("size-full" in self.faults or ("size-4xx" in self.faults and size > self._largest)):
            self.send("452 4.3.1 Insufficient system storage")
        elif size and "size-refused" in self.faults:
            self.send("552 5.3.4 Message size exceeds fixed limit")
        elif size and "size-login" in self.faults:
            self.send("530 5.7.0 Authentication required")
        elif size > self._largest and "size-unheeded" not in self.faults:
            self.send("552 5.3.4 Message size exceeds fixed limit")
        elif "auth-does-nothing" in self.faults and self.user:
            self.send("530 5.7.0 log in first")
        else:
            self.send("250 2.1.0 Ok")

    def _rcpt(self, rest: str) -> None:
        path, __, words = rest.partition(":")[2].partition("> ")
        address = path.strip("<>").lower()
        if "NOTIFY=SUCCESS" in words:
            self.notified = [*self.notified, address]
        domain = address.rpartition("@")[2]
        here = DOMAINS.get(domain) == self.address
        role = address.partition("@")[0] if domain in {"", *DOMAINS} or "@" not in address else ""
        if self.port.login and not self.user and "open-relay" not in self.faults and not self.trusted:
            self.send("554 5.7.1 Client host rejected: Access denied")
        elif "rcpt-4xx" in self.faults and (address.startswith("nobody-") or "all-4xx" in self.faults):
            self.send("450 4.7.1 come back later")
        elif (
            self.user
            and self.sender != self.user
            and not (
                "spoof" in self.faults
                or ("spoof-foreign" in self.faults and self.sender.endswith("@example.invalid"))
            )
        ):
            if "spoof-4xx" in self.faults:
                self.send("450 4.7.1 Sender address rejected")
            elif "spoof-other" in self.faults:
                self.send("550 5.1.0 no")
            else:
                self.send("553 5.7.1 Sender address rejected: not owned by user")
        elif address in self.world.deaf and "takes-for-deaf" not in self.faults:
            code = next(
                (f"{word[5:8]} {word[9:]}" for word in self.faults if word.startswith("deaf-")), "550 5.2.1"
            )
            self.send(f"{code} <{address}>: Recipient address rejected: mailbox disabled")
        elif "refuses-all" in self.faults:
            self.send("554 5.7.1 Service unavailable; client host blocked")
        elif role in {"postmaster", "abuse"} and (here or "@" not in address) and not self.user:
            gone = {"no-postmaster": "postmaster@", "no-abuse": "abuse@", "no-bare-postmaster": "postmaster"}
            refused = [each for word, each in gone.items() if word in self.faults]
            if any(address == each or (each.endswith("@") and address.startswith(each)) for each in refused):
                self.send(f"550 5.1.1 <{address}>: Recipient address rejected")
            else:
                self.send("250 2.1.5 Ok")
        elif "address-4xx" in self.faults and self.user and address not in PASSWORDS:
            self.send("451 4.3.0 <x>: Temporary lookup failure")
        elif self._full(address):
            code = "550 5.7.1" if "quota-odd-code" in self.faults else "552 5.2.2"
            self.send(f"{code} <{address}>: Recipient address rejected: Mailbox is full")
        elif here and (self.world.ends(address, self.faults) or "catch-all" in self.faults):
            self._take(address)
        elif here:
            code = "550 5.7.0" if "odd-code" in self.faults else "550 5.1.1"
            self.send(f"{code} <{address}>: Recipient address rejected")
        elif (
            (self.user and "@" in address and not {"no-relay-for-users", "no-such-domain"} & self.faults)
            or self.trusted
            or "open-relay" in self.faults
            or ("percent-hack" in self.faults and "%" in address)
        ):
            self._take(address)
        elif self.user and "no-such-domain" in self.faults:
            self.send(f"450 4.1.2 <{address}>: Recipient address rejected: Domain not found")
        elif "defers-relay" in self.faults:
            self.send("454 4.7.1 Relay access denied")
        else:
            self.send("554 5.7.1 Relay access denied")

    def _full(self, address: str) -> bool:
        if "quota-sticks" in self.faults and address in self.world.emptied:
            return True
        if "quota-refuses-all" in self.faults and address in self.world.limits:
            return True
        late = {"quota-late", "quota-loses", "quota-stores"} & self.faults
        return self.world.over(address, self.size) and not late

    def _take(self, address: str) -> None:
        self.recipients = [*self.recipients, address]
        self.send("250 2.1.5 Ok")

    def _data(self) -> None:
        if "data-refused" in self.faults:
            self.send("554 5.6.0 no such content here")
            return
        if self.buffer and "sent-ahead" not in self.faults and "smuggles" not in self.faults:
            self.send("554 5.5.0 Error: SMTP protocol synchronization")
            raise Gone
        self.send("354 go on")
        lines = [b"\r\n"]
        while not self._is_end(line := self._raw_line(), lines[-1]):
            lines.append(line[1:] if line.startswith(b".") else line)
        before = lines[-1]
        del lines[0]
        text = b"".join(lines)
        if "data-4xx" in self.faults:
            self.send("451 4.3.0 queue file write error")
            return
        if refusal := self._refusal(text):
            self.send(refusal)
            return
        if self.user and "adds-no-header" not in self.faults:
            text = completed(text)
        if self.user and "bcc-visible" not in self.faults:
            text = re.sub(rb"(?mi)^Bcc: [^\r]*\r\n", b"", text, count=1)
        if "attachment-altered" in self.faults:
            text = text.replace(b"AAECAwQFBgcI", b"AAECAwQFBgcJ")
        for recipient in self.recipients:
            found = self.world.ends(recipient, self.faults)
            if self.world.over(recipient, len(text)) and "quota-stores" not in self.faults:
                if "quota-loses" not in self.faults:
                    self._report(recipient, False, text)
                continue
            for mailbox in found or ([recipient] if recipient in PASSWORDS else []):
                self._deliver(mailbox, text)
            if "no-reports" not in self.faults and (
                not found or recipient in self.notified or "returns-all" in self.faults
            ):
                self._report(recipient, bool(found), text)
        self.notified = ()
        self.send("250 2.0.0 Ok: queued as 4F00BA")
        if "smuggles-late" in self.faults and not _ends(line, before):
            self._hand_on()
        self.recipients = []

    def _report(self, recipient: str, arrived: bool, text: bytes) -> None:
        """To the sender, where that is one of the users."""
        report = about(recipient, arrived, self.envelope, text.partition(b"\r\n\r\n")[0], self.faults)
        if self.sender in PASSWORDS:
            with self.world.lock:
                self.world.boxes[self.sender] += [report] * (2 if "reports-twice" in self.faults else 1)

    def _refusal(self, text: bytes) -> str:
        """What a filter says to spam and forgeries."""
        author = re.search(rb"(?m)^From: <([^>]*)>", text)
        name = author[1].decode() if author else ""
        if b"GTUBE-STANDARD" in text and "spam-4xx" in self.faults:
            return "451 4.7.1 later"
        if b"GTUBE-STANDARD" in text and "spam-to-inbox" not in self.faults:
            return "554 5.7.1 Gtube pattern"
        own = DOMAINS.get(name.rpartition("@")[2]) == self.address
        if own and not self.user and "forgeries-to-inbox" not in self.faults:
            return "550 5.7.1 forged"
        if self.user and own and name != self.user and not {"from-of-others", "spoof"} & self.faults:
            return f"550 5.7.1 From: <{name}> is not an address of the user"
        return ""

    def _hand_on(self) -> None:
        """The server behind this one obeys what follows: nobody here is answered, and it takes its time."""
        while self._raw_line().strip() != b"DATA":
            pass
        lines = []
        while (line := self._raw_line()) != b".\r\n":
            lines.append(line)
        with self.world.lock:
            self.world.queued += [(recipient, b"".join(lines)) for recipient in self.recipients]

    def _is_end(self, line: bytes, before: bytes) -> bool:
        if {"smuggles", "smuggles-late"} & self.faults:
            return line in {b".\n", b".\r\n"}
        return _ends(line, before)

    def _raw_line(self) -> bytes:
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise Gone
            self.buffer += data
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
        device = f"[{self.sock.getpeername()[0]}]" if "shows-device" in self.faults else "[127.0.0.9]"
        received = [f"from {there} by {there} with LMTP id x; date"]
        if there != self.fqdn and "missing-hop" not in self.faults:
            comment = "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))"
            received.append(
                f"from {relay}\r\n\t{comment}\r\n\tby {there} (Postfix) with {transfer} id y\r\n\tfor "
                "<z>; date"
            )
        if "no-submission-hop" not in self.faults:
            if "roundabout" in self.faults:
                received.append(f"from {self.fqdn} by relay.elsewhere.test with ESMTPS id v; date")
            received.append(
                f"from {device} (unknown {device})\r\n\tby {self.fqdn} (Postfix) with {login} id z; date"
            )
        text = signed_and_checked(text, there, self.faults, own=bool(self.user))
        if "alters-body" in self.faults:
            text = text.replace(b"\r\nFrom here", b"\r\n>From here")
        if "adds-disclaimer" in self.faults:
            text += b"This message is confidential.\r\n"
        whole = "".join(f"Received: {item}\r\n" for item in received).encode() + text
        with self.world.lock:
            lost = "loses-mail" in self.faults | self.world.faults
            if "loses-repeats" in self.faults:
                self.world.faults |= {"loses-mail"}
            copies = 0 if lost else 2 if "doubles-mail" in self.faults else 1
            self.world.boxes[recipient] += [whole] * copies


def _ends(line: bytes, before: bytes) -> bool:
    return line == b".\r\n" and before.endswith(b"\r\n")
