"""DKIM keys as controller and host talk about them: names, states, and the one file that remembers them. Pure.

    Key                             one key pair of one host for one domain, and what it is used for now
    selector(prefix, host, …)       its name in DNS: host, algorithm and number are in it
    record_name(name, selector)     where its public half is published (RFC 6376 section 3.6.2.1)
    of_host(name, host)             whether a record name is a selector of this host
    write(keys), read(text)         the file STATE_FILE on the host; words that make no sense are passed over
    PublicKeys                      host name → {Key.name: text of the TXT record, "" while the key is still to be made}

A private key never leaves its host, so each host that sends a domain's mail has keys and selectors of its own. Several
domain names of one owner (a domain and its domain aliases) share a key. Raises nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

STATE_FILE = "/etc/mailprov/dkim/keys"
FOLDER = "/etc/mailprov/dkim"
ALGORITHMS = ("rsa", "ed25519")  # RFC 8301 (2048 bits), RFC 8463

PublicKeys = Mapping[str, Mapping[str, str]]

_HEAD = (
    "# Managed by mailprov. One DKIM key a line: domain, selector, what it is used for, since when (UTC).\n"
    "# signing: signs now. waiting: published, signs when every cache can know it. retired: mail under way may still\n"
    "# carry its signature; record and key go a week after that. `mailprov dkim rotate` moves keys on.\n"
)
_SELECTOR = re.compile(r"(?:(?P<lead>[a-z0-9-]+)-)?(?P<algorithm>rsa|ed25519)-(?P<number>[0-9]+)")


class State(str, Enum):
    SIGNING = "signing"
    WAITING = "waiting"  # published and not yet used
    RETIRED = "retired"  # published and no longer used


@dataclass(frozen=True)
class Key:
    domain: str
    selector: str
    state: State = State.SIGNING
    since: str = "-"  # 2026-11-24T08:00:00Z for a waiting key, 2026-11-24 for a retired one

    @property
    def name(self) -> str:
        """What its files under FOLDER are called, before .key and .txt."""
        return f"{self.domain}.{self.selector}"

    @property
    def algorithm(self) -> str:
        found = _SELECTOR.fullmatch(self.selector)
        return found["algorithm"] if found else ""

    @property
    def number(self) -> int:
        found = _SELECTOR.fullmatch(self.selector)
        return int(found["number"]) if found else 0


def selector(prefix: str, host: str, algorithm: str, number: int) -> str:
    """`mx1-rsa-1`, or `corp-mx1-rsa-1` with a prefix of the user's."""
    return (
        f"{prefix}-{_label(host)}-{algorithm}-{number}" if prefix else f"{_label(host)}-{algorithm}-{number}"
    )


def _label(host: str) -> str:
    """The host's name in the inventory, as part of a DNS label; two hosts never have the same."""
    plain = re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:20]
    return plain if plain == host else f"{plain}-{hashlib.sha256(host.encode()).hexdigest()[:4]}"


def record_name(domain: str, selector: str) -> str:
    return f"{selector}._domainkey.{domain}"


def of_host(name: str, host: str) -> bool:
    """Whether the first label of a record name is a selector that `host` would give."""
    label, _, rest = name.partition(".")
    found = _SELECTOR.fullmatch(label)
    if not found or not rest.startswith("_domainkey."):
        return False
    lead = found["lead"] or ""
    return lead == _label(host) or lead.endswith(f"-{_label(host)}")


def write(keys: Iterable[Key]) -> str:
    lines = [f"{key.domain} {key.selector} {key.state.value} {key.since}\n" for key in keys]
    return _HEAD + "".join(lines)


def read(text: str) -> tuple[Key, ...]:
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and words[2] in {state.value for state in State} and _SELECTOR.fullmatch(words[1]):
            found.append(Key(words[0], words[1], State(words[2]), words[3]))
    return tuple(found)
