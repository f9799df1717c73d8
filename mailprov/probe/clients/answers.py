"""What name servers say, and why one says nothing.

Answer                         the records of one name and type
NoAnswer                       no authoritative server could be asked, or it gave no usable answer (a ProbeError)
  NoZone, BadAnswer, QueryTimeout, NotFromHere
text(rdata), plain(name)       a record's value and a name in the spelling of model.records
kind_of(error)                 which of these an error of dnspython is; first_line(error): what it says
"""

from __future__ import annotations

import dns.exception
import dns.name

from mailprov.i18n import _
from mailprov.model.values import dataclass, field
from mailprov.probe.clients.connection import printable
from mailprov.probe.clients.errors import ProbeError


class NoAnswer(ProbeError):
    """No authoritative server could be asked, or it gave no usable answer."""


class NoZone(NoAnswer):
    """The resolver of this machine does not know the domain at all, nor anything above it."""


class BadAnswer(NoAnswer):
    """A name server answers with an error (SERVFAIL and the like)."""


class QueryTimeout(NoAnswer):
    """No answer within the time for one question."""


class NotFromHere(NoAnswer):
    """Name servers cannot be asked from this machine at all: port 53 is blocked, or somebody answers in their place."""


@dataclass(frozen=True)
class Answer:
    """`values`: addresses (A, AAAA), `10 mx.example.org` (MX), whole strings (TXT), names without final dot,
    sorted.

    `alias` is the target when the name is a CNAME (and another type was asked for).
    """

    name: str
    type: str
    values: tuple[str, ...]
    server: str  # who said so
    alias: str = ""
    ttl: int = field(default=0, compare=False)
    signed: bool = field(default=False, compare=False)  # with a signature, where that was asked for
    absent: bool = False  # there is no such name at all (NXDOMAIN)

    def __str__(self) -> str:
        shown = ", ".join(self.values) or (f"CNAME {self.alias}" if self.alias else _("nothing"))
        return printable(f"{self.server}: {self.name} {self.type}: {shown}")


def text(rdata: object) -> str:
    """A record's value in the spelling of model.records."""
    strings = getattr(rdata, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    if hasattr(rdata, "exchange"):
        return f"{rdata.preference} {plain(rdata.exchange)}"  # type: ignore[attr-defined]
    if hasattr(rdata, "weight"):  # SRV
        return f"{rdata.priority} {rdata.weight} {rdata.port} {plain(rdata.target)}"  # type: ignore[attr-defined]
    if hasattr(rdata, "target"):
        return plain(rdata.target)
    return str(rdata)


def plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else "."


def kind_of(error: Exception) -> type[NoAnswer]:
    return QueryTimeout if isinstance(error, dns.exception.Timeout) else NoAnswer


def first_line(error: Exception) -> str:
    return printable(str(error).splitlines()[0] if str(error) else type(error).__name__)
