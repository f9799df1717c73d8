"""Sender rewriting (SRS) for mail that is sent on to other hosts, by PostSRSd 1 or 2.

    of(build) -> Srs                         files, service, and the lookup tables that Postfix asks
    make(domain, postsrsd, until) -> Srs     the same, from what it depends on
    COMPONENT
    own_senders(names, bounces)              a map of Postfix: who needs no rewriting
    rewritten(until)                         and another: what may be a way back
    short_until(facts) -> date | None        until when shorter hashes than ours are taken

A forward keeps its sender, whose SPF record (RFC 7208) knows nothing of this host: the next host would refuse it. So
Postfix hands mail that leaves under a sender who is not of this host to the transport `srs`, and that to a listener of
its own on the loopback address, where the envelope's sender becomes `SRS0=…@domain`. Headers stay as they are, and so
does all mail between users here. A bounce to such an address is checked (hash and date) during the SMTP session, and
goes on to whom it names; anything else of that form is refused as an unknown user.

The domain of such senders is the host's own name: SPF allows the host to use it. So what is sent on passes SPF for
that name, and DMARC, too, if `From:` has it, whoever wrote it: port 25 refuses such a `From:`
(incoming_header_checks). Where the host's name is a mail domain as well, `From:` may have it honestly, and a
stranger's forgery would be vouched for. There the domain is another name below it, with MX and SPF of its own
(Inventory.sender_domain); addresses under the first one still lead back. Mail without a sender (bounces, and what of
them is sent on) counts as sent by the name in EHLO (RFC 7208 section 2.4), so there it says that other name (`bounces`
in master.cf).

Who guesses a hash may have this host send to whom he likes, and is told at RCPT TO whether the guess was right. Case
does not count in it, so a sign is one of 38: four, as mailprov 0.1.0 had them, are two million, which is a matter of
hours; eight are 4 * 10^12. Bounces to addresses that are under way shall come back. So a host with short hashes makes
long ones at once, and takes short ones for as long as PostSRSd takes an address at all (21 days), but only where the
address tells a day before the change (the two letters behind the hash). That ends by itself, whether there is another
apply or not; the first one after that day takes the exception out of the files, and a plan shows it. The day stands in
PostSRSd's file, and comes back in the host's facts (agent/srs.py).

Pure.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any, NamedTuple

from mailprov.components.base import Build, Component, Parts
from mailprov.components.templates import MANAGED, render
from mailprov.components.versions import Version
from mailprov.i18n import N_
from mailprov.model.host_state import File, Service
from mailprov.model.inventory import Host, Inventory

PORT = 10027  # Postfix's own listener for what is to be rewritten
_FORWARD, _REVERSE, _SOCKETMAP = 10001, 10002, 10003  # PostSRSd's own defaults
_LENGTH, _SHORT = 8, 4
_DAYS = 21  # PostSRSd's: so old may an address be
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # of its days: two, and then they begin again


class Srs(NamedTuple):
    forward: str  # a Postfix lookup table: sender → rewritten sender
    reverse: str  # rewritten sender → sender
    files: tuple[File, ...]
    service: Service
    short_until: datetime.date | None


def of(build: Build) -> Srs:
    """For Build.made."""
    return make(build.sender_domain, build.releases.postsrsd, short_until(build.facts))


class _SenderRewriting(Component):
    name = "srs"
    about = N_("rewrites the senders of mail that is forwarded to other hosts (PostSRSd)")
    everywhere = True

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return ("postsrsd",)

    def parts(self, build: Build) -> Parts:
        made = build.made(of)
        return Parts(
            packages=self.packages(build.inventory, build.host), files=made.files, services=(made.service,)
        )


COMPONENT = _SenderRewriting()


def short_until(facts: dict[str, Any]) -> datetime.date | None:
    """The day that the host has in its file, or 21 days from now where its hashes are short; None when it is over.

    By the host's clock, and by the day, so that a plan that is saved and applied later has the same text. A day that
    no change can have led to, as of a clock that was wrong, counts from now.
    """
    told = facts.get("srs") or {}
    length, until = told.get("length", 0), told.get("short_until", "")
    today = datetime.datetime.fromtimestamp(facts.get("time", 0), datetime.timezone.utc).date()
    latest = datetime.date.fromordinal(min(today.toordinal() + _DAYS, datetime.date.max.toordinal()))
    if not until:
        return latest if 0 < length < _LENGTH else None
    try:
        day = datetime.date.fromisoformat(until)
    except ValueError:
        return latest
    if day > latest:
        return latest
    return day if day >= today else None


def make(domain: str, postsrsd: Version, until: datetime.date | None = None) -> Srs:
    """`domain`: of the senders that are made. PostSRSd 2 has another file and another protocol than 1."""
    ports: tuple[int, ...]
    hashes = {"length": _LENGTH, "minimum": _SHORT if until else _LENGTH, "short_until": until or ""}
    if postsrsd.at_least(2):
        path, table = "/etc/postsrsd.conf", f"socketmap:inet:127.0.0.1:{_SOCKETMAP}"
        text = render("srs/postsrsd.conf.j2", domain=domain, port=_SOCKETMAP, **hashes)
        forward, reverse, ports = f"{table}:forward", f"{table}:reverse", (_SOCKETMAP,)
    else:
        path = "/etc/default/postsrsd"
        text = render("srs/default.j2", domain=domain, forward_port=_FORWARD, reverse_port=_REVERSE, **hashes)
        forward, reverse = f"tcp:127.0.0.1:{_FORWARD}", f"tcp:127.0.0.1:{_REVERSE}"
        ports = (_FORWARD, _REVERSE)
    service = Service(unit="postsrsd.service", files=(path,), restart_on=(path,), ports=ports)
    return Srs(forward, reverse, (File(path, text),), service, until)


def own_senders(names: Iterable[str], bounces: str = "smtp") -> str:
    """The map of senders whose mail needs no rewriting: those of this host, and the empty one of bounces.

    `bounces`: the transport of the latter.
    """
    lines = [
        f"# {MANAGED}",
        "# Senders that leave as they are, by the transport smtp; all others go by srs (main.cf, default_transport).",
        f"<> {bounces}:",
        *(f"@{name} smtp:" for name in sorted(set(names))),
    ]
    return "\n".join(lines) + "\n"


def rewritten(until: datetime.date | None = None) -> str:
    """The map that lets through what looks like a rewritten sender, so that PostSRSd is asked about nothing else.

    `until`: shorter hashes are taken, of addresses that were made before those of today.
    """
    if until is None:
        return f"# {MANAGED}\n/^(SRS[01][-+=].+)$/ $1\n"
    last = until - datetime.timedelta(days=_DAYS)
    days = "|".join(_day(last - datetime.timedelta(days=count)) for count in range(_DAYS + 1))
    lines = [
        f"# {MANAGED}",
        f"# Short hashes: of addresses made up to {last}, which are too old after {until}. SRS1 tells no day.",
        f"/^(SRS0[-+=][^=]{{{_LENGTH},}}=.+)$/ $1",
        f"/^(SRS0[-+=][^=]{{{_SHORT},{_LENGTH - 1}}}=({days})=.+)$/ $1",
        "/^(SRS1[-+=].+)$/ $1",
    ]
    return "\n".join(lines) + "\n"


def _day(date: datetime.date) -> str:
    number = (date - datetime.date(1970, 1, 1)).days
    return _DIGITS[number >> 5 & 31] + _DIGITS[number & 31]
