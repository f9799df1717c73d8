"""Which header lines of a message were added where. Pure.

    added(headers) -> Added         from the top of the message that arrived to what its sender wrote
    Added.by[(queue id)]            lines that came with that hop: its Received first, then what filters put below it
    Added.last                      what the MDA put on top: Return-Path, Delivered-To, its own Received
    Added.sent                      what its sender's program wrote
    Added.below                     at its end: what by its names is of a filter; who wrote it, the place does not tell

Every server puts its Received line on top (RFC 5321 section 4.4), and Postfix puts what milters add below its own
(MILTER_README). So the lines from one Received line down to the next are of one hop, and its queue id stands in it. But
a milter may also put lines behind all others, as Rspamd does with some of its own, and OpenDKIM puts its signature on
top, above the Received line of the host that signs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from mailprov.model.values import dataclass, field
from mailprov.trace.postfix import QUEUE_ID

_HOP = re.compile(
    rf"Received: .*\bby ([A-Za-z0-9.-]+) \(Postfix[^)]*\)(?: with ([A-Z0-9]+))? id ({QUEUE_ID})\b.*"
)
# A mail program writes these; what is below belongs to the message as it was sent.
_SENT = re.compile(r"(Date|From|To|Cc|Subject|Message-ID|MIME-Version|User-Agent): ", re.IGNORECASE)
_FILTERS = re.compile(r"X-(?:Spam|Spamd|Rspamd|Virus)(?:-[A-Za-z0-9-]+)?: ", re.IGNORECASE)


_SIGNATURE = re.compile(r"DKIM-Signature: ", re.IGNORECASE)
# Taken from a user, by RFC 3848, or by sendmail(1) on the host itself: what is signed is signed there.
_FROM_USERS = ("ESMTPA", "ESMTPSA", "")


@dataclass(frozen=True)
class Hop:
    """`host` is the name that it gives itself; `protocol`: ESMTPS and the like (RFC 3848)."""

    host: str
    protocol: str
    received: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Added:
    by: Mapping[str, Hop] = field(default_factory=dict)
    last: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    below: tuple[str, ...] = ()

    @property
    def newest(self) -> str:
        """The queue id of the last hop, whose Received line is the first."""
        return next(iter(self.by), "")


def added(headers: Iterable[str]) -> Added:
    hops: dict[str, Hop] = {}
    last: list[str] = []
    here: tuple[str, Hop] | None = None
    others: list[str] = []
    lines = list(headers)
    sent = len(lines)

    def close() -> None:
        if here is not None and here[0] not in hops:
            hops[here[0]] = Hop(here[1].host, here[1].protocol, here[1].received, tuple(others))

    for number, line in enumerate(lines):
        found = _HOP.fullmatch(line)
        if found is not None:
            close()
            here, others = (found[3], Hop(found[1], found[2] or "", line)), []
        elif here is None and not _SENT.match(line):
            last.append(line)
        elif _SENT.match(line):
            sent = number
            break
        else:
            others.append(line)
    close()
    hops = _signed_below(hops)
    end = len(lines)
    while end > sent and _FILTERS.match(lines[end - 1]):
        end -= 1
    return Added(hops, tuple(last), tuple(lines[sent:end]), tuple(lines[end:]))


def _signed_below(hops: Mapping[str, Hop]) -> dict[str, Hop]:
    """Signatures on top of the Received line of the host that made them, put to that hop. A host that signs below its
    own line, as Rspamd does, has them there already.
    """
    found = dict(hops)
    for above, below in pairwise(hops):
        upper, lower = found[above], found[below]
        kept = list(upper.others)
        while kept and _SIGNATURE.match(kept[-1]):
            kept.pop()
        signatures = upper.others[len(kept) :]
        if signatures and lower.protocol in _FROM_USERS and not any(map(_SIGNATURE.match, lower.others)):
            found[above] = replace(upper, others=tuple(kept))
            found[below] = replace(lower, others=(*signatures, *lower.others))
    return found
