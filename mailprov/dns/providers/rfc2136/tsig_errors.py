"""What a name server's answer says of our signature (TSIG), and the words for what was asked.

    check(where, key, answer, question)         DnsFailed where the answer is not signed, or refuses the signature
    clock_error(where, theirs, questions) -> DnsFailed
    asked(questions) -> str                     `asked for alpha.test SOA and 3 more`
    key_name(key), rcode_name(answer)           as they are shown: REFUSED, NXRRSET, …

`where`: as errors begin. Nothing here reads or sends. Raises DnsFailed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.tsig

from mailprov.errors import DnsFailed
from mailprov.i18n import N_, _, ngettext

NO_UPDATES = N_(
    "Let it take updates (PowerDNS: dnsupdate=yes), name a primary that does, or use the provider zonefile"
)


def rcode_name(answer: dns.message.Message) -> str:
    return dns.rcode.to_text(answer.rcode())


def key_name(key: dns.tsig.Key | None) -> str:
    return key.name.to_text(omit_final_dot=True) if key else ""


def check(
    where: str, key: dns.tsig.Key | None, answer: dns.message.Message, question: dns.message.Message
) -> None:
    """RFC 8945 section 5.2: what a server says about our signature, or that it says nothing."""
    if key is None:
        return
    about = asked([question])
    if not answer.had_tsig:
        code = rcode_name(answer)
        what = _("it answered {code} without a signature, {question} with TSIG key {key}").format(
            code=code, question=about, key=key_name(key)
        )
        raise DnsFailed(where, what, _unsigned_advice(answer))
    error = answer.tsig_error or 0
    if error == dns.rcode.BADKEY and question.opcode() == dns.opcode.UPDATE:
        # It has answered questions signed with this key, or we would not be here: Knot means the key's rights.
        what = _("it does not let TSIG key {key} do that (BADKEY), {question}").format(
            key=key_name(key), question=about
        )
        raise DnsFailed(
            where,
            what,
            _("Allow updates of this zone with this key (Knot: action update in an acl)"),
        )
    if error == dns.rcode.BADKEY:
        algorithm = key.algorithm.to_text(omit_final_dot=True)
        raise DnsFailed(
            where,
            _("it knows no TSIG key {key} with {algorithm} (BADKEY), {question}").format(
                key=key_name(key), algorithm=algorithm, question=about
            ),
            _(
                "Correct dns.tsig.name and dns.tsig.algorithm, or add the key there (Knot: also to an acl of the "
                "zone)"
            ),
        )
    if error == dns.rcode.BADSIG:
        raise DnsFailed(
            where,
            _("the secret of TSIG key {key} is not the one it has (BADSIG), {question}").format(
                key=key_name(key), question=about
            ),
            _("Correct dns.tsig.secret"),
        )
    if error == dns.rcode.BADTIME:
        assert answer.tsig is not None
        other = answer.tsig[0].other  # RFC 8945 section 5.2.3: the server's clock, 48 bits
        raise clock_error(where, int.from_bytes(other, "big") if len(other) == 6 else None, [question])
    if error:
        name = dns.rcode.to_text(dns.rcode.Rcode.make(error))
        what = _("it refused the TSIG signature ({code}), {question}").format(code=name, question=about)
        raise DnsFailed(where, what, _("Look at the server's log"))


def clock_error(where: str, theirs: int | None, questions: Iterable[dns.message.Message]) -> DnsFailed:
    """`theirs`: the time at the server, in unix seconds, where it says that."""
    ahead = round(theirs - time.time()) if theirs is not None else 0
    if theirs is None:
        text = _("the clocks differ too much for TSIG (BADTIME), {question}")
    elif ahead > 0:
        text = _(
            "the clocks differ too much for TSIG (BADTIME): its clock is {seconds} s ahead of this machine's, "
            "{question}"
        )
    else:
        text = _(
            "the clocks differ too much for TSIG (BADTIME): its clock is {seconds} s behind this machine's, "
            "{question}"
        )
    what = text.format(seconds=abs(ahead), question=asked(questions))
    return DnsFailed(where, what, _("Set both clocks, for example by NTP"))


def asked(questions: Iterable[dns.message.Message]) -> str:
    """What a failure is about: `asked for alpha.test SOA and 3 more`, `asked to update zone alpha.test`."""
    first, *more = questions
    (about,) = first.question
    name = about.name.to_text(omit_final_dot=True)
    if first.opcode() == dns.opcode.UPDATE:
        return _("asked to update zone {zone}").format(zone=name)
    kind = dns.rdatatype.to_text(about.rdtype)
    if not more:
        return _("asked for {name} {type}").format(name=name, type=kind)
    text = ngettext(
        "asked for {name} {type} and {count} more", "asked for {name} {type} and {count} more", len(more)
    )
    return text.format(name=name, type=kind, count=len(more))


def _unsigned_advice(answer: dns.message.Message) -> str:
    code = answer.rcode()
    if code == dns.rcode.NOTIMP and answer.opcode() == dns.opcode.UPDATE:
        return _(NO_UPDATES)
    if code == dns.rcode.SERVFAIL:
        return _(
            "Look at the server's log; a secondary that cannot reach its primary answers so to an update"
        )
    if code in (dns.rcode.NOTAUTH, dns.rcode.REFUSED):
        return _(
            "Correct dns.tsig.name, dns.tsig.algorithm and dns.tsig.secret, and set both clocks: PowerDNS answers so "
            "when any of them is wrong, and its log says which"
        )
    return _("Use a name server that supports TSIG (RFC 8945)")
