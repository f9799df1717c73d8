"""A place with users who have a shell, or a menu, and what their tests ask of it.

text(key)             the inventory; `key`: ana's public key
Place.ssh, .said, .screen     somebody's login: the command line, what it said, its terminal
arrived(…)            the header of a message that was delivered
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailprov import lab
from tests.lab.labs import wait_until
from tests.lab.post import stored
from tests.users.conftest import LONG, RELEASES
from tests.users.screen import Screen


@dataclass(frozen=True)
class Place:
    lab: lab.Lab
    key: Path
    folder: Path

    def ssh(self, user: str, host: str, *command: str, key: bool = True) -> list[str]:
        # Not the controller's own keys, nor what its ssh_config says.
        words = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        words += ["-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
        words += ["-i", str(self.key), "-o", "BatchMode=yes"] if key else ["-o", "PubkeyAuthentication=no"]
        return [*words, f"{user}@{self.lab.host(host).address}", *command]

    def said(self, user: str, host: str, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.ssh(user, host, command), capture_output=True, text=True, timeout=120, check=False
        )

    def screen(self, argv: Sequence[str], name: str) -> Screen:
        folder = self.folder / name
        folder.mkdir()
        return Screen(folder, argv)


def text(key: str) -> str:
    filters = "" if LONG else "filter: none, "
    aerc = ", aerc" if LONG else ""
    leo = f"leo: {{password: {{env: P}}, shell: {{keys: ['{key}']}}}}" if LONG else ""
    return f"""\
text_mua: [alpine, mutt{aerc}]
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test, {filters}lab: {{release: {RELEASES[0]}}}}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.beta.test, lab: {{release: {RELEASES[-1]}}}}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {{password: {{env: P}}, shell: {{keys: ["{key}"], password: true, home_quota: 60M}}}}
      luis: {{password: {{env: P}}}}
    aliases: {{a.lopez: ana}}
  beta.test:
    hosts: [mx2]
    accounts:
      eva: {{password: {{env: P}}, shell: {{restricted: true}}}}
      ivo: {{password: {{env: P}}}}
      pia: {{password: {{initial: {{env: P}}, owner: user}}, shell: {{restricted: true}}}}
      {leo}
"""


def arrived(place: Place, host: str, mailbox: str, subject: str) -> str:
    """The header of that message, once it is there."""
    found: list[str] = []

    def look() -> bool:
        every = stored(place.lab, host)
        found[:] = [
            head
            for box, _, head in every
            if box == mailbox and re.search(f"^Subject: .*{subject}", head, re.M)
        ]
        return bool(found)

    wait_until(look, f"{subject} for {mailbox}")
    return found[0]
