"""A host, the domain whose mail it has, and what is asked there. LONG: every case is tried (`make test-clients`)."""

from __future__ import annotations

import imaplib
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailprov import lab
from tests.lab.labs import run_on
from tests.lab.post import password

LONG = os.environ.get("MAILPROV_CLIENTS") == "long"


@dataclass(frozen=True)
class Place:
    lab: lab.Lab
    host: str
    domain: str

    @property
    def name(self) -> str:
        """By which programs connect to it."""
        return f"{self.host}.{self.domain}"

    @property
    def address(self) -> str:
        return self.lab.host(self.host).address

    @property
    def dns(self) -> str:
        return self.lab.dns.address

    @property
    def authority(self) -> Path:
        """What a program must trust here, as it trusts public authorities elsewhere."""
        return self.lab.directory / "acme-ca.pem"

    def of(self, user: str) -> str:
        return f"{user}@{self.domain}"

    def password(self, user: str) -> str:
        return password(self.lab, self.of(user))

    def run(self, command: str) -> str:
        return run_on(self.lab, self.host, command)

    def asked(self) -> list[str]:
        """What the web server's log has, oldest first."""
        return self.run("journalctl -t nginx --no-pager -o cat").splitlines()

    @contextmanager
    def imap(self, user: str) -> Iterator[imaplib.IMAP4_SSL]:
        """A session, logged in."""
        trusting = ssl.create_default_context(cafile=str(self.authority))
        trusting.check_hostname = False  # it is reached by address
        with imaplib.IMAP4_SSL(self.address, 993, timeout=60, ssl_context=trusting) as client:
            client.login(self.of(user), self.password(user))
            yield client

    @contextmanager
    def served_otherwise(self, file: str, script: str) -> Iterator[None]:
        """While it lasts the file of the web corner is what sed has made of it."""
        path = f"/etc/mailprov/web/sites/{self.domain}/{file}"
        self.run(f"cp -a {path} /root/before && sed -i '{script}' {path} && ! cmp -s {path} /root/before")
        try:
            yield
        finally:
            self.run(f"cp -a /root/before {path}")
