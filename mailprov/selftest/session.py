"""One scripted connection, whatever its protocol: the socket, TLS, and who may log in."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

from mailprov.model.ports import Port, Protocol, TlsStart
from mailprov.selftest.certificates import KINDS
from mailprov.selftest.handshakes import answered
from mailprov.selftest.state import FQDNS, MAIL_NAMES, PASSWORDS, State


class Gone(Exception):
    """The client has gone, or the script says to hang up."""


class Session:
    """One connection. Subclasses say `greet` and `handle`."""

    def __init__(self, world: State, sock: socket.socket, address: str, port: Port) -> None:
        self.world, self.sock, self.address, self.port = world, sock, address, port
        self.faults = world.faults_of(address)
        self.fqdn = FQDNS[address]
        self.tls = False
        self.user = ""
        self.buffer = b""

    def run(self) -> None:
        try:
            with contextlib.suppress(OSError, Gone, ssl.SSLError):
                self._serve()
        finally:
            # The socket of now, which is another one under TLS; the context, which knows `_choose`, outlives us.
            self.sock.close()
            if self.user and self.port.protocol is not Protocol.SMTP:
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
        if answered(self.sock, self.faults):
            raise Gone
        kind = self.world.certificate
        if "other-certificate-on-993" in self.faults and self.port.number == 993:
            kind += "-again"
        context = self.world.authority.context(self.fqdn, kind)
        if "sni-takes-over" in self.faults:
            context = self.world.authority.context(MAIL_NAMES[self.fqdn], kind)
        context.sni_callback = self._choose
        slipped_in = self.buffer  # behind STARTTLS, in clear
        if slipped_in and "breaks-off-slipped" in self.faults:
            raise Gone
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.tls, self.buffer = True, slipped_in if "obeys-slipped" in self.faults else b""

    @property
    def more_mechanisms(self) -> str:
        words = {"offers-cram-md5": "CRAM-MD5", "offers-anonymous": "ANONYMOUS"}
        return "".join(f" {name}" for word, name in words.items() if word in self.faults)

    def _choose(self, sock: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        """The certificate for who asks for a domain's own name (RFC 6066 section 3)."""
        if name != MAIL_NAMES[self.fqdn] or "no-sni" in self.faults:
            return
        kind = next(
            (word[4:] for word in self.faults if word.startswith("sni-") and word[4:] in KINDS), "right"
        )
        sock.context = self.world.authority.context(name, kind)

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
            chunk = self.sock.recv(65536)
            if not chunk:
                raise Gone
            self.buffer += chunk
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def check(self, user: str, password: str) -> str:
        """`yes`, `no` or `later`."""
        with self.world.lock:
            self.world.attempts.append((user, password))
        if "penalty" in self.faults and self._penalty(user, password):
            return "later"
        if "auth-later" in self.faults:
            return "later"
        if "nobody-gets-in" in self.faults:
            return "no"
        if "system-users" in self.faults:  # who logs in by the name alone
            user = next((known for known in PASSWORDS if known.partition("@")[0] == user), "")
        if "anybody-gets-in" in self.faults or self._may(user, password):
            self.user = user
            if self.port.protocol is not Protocol.SMTP:
                self._count(self.world.now_sessions, self.world.most_sessions, user, 1)
                if "slow-login" in self.faults:  # until four are here; then a fifth would be seen
                    self._wait_for(self.world.most_sessions, user, 4)
                    time.sleep(0.2)
            return "yes"
        if "refuses-late" in self.faults:
            self._count({}, self.world.early_guesses, self.address, not self.world.looked.is_set())
            self.world.looked.wait(60)
        self._count(self.world.now_wrong, self.world.most_wrong, self.address, 1)
        if "waits-for-another" in self.faults:
            self._wait_for(self.world.most_wrong, self.address, 2)
        time.sleep(0.01)  # as Dovecot does, only shorter
        self._count(self.world.now_wrong, {}, self.address, -1)
        return "no"

    def _may(self, user: str, password: str) -> bool:
        if user in self.world.shut and "lets-shut-in" not in self.faults:
            return False
        programs = self.world.programs.get((user, password), set())
        if programs and "programs-anywhere" in self.faults:
            return True
        for_this = self.port.protocol in programs and "programs-nowhere" not in self.faults
        return for_this or PASSWORDS.get(user) == password or self._nearly(user, password)

    def _nearly(self, user: str, password: str) -> bool:
        """What only a broken password store takes."""
        right = PASSWORDS.get(user, "")
        locals_ = {address.partition("@")[0]: word for address, word in PASSWORDS.items()}
        return (
            ("cuts-passwords" in self.faults and bool(right) and right[:8] == password[:8])
            or ("takes-any-case" in self.faults and bool(right) and right.lower() == password.lower())
            or ("takes-empty" in self.faults and bool(right) and not password)
            or ("takes-any-domain" in self.faults and locals_.get(user.partition("@")[0]) == password)
        )

    @staticmethod
    def _wait_for(most: dict[str, int], key: str, number: int) -> None:
        """Until there have been so many at once; a machine that does not hang has them long before the end."""
        latest = time.monotonic() + 300
        while most.get(key, 0) < number and time.monotonic() < latest:
            time.sleep(0.01)

    def _penalty(self, user: str, password: str) -> bool:
        """Dovecot's: who has guessed waits before the next try is looked at; a right password forgives, and what was
        wrong before counts no second time. True: the SMTP server would not wait so long. A password store that takes
        its time (PAM) has counted a wrong one late: `counts-late`."""
        right, pair = PASSWORDS.get(user) == password, (self.address, user, password)
        with self.world.lock:
            waits = self.world.guessed.get(self.address, 0) and pair not in self.world.known_wrong
            if waits:
                self.world.penalties.append(self.address)
        if waits:
            time.sleep(0.1)
            if self.port.protocol is Protocol.SMTP:
                return True
        if not right and "counts-late" in self.faults:
            time.sleep(0.4)
        with self.world.lock:
            if right:
                self.world.guessed[self.address] = 0
            elif pair not in self.world.known_wrong:
                self.world.guessed[self.address] = self.world.guessed.get(self.address, 0) + 1
                self.world.known_wrong.add(pair)
        return False

    def greet(self) -> None:
        raise NotImplementedError

    def handle(self, line: str) -> None:
        raise NotImplementedError

    def box(self) -> list[bytes]:
        return self.world.boxes[self.user]
