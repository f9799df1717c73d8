"""What the scripted servers share: who there is, what is broken, what was asked, what lies in the mailboxes.

Public: State, FQDNS, MAIL_NAMES, DOMAINS, PASSWORDS. Raises nothing.
"""

from __future__ import annotations

import threading

from mailprov.model.ports import Protocol
from mailprov.model.values import dataclass, field
from mailprov.selftest.certificates import Authority

FQDNS = {"127.0.0.1": "mx1.alpha.test", "127.0.0.2": "mx2.beta.test"}
MAIL_NAMES = {"mx1.alpha.test": "mail.alpha.test", "mx2.beta.test": "mail.beta.test"}
DOMAINS = {"alpha.test": "127.0.0.1", "alfa.test": "127.0.0.1", "beta.test": "127.0.0.2"}
PASSWORDS = {"ana@alpha.test": "right-ana", "zoe@alpha.test": "right-zoe", "eva@beta.test": 'ñ"right\\eva'}
PASSWORDS |= {f"user{number}@alpha.test": f"right-{number}" for number in range(1, 31)}


@dataclass
class State:
    """`faults` are words that the session classes look for; `127.0.0.2/open-relay` holds on that host alone."""

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
    penalties: list[str] = field(default_factory=list)  # logins that had to wait, by address
    off: dict[str, set[str]] = field(default_factory=dict)  # address → services that are not there
    dead: set[tuple[str, int]] = field(default_factory=set)  # services that have ended themselves
    port_map: dict[tuple[str, int], int] = field(default_factory=dict)
    shut: set[str] = field(default_factory=set)  # who may not log in
    deaf: set[str] = field(default_factory=set)  # who gets no mail
    limits: dict[str, int] = field(default_factory=dict)  # octets that a mailbox may have
    emptied: set[str] = field(default_factory=set)  # whose mailbox with a limit has lost something
    flags: dict[tuple[str, int], set[str]] = field(default_factory=dict)  # of a message: user, UID
    # Other names than details and those in domain aliases: address → the mailboxes that get its mail.
    routes: dict[str, list[str]] = field(default_factory=dict)
    # Accepted, and in no mailbox yet: recipient and message. `flush` delivers it.
    queued: list[tuple[str, bytes]] = field(default_factory=list)
    # (user, password) → what it is for, beside the user's own
    programs: dict[tuple[str, str], set[Protocol]] = field(default_factory=dict)
    early_guesses: dict[str, int] = field(
        default_factory=dict
    )  # address → 1 where a guess came before `looked`
    looked: threading.Event = field(default_factory=threading.Event)  # somebody has said VRFY
    lock: threading.Lock = field(default_factory=threading.Lock)
    now_wrong: dict[str, int] = field(default_factory=dict)
    guessed: dict[str, int] = field(default_factory=dict)
    known_wrong: set[tuple[str, str, str]] = field(default_factory=set)
    now_sessions: dict[str, int] = field(default_factory=dict)

    def flush(self) -> None:
        with self.lock:
            for recipient, text in self.queued:
                self.boxes[recipient].append(text)
            self.queued.clear()

    def ends(self, address: str, faults: frozenset[str]) -> list[str]:
        """The mailboxes that get mail for this address of a domain here; nobody knows it where there is none."""
        own = [address] if address in PASSWORDS else []
        local, _, domain = address.rpartition("@")
        names = (address, f"{local.partition('+')[0]}@{domain}", f"{local}@alpha.test", f"@{domain}")
        name = next((each for each in names if each in self.routes or each in PASSWORDS), "")
        found = self.routes.get(name, [name] if name else [])
        if "address-refused" in faults and not own:
            return []
        if "member-lost" in faults:
            found = found[:-1] if len(found) > 1 else found
        if "member-twice" in faults:
            found = [*found, found[0]] if len(found) > 1 else found
        if "address-astray" in faults and address not in PASSWORDS:
            found = ["zoe@alpha.test"]
        if "forward-lost" in faults and own:
            found = own
        if "forward-keeps" in faults and own:
            found = [*own, *(each for each in found if each not in own)]
        return found

    def over(self, user: str, size: int) -> bool:
        """Whether there is no room for so much more."""
        return user in self.limits and sum(map(len, self.boxes[user])) + size > self.limits[user]

    def faults_of(self, address: str) -> frozenset[str]:
        words = (word.rpartition("/") for word in self.faults)
        return frozenset(word for where, _, word in words if where in {"", address})
