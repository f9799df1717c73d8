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

import base64
import calendar
import hashlib
import re
import time
from collections.abc import Iterable, Mapping
from enum import Enum

from mailprov.i18n import _
from mailprov.model.values import dataclass

STATE_FILE = "/etc/mailprov/dkim/keys"
FOLDER = "/etc/mailprov/dkim"
ALGORITHMS = ("rsa", "ed25519")  # RFC 8301 (2048 bits), RFC 8463

PublicKeys = Mapping[str, Mapping[str, str]]

_HEAD = (
    "# Managed by mailprov. One DKIM key a line: domain, selector, what it is used for, since when (UTC).\n"
    "# signing: signs now. waiting: published, signs when every cache can know it. retired: mail under way may still\n"
    "# carry its signature; record and key go a week after that. `mailprov dkim rotate` moves keys on.\n"
)
# At most a DNS label together (RFC 1035 section 2.3.4).
_SELECTOR = re.compile(
    r"(?=.{1,63}\Z)(?:(?P<lead>[a-z0-9-]+)-)?(?P<algorithm>rsa|ed25519)-(?P<number>[0-9]{1,9})"
)
# RFC 8017 appendix A.1 and RFC 5280 section 4.1: the algorithm of an RSA key in SubjectPublicKeyInfo.
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
_RSA_BITS = (1024, 4096)  # RFC 8301 section 3.2: what every verifier takes, and what fits into a record
_TEXT = re.compile(r"v=DKIM1; k=(rsa|ed25519); p=([A-Za-z0-9+/]+={0,2})")
_SINCE = {"signing": re.compile("-"), "waiting": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class State(str, Enum):
    SIGNING = "signing"
    WAITING = "waiting"  # published and not yet used
    RETIRED = "retired"  # published and no longer used


@dataclass(frozen=True)
class Key:
    """One key of a domain on a host."""

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
    label, __, rest = name.partition(".")
    found = _SELECTOR.fullmatch(label)
    if not found or not rest.startswith("_domainkey."):
        return False
    lead = found["lead"] or ""
    return lead == _label(host) or lead.endswith(f"-{_label(host)}")


def owner(selector: str, hosts: Iterable[str]) -> str:
    """Whose selector this is out of these hosts, empty when it is nobody's. With hosts `mx1` and `a-mx1`, whose
    selectors both end in `mx1-rsa-1`, the longer name has it.
    """
    found = _SELECTOR.fullmatch(selector)
    lead = (found["lead"] or "") if found else ""
    able = [host for host in hosts if lead == _label(host) or lead.endswith(f"-{_label(host)}")]
    return max(able, key=lambda host: len(_label(host)), default="")


def flaw(selector: str, text: str) -> str:
    """What is wrong with the text of a record as a host makes it for this selector: a clause, empty when it is good.

    `v=DKIM1; k=…; p=…` (RFC 6376 section 3.6.1), the key in base64: SubjectPublicKeyInfo of RSA with 1024 to 4096 bits,
    or the 32 octets of Ed25519 (RFC 8463 section 4). mailprov never publishes an empty `p=`: a record goes when its key
    is retired long enough.
    """
    found = _TEXT.fullmatch(text)
    if not found:
        return _("is not of the form v=DKIM1; k=…; p=…")
    named = _SELECTOR.fullmatch(selector)
    if not named or named["algorithm"] != found[1]:
        return _("is a key of another kind ({kind}) than its selector says").format(kind=found[1])
    try:
        data = base64.b64decode(found[2], validate=True)
    except ValueError:
        return _("has no base64 in p=")
    if found[1] == "ed25519":
        return (
            ""
            if len(data) == 32
            else _("has {count} octets for an Ed25519 key, which has 32").format(count=len(data))
        )
    low, high = (bits // 8 for bits in _RSA_BITS)
    # A SEQUENCE as long as it says: 0x82 and two octets of length, below 1024 bits and a little 0x81 and one (X.690).
    size = 4 + int.from_bytes(data[2:4], "big") if data[1:2] == b"\x82" else 3 + (data[2] if data[2:] else 0)
    if _RSA not in data[:20] or data[:1] != b"0" or size != len(data):
        return _("holds no RSA key")
    # Around the modulus there are less than 50 octets.
    return (
        ""
        if low < len(data) < high + 50
        else _("holds {count} octets, no RSA key of a usual size").format(count=len(data))
    )


def read_since(key: Key) -> float | None:
    """When that was, unix seconds; 0 for a signing key; None where it is no time."""
    form = _SINCE.get(key.state.value, _DAY)
    if not form.fullmatch(key.since):
        return None
    if key.state is State.SIGNING:
        return 0.0
    pattern = "%Y-%m-%dT%H:%M:%SZ" if key.state is State.WAITING else "%Y-%m-%d"
    try:
        return float(calendar.timegm(time.strptime(key.since, pattern)))
    except ValueError:
        return None


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
