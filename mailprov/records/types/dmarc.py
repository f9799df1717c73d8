"""DMARC: what receivers do with mail that fails SPF and DKIM (RFC 9989), and consent to reports (RFC 9990)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from mailprov.i18n import N_, _
from mailprov.model.hosted import Hosted
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Domain
from mailprov.model.records import PLAIN, Record
from mailprov.records.types.base import Need, Own, RecordType, Wishes

_POLICIES = {
    "none": N_("valid; receivers do nothing about forged mail"),
    "quarantine": N_("valid; receivers put forged mail aside"),
    "reject": N_("valid; receivers refuse forged mail"),
}
_OURS = re.compile(r"v=DMARC1; p=(none|quarantine|reject)(; aspf=s)?(; rua=mailto:[^\s;,!]+)?")


def dmarc(policy: str, rua: str | None, strict: bool = True) -> str:
    """The DMARC text. No `pct`: RFC 9989 removed it. `rua` is an address; `,` and `!` in it must not stand
    bare.

    Strict about SPF (`aspf=s`, a tag of RFC 9989): what a host of ours forwards leaves under a sender of that host
    (SRS) and passes SPF there. Were mx1.example.org as good as example.org, anybody's forged `From:` would pass DMARC
    by being forwarded. At a provider no host of ours sends, and newsletters may come from names below (not `strict`).
    """
    text = f"v=DMARC1; p={policy}{'; aspf=s' if strict else ''}"
    return f"{text}; rua=mailto:{quote(rua, safe='@')}" if rua else text


class Dmarc(RecordType):
    name = "DMARC"
    need = Need.RECOMMENDED
    why = N_("large receivers want it; it can forbid forged mail")
    key = N_("domains.DOMAIN.dmarc: policy and reports, or off; p=none if not given")
    places = (("TXT", re.compile(rf"_dmarc\.{PLAIN}|{PLAIN}\._report\._dmarc\.{PLAIN}")),)

    note = N_(
        "{names}: p=none forbids nothing yet, and is the least that large receivers want. Have reports sent for some "
        "weeks (dmarc: {{policy: none, rua: ADDRESS}}), then say `policy: quarantine`; `dmarc: off` publishes none"
    )
    instead = N_(
        "To have it written by mailprov say `dmarc: {policy: …}`, to leave it to others `dmarc: off`"
    )

    def of_name(self, name: str, domain: Domain, wishes: Wishes) -> Iterator[Record]:
        if domain.dmarc is None:
            return
        asked = domain.dmarc.asked
        if not asked and any(parent in wishes.with_dmarc for parent in _above(name)):
            return  # what that domain's record says holds here, and p=none would undo it
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
        text = dmarc(domain.dmarc.policy, rua, domain.hosts_send)
        yield Record(f"_dmarc.{name}", "TXT", text, wishes.ttl, why, asked=asked)

    def of_hosted(self, there: Hosted, domain: Domain, wishes: Wishes) -> Iterable[Record]:
        return () if domain.hosts else self.of_name(domain.name, domain, wishes)

    def alone(self, name: str, kind: str, value: str) -> bool:
        # At …._report._dmarc any v=DMARC1 text gives consent, so others may stand beside ours.
        elsewhere = "._report._dmarc." in name or "._domainkey." in name
        return kind == "TXT" and value.lower().startswith("v=dmarc1") and not elsewhere

    def above(self, name: str) -> Iterable[str]:
        """RFC 9989 section 4.10: the domains above, but those with one label."""
        return [f"_dmarc.{parent}" for parent in _above(name.removeprefix("_dmarc.")) if "." in parent]

    def judge(self, values: Sequence[str], wanted: str) -> str:
        if len(values) > 1:
            return _("more than one: receivers take none of them")
        found = re.search(r";\s*p\s*=\s*(\w+)", values[0], re.IGNORECASE)
        policy = found[1].lower() if found else ""
        return _(_POLICIES.get(policy, N_("no valid policy: receivers ignore it")))

    def may_return(self, own: Own, name: str, kind: str, value: str) -> bool:
        first, __, rest = name.partition(".")
        return (
            kind == "TXT" and first == "_dmarc" and rest in own.domains and _OURS.fullmatch(value) is not None
        )


def _above(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(1, len(labels))]


def _related(one: str, other: str) -> bool:
    return inside(one, other) or inside(other, one)


DMARC = Dmarc()
