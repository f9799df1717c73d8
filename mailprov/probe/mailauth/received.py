"""The Received chain of a message: who took it from whom, and how (RFC 5321 section 4.4, RFC 3848).

Public: Hop, hops, Route, judge, judge_local. Pure; raises nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from mailprov.i18n import _
from mailprov.model.findings import Verdict
from mailprov.model.values import dataclass

_BRACKETED = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]")
_HELO = re.compile(r"\bhelo=([^\s()\[\]]+)", re.IGNORECASE)
_SECURE = {"ESMTPS", "ESMTPSA", "UTF8SMTPS", "UTF8SMTPSA"}
_SUBMITTED = {"ESMTPSA", "UTF8SMTPSA"}
_SUBMITTED_IN_CLEAR = {"ESMTPA", "UTF8SMTPA"}


@dataclass(frozen=True)
class Hop:
    """One Received field. Names are in lower case; what it does not say is ''."""

    from_name: str
    from_address: str
    by: str
    protocol: str

    def __str__(self) -> str:
        sender = f"from {self.from_name} [{self.from_address}] " if self.from_name else ""
        if not self.protocol:
            return f"{sender}by {self.by} {_('(no protocol given)')}"
        return f"{sender}by {self.by} with {self.protocol}"


def hops(message: bytes) -> list[Hop]:
    """The Received fields of a message as they stand: the newest first."""
    header = message.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    unfolded = re.sub(r"\r?\n[ \t]+", " ", header)
    fields = [line.partition(":") for line in re.split(r"\r?\n", unfolded)]
    return [_hop(value) for name, __, value in fields if name.strip().lower() == "received"]


def _hop(value: str) -> Hop:
    # Comments hold words such as "with cipher", so the clauses are read outside of them; the client's address
    # stands inside the comment after the name.
    comments: list[str] = []
    outside, comment, depth = "", "", 0
    for char in value.replace("\0", ""):  # between two of these stands the number of a comment
        if char == "(":
            depth += 1
            if depth == 1:
                outside += f" \0{len(comments)}\0 "
                comment = ""
                continue
        elif char == ")" and depth:
            depth -= 1
            if depth == 0:
                comments.append(comment)
                continue
        if depth:
            comment += char
        else:
            outside += char
    outside = outside.partition(";")[0]
    clauses = dict(re.findall(r"\b(from|by|with)\s+([^\s\0]+)", outside, re.IGNORECASE))
    clauses = {word.lower(): text for word, text in clauses.items()}
    before_by = re.split(r"\bby\b", outside, maxsplit=1, flags=re.IGNORECASE)[0]
    told = " ".join(comments[int(n)] for n in re.findall(r"\0(\d+)\0", before_by) if int(n) < len(comments))
    name = clauses.get("from", "")
    address = _BRACKETED.search(told) or _BRACKETED.search(name)
    if name.startswith("[") and (
        helo := _HELO.search(told)
    ):  # Exim, of a client whose name it could not verify
        name = helo[1]
    return Hop(
        name.lower().rstrip("."),
        _canonical(address[1]) if address and clauses.get("from") else "",
        clauses.get("by", "").lower().rstrip("."),
        clauses.get("with", "").upper(),
    )


def _canonical(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
        return str(getattr(found, "ipv4_mapped", None) or found)  # Courier shows IPv4 as ::ffff:192.0.2.1
    except ValueError:
        return ""


@dataclass(frozen=True)
class Route:
    """The way a message must have gone: submitted at `submission`, handed to one of `mx` by it."""

    submission: str  # fqdn of the sender's host
    addresses: tuple[str, ...]  # of the sender's host
    mx: tuple[str, ...]  # the recipient domain's MX targets


# verdict, observed, advice, case
Judgement = tuple[Verdict, str, str, str]


def judge(chain: list[Hop], route: Route) -> Judgement:
    """Whether the chain proves submission → MX → the other host, over TLS all
    the way.
    """
    at = _submissions(chain, route.submission)
    if not at:
        return _not_submitted(chain, route.submission)
    addresses = {_canonical(address) for address in route.addresses}
    # The MX's own hand-over to its mailbox store (LMTP, or a filter on the same host) is no transfer.
    transfers = [
        hop
        for hop in chain[: at[-1]]
        if hop.by in route.mx and hop.from_name != hop.by and "LMTP" not in hop.protocol
    ]
    if not transfers:
        return (
            Verdict.FAIL,
            _("no Received field of an MX of the recipient ({hosts}): {fields}").format(
                hosts=", ".join(route.mx), fields=_shown(chain)
            ),
            _("see that the MX record's target is the name the server gives itself (myhostname)"),
            "",
        )
    ours = [hop for hop in transfers if hop.from_name == route.submission or hop.from_address in addresses]
    if not ours:
        return (
            Verdict.FAIL,
            _("the MX did not get it from {host}: {field}").format(
                host=route.submission, field=transfers[-1]
            ),
            _("see relayhost and transport_maps on the sender's host"),
            "by-relay",
        )
    hop = ours[-1]
    if hop.protocol not in _SECURE:
        return (
            Verdict.FAIL,
            _("sent without TLS between the hosts: {field}").format(field=hop),
            _("at the sender {command}, at the MX {other_command}").format(
                command="postconf -e 'smtp_tls_security_level = may'",
                other_command="postconf -e 'smtpd_tls_security_level = may'",
            ),
            "",
        )
    if hop.from_name != route.submission:
        return (
            Verdict.WARN,
            _("the sender's host gives another name in EHLO: {field}").format(field=hop),
            f"postconf -e 'smtp_helo_name = {route.submission}'",
            "other-name",
        )
    if hop.from_address not in addresses:
        return (
            Verdict.WARN,
            _("it came from an address that is not the sender's host's ({addresses}): {field}").format(
                addresses=", ".join(route.addresses), field=hop
            ),
            _("publish that address too, or bind Postfix to the published one (smtp_bind_address)"),
            "other-address",
        )
    return Verdict.PASS, _("{field}, then {next_field}").format(field=chain[at[-1]], next_field=hop), "", ""


def judge_local(chain: list[Hop], host: str) -> Judgement:
    """As `judge`, of a message between users of one host: only its submission can be proved, which is not the claim.

    No warning: with one host there is nothing that anybody could change about it. What a message from outside needs
    there is proved by others: dns.mx, the probes of port 25, and smuggle.in, which sends one.
    """
    at = _submissions(chain, host)
    if not at:
        return _not_submitted(chain, host)
    observed = _(
        "local only: sender and recipient are on one host, so neither MX nor port 25 was used; submitted with "
        "login over TLS, and arrived"
    )
    return Verdict.SKIP, observed, "", ""


def judge_within(chain: list[Hop], host: str, own: Collection[str]) -> tuple[Verdict, str, str]:
    """As `judge`, of a message between accounts of one domain, whose hosts are `own`: no other has seen it."""
    at = _submissions(chain, host)
    if not at:
        return _not_submitted(chain, host)[:3]
    names = {*own, "localhost", ""}
    strangers = [hop for hop in chain[: at[-1]] if hop.by not in names or hop.from_name not in names]
    if strangers:
        return (
            Verdict.FAIL,
            _("it left the domain's hosts on its way: {field}").format(field=strangers[-1]),
            _("see mydestination, virtual_mailbox_domains, relayhost and transport_maps on {host}").format(
                host=host
            ),
        )
    return Verdict.PASS, _("submitted with login over TLS, and seen by no other host"), ""


def _submissions(chain: list[Hop], host: str) -> list[int]:
    return [i for i, hop in enumerate(chain) if hop.by == host and hop.protocol in _SUBMITTED]


def _not_submitted(chain: list[Hop], host: str) -> Judgement:
    clear = [hop for hop in chain if hop.by == host and hop.protocol in _SUBMITTED_IN_CLEAR]
    if clear:
        return (
            Verdict.FAIL,
            _("submitted without TLS: {field}").format(field=clear[0]),
            "postconf -e 'smtpd_tls_auth_only = yes'",
            "",
        )
    return (
        Verdict.FAIL,
        _("no Received field shows a submission with login over TLS (ESMTPSA) to {host}: {fields}").format(
            host=host, fields=_shown(chain)
        ),
        _("{command}, and see that nothing removes Received fields").format(
            command=f"postconf -e 'myhostname = {host}'"
        ),
        "",
    )


def _shown(chain: list[Hop]) -> str:
    return " | ".join(str(hop) for hop in reversed(chain)) or _("no Received field at all")
