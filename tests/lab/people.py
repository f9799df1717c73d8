"""Accounts of every kind on one host, and whether each can do what it may: for releases and upgrades.

    accounts(user, key)   the lines of an inventory's `accounts`; `user` is the one with a shell, by this public key
    People                .works() looks at all of them; .chooses(new) is a user's own change of a password

`own` owns the password, `ana` has one for her phone besides, `idle` is suspended, `deaf` gets no mail.
"""

from __future__ import annotations

import imaplib
import subprocess
from pathlib import Path

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on

TIMEOUT = 120.0
_ACCOUNTS = """\
      ana: {{password: {{env: P}}, quota: 20M, app_passwords: {{phone: {{env: P, protocols: [imap]}}}}}}
      own: {{password: {{initial: {{env: P}}, owner: user}}}}
      idle: {{password: {{env: P}}, state: suspended}}
      deaf: {{password: {{env: P}}, state: no-receive}}
      {user}: {{password: {{env: P}}, shell: {{keys: ["{key}"]}}}}
"""
# Says lines to the socket where passwords are changed, and prints the last answer.
_CHANGE = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(120)
    connection.connect("/run/mailprov-passwd/socket")
    lines = connection.makefile("rwb", buffering=0)
    answer = lines.readline()
    for line in sys.stdin.buffer.read().splitlines():
        lines.write(line + b"\\r\\n")
        answer = lines.readline()
    print(answer.decode())
"""


def accounts(user: str, key: Path) -> str:
    """`key`: a private key, whose public half lies beside it; it is made."""
    if not key.exists():
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", user, "-f", str(key)]
        subprocess.run(made, check=True)
    return _ACCOUNTS.format(user=user, key=key.with_suffix(".pub").read_text().strip())


class People:
    def __init__(self, where: lab.Lab, host: str, domain: str, user: str, key: Path) -> None:
        self.lab, self.host, self.domain, self.user, self.key = where, host, domain, user, key
        self.address = where.host(host).address
        self.own = self.secret("own")

    def secret(self, name: str, more: str = "") -> str:
        return post.password(self.lab, f"{name}@{self.domain}{more}")

    def chooses(self, new: str) -> None:
        told = f"user own@{self.domain}\npass {self.own}\nnewpass {new}"
        said = run_on(self.lab, self.host, f"python3 -c '{_CHANGE}' <<'END'\n{told}\nEND")
        assert said.startswith("200"), said
        self.own = new

    def works(self) -> None:
        wrong = [
            (name, password)
            for name, password, lets_in in (
                ("ana", self.secret("ana"), True),
                ("ana", self.secret("ana", "+phone"), True),
                ("own", self.own, True),
                ("idle", self.secret("idle"), False),
                ("deaf", self.secret("deaf"), True),
                (self.user, self.secret(self.user), True),
            )
            if self.imap(name, password) is not lets_in
        ]
        assert wrong == []
        with post.outside(self.address) as client:
            assert client.mail("stranger@else.test")[0] == 250
            said = {name: client.rcpt(f"{name}@{self.domain}")[0] for name in ("own", "deaf", "idle")}
        assert said == {"own": 250, "deaf": 550, "idle": 550}
        words = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        words += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes"]
        words += ["-i", str(self.key), f"{self.user}@{self.address}", "id -un; test -w ~ && echo at home"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        assert done.stdout.split("\n")[:2] == [self.user, "at home"], done.stderr

    def imap(self, name: str, password: str) -> bool:
        context = post.context(self.lab)
        with imaplib.IMAP4_SSL(self.address, 993, timeout=TIMEOUT, ssl_context=context) as client:
            try:
                client.login(f"{name}@{self.domain}", password)
            except imaplib.IMAP4.error:
                return False
            return True
