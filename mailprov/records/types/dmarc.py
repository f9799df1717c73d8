"""DMARC: what receivers do with mail that fails SPF and DKIM (RFC 9989), and consent to reports (RFC 9990)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from mailprov.i18n import N_, _
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Domain
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Need, Own, RecordType, Wishes

_OURS = re.compile(r"v=DMARC1; p=(none|quarantine|reject)(; aspf=s)?(; rua=mailto:[^\s;,!]+)?")


def dmarc(policy: str, rua: str | None) -> str:
    """The DMARC text. No `pct`: RFC 9989 removed it. `rua` is an address; `,` and `!` in it must not stand
    bare.

    Strict about SPF (`aspf=s`, a tag of RFC 9989): what a host of ours forwards leaves under a sender of that host
    (SRS) and passes SPF there. Were mx1.example.org as good as example.org, anybody's forged `From:` would pass DMARC
    by being forwarded.
    """
    text = f"v=DMARC1; p={policy}; aspf=s"
    return f"{text}; rua=mailto:{quote(rua, safe='@')}" if rua else text


class Dmarc(RecordType):
    name = "DMARC"
    need = Need.RECOMMENDED
    why = N_(
        "large receivers want it of whoever sends much, and it keeps others from writing in the domain's name"
    )
    places = (("TXT", re.compile(rf"_dmarc\.{PLAIN}|{PLAIN}\._report\._dmarc\.{PLAIN}")),)

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if domain.dmarc is None:
            return
        rua = domain.dmarc.rua
        if rua:
            local, __, at = rua.rpartition("@")
            if at == domain.name and name != at:
                # Every user of a domain has the same name in its domain alias: reports stay in the domain they
                # are about and need no consent of another one.
                rua, at = f"{local}@{name}", name
            if at in wishes.mail_names and not _related(name, at):
                # RFC 9990: reports about one domain go to another only where that one consents.
                why = _("DMARC: {receiver} takes reports about {domain}").format(receiver=at, domain=name)
                yield Record(f"{name}._report._dmarc.{at}", "TXT", "v=DMARC1", wishes.ttl, why)
        why = _("DMARC: what receivers do with mail of {domain} that fails SPF and DKIM").format(domain=name)
        yield Record(f"_dmarc.{name}", "TXT", dmarc(domain.dmarc.policy, rua), wishes.ttl, why)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # At …._report._dmarc any v=DMARC1 text gives consent, so others may stand beside ours.
        elsewhere = "._report._dmarc." in name or "._domainkey." in name
        return kind == "TXT" and value.lower().startswith("v=dmarc1") and not elsewhere

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        first, __, rest = name.partition(".")
        return (
            kind == "TXT" and first == "_dmarc" and rest in own.domains and _OURS.fullmatch(value) is not None
        )


def _related(one: str, other: str) -> bool:
    return inside(one, other) or inside(other, one)


DMARC = Dmarc()
