"""A scripted ManageSieve server (RFC 5804)."""

from __future__ import annotations

import base64
import re

from mailprov.selftest.session import Gone, Session


class Sieve(Session):
    def greet(self) -> None:
        if "bye" in self.faults:
            self.send('BYE "too busy"')
            return
        # As a literal, which a client must be able to read, too.
        self.send('"IMPLEMENTATION" {8}', "Scripted", '"SIEVE" "fileinto reject"')
        if (self.tls and "no-auth" not in self.faults) or "clear-auth" in self.faults:
            self.send(f'"SASL" "PLAIN{self.more_mechanisms}"')
        else:
            self.send('"SASL" ""')
        if (not self.tls and "no-starttls" not in self.faults) or (
            self.tls and "starttls-twice" in self.faults
        ):
            self.send('"STARTTLS"')
        self.send('"VERSION" "1.0"', 'OK "ready"')

    def handle(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        getattr(self, "_" + verb.lower(), self._unknown)(rest)

    def _unknown(self, rest: str) -> None:
        self.send('NO "no"')

    def _noop(self, rest: str) -> None:
        self.send(f'OK (TAG {rest}) "done"' if rest else 'OK "done"')

    def _logout(self, rest: str) -> None:
        self.send('OK "bye"')
        raise Gone

    def _starttls(self, rest: str) -> None:
        if "starttls-refused" in self.faults:
            self.send('NO "not now"')
            return
        self.send('OK "begin"', *(['"injected"'] if "injected" in self.faults else []))
        self.start_tls()
        self.greet()

    def _authenticate(self, rest: str) -> None:
        if not self.tls and not {"clear-auth", "looks-in-clear"} & self.faults:
            self.send('NO "Plaintext authentication disallowed on non-secure (SSL/TLS) connections."')
            return
        match = re.fullmatch(r'"PLAIN" "(\S+)"', rest)
        assert match
        answer = self.check(*base64.b64decode(match[1]).decode().split("\0")[1:])
        said = {
            "later": 'NO (TRYLATER) "later"',
            "yes": 'OK "Logged in."',
            "no": 'NO "Authentication failed."',
        }
        self.send(said[answer])

    def _listscripts(self, rest: str) -> None:
        self.send('NO "no"' if "auth-does-nothing" in self.faults else 'OK "done"')
