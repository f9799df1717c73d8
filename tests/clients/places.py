"""A host, the domain whose mail it has, and what is asked there. LONG: every case is tried (`make test-clients`)."""

from __future__ import annotations

import email
import email.policy
import imaplib
import os
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from mailprov import lab
from tests.lab.labs import run_on, wait_until
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

    def trusting(self) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(self.authority))
        made.check_hostname = False  # it is reached by address
        return made

    @contextmanager
    def imap(self, user: str) -> Iterator[imaplib.IMAP4_SSL]:
        """A session, logged in."""
        with imaplib.IMAP4_SSL(self.address, 993, timeout=60, ssl_context=self.trusting()) as client:
            client.login(self.of(user), self.password(user))
            yield client

    def deliver(self, sender: str, recipient: str, subject: str, text: str) -> None:
        """One user's message to another one, by way of port 465; returns when it is in the INBOX."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.of(sender), self.of(recipient), subject
        message.set_content(text)
        with smtplib.SMTP_SSL(self.address, 465, timeout=120, context=self.trusting()) as client:
            client.login(self.of(sender), self.password(sender))
            client.send_message(message)
        self.waits(recipient, "INBOX", subject)

    def waits(self, user: str, folder: str, subject: str) -> EmailMessage:
        """The one message with this subject, as it lies on the server, once it is there."""
        found: list[EmailMessage] = []

        def look() -> bool:
            found[:] = [each for each in self.stored(user, folder) if each["Subject"] == subject]
            return bool(found)

        wait_until(look, f"{subject!r} is in {folder} of {user}")
        (one,) = found
        return one

    def stored(self, user: str, folder: str) -> list[EmailMessage]:
        with self.imap(user) as client:
            if client.select(folder, readonly=True)[0] != "OK":
                return []
            numbers = ",".join(client.search(None, "ALL")[1][0].decode().split())
            parts = client.fetch(numbers, "(BODY.PEEK[])")[1] if numbers else []
        texts = [part[1] for part in parts if isinstance(part, tuple)]
        return [email.message_from_bytes(text, policy=email.policy.default) for text in texts]

    @contextmanager
    def served_otherwise(self, file: str, script: str) -> Iterator[None]:
        """While it lasts the file of the web corner is what sed has made of it."""
        path = f"/etc/mailprov/web/sites/{self.domain}/{file}"
        self.run(f"cp -a {path} /root/before && sed -i '{script}' {path} && ! cmp -s {path} /root/before")
        try:
            yield
        finally:
            self.run(f"cp -a /root/before {path}")
