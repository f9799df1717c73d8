"""Terms of ours in somebody else's SPF record: added and taken out, and nothing else of it changed. Pure.

    same(term, domain)                            the form in which two spellings of a term are equal
    holds(text, term, domain)                     whether the record has it, where it is evaluated
    added(text, terms), without(text, terms, domain), exchanged(text, gone, come, domain)     the changed text
    difference(old, new, domain)                  which terms one has more than the other, if that is all
    flaw(text, terms, domain)                     why these cannot be added to it, and what to do
    to_ask(text, known), count(text, known)       what its lookups are
    counting(text), end_of(text)                  its terms before `all`, and that

Ours come right before `all`, or behind the last term where there is no `all`, each with one blank before it: so taking
them out again gives the bytes that stood there. What comes behind `all` no receiver looks at (RFC 7208 section 5.1),
so a term there counts for nothing. Raises nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence

from mailprov.i18n import _
from mailprov.model.values import dataclass
from mailprov.records.spf_text import LOOKING_UP, LOOKUP_LIMIT, Term, records, words

_HARD = re.compile(r"[^\x20-\x7e]")
# Texts at a name, None where they could not be learned.
Known = Mapping[str, Sequence[str] | None]


def same(term: str, domain: str) -> str:
    """`+MX:Alpha.Test.` at alpha.test is `mx`. Only for comparing."""
    text = term.lower().removeprefix("+")
    kind, colon, value = text.partition(":")
    if kind in ("ip4", "ip6"):
        try:
            return f"{kind}:{ipaddress.ip_network(value, strict=False)}"
        except ValueError:
            return text
    value, slash, length = value.partition("/")
    value = value.removesuffix(".")
    if kind in ("a", "mx") and value == domain:
        colon = value = ""
    return f"{kind}{colon}{value}{slash}{length}"


def end_of(text: str) -> Term | None:
    """Its `all`."""
    return next((term for term in words(text) if term.mechanism == "all"), None)


def counting(text: str) -> list[Term]:
    """The terms before `all`."""
    end = end_of(text)
    return [term for term in words(text) if end is None or term.start < end.start]


def holds(text: str, term: str, domain: str) -> bool:
    return any(same(one.text, domain) == same(term, domain) for one in counting(text))


def added(text: str, terms: Sequence[str]) -> str:
    """With these terms, whether it has them or not."""
    there, end = words(text), end_of(text)
    # The blank that stands before `all` goes on standing before it.
    place = end.start - 1 if end else there[-1].end if there else len(text.rstrip(" "))
    return text[:place] + "".join(f" {term}" for term in terms) + text[place:]


def without(text: str, terms: Collection[str], domain: str) -> str:
    """Each once: the last that counts, for there mailprov puts them."""
    for term in terms:
        there = [one for one in counting(text) if same(one.text, domain) == same(term, domain)]
        if there:
            text = text[: there[-1].start - 1] + text[there[-1].end :]
    return text


def exchanged(text: str, gone: Collection[str], come: Sequence[str], domain: str) -> str:
    """Without the ones, and with those of the others that it does not hold."""
    text = without(text, gone, domain)
    return added(text, [term for term in come if not holds(text, term, domain)])


def difference(old: str, new: str, domain: str) -> tuple[list[str], list[str]] | None:
    """(only in the old one, only in the new one), where `exchanged` makes the new of the old; else None."""
    before = {same(one.text, domain): one.text for one in counting(old)}
    after = {same(one.text, domain): one.text for one in counting(new)}
    gone = [text for term, text in before.items() if term not in after]
    come = [text for term, text in after.items() if term not in before]
    return (gone, come) if exchanged(old, gone, come, domain) == new else None


def flaw(text: str, terms: Sequence[str], domain: str) -> tuple[str, str]:
    """Why these cannot be added and what to do, each a clause, as far as the record itself tells; empty if they can."""
    listed = " ".join(terms)
    correct = _("Correct it")
    if odd := _HARD.search(text):
        what = _("it has a character that no SPF record may have (number {number})")
        return what.format(number=ord(odd[0])), correct
    by_hand = _("Write {terms} into it by hand, where they belong").format(terms=listed)
    there = words(text)
    for one in there:
        if not _is_valid(one):
            return _("{term} in it is no term of SPF").format(term=one.text), correct
        if "%" in one.text and (one.mechanism == "include" or one.modifier == "redirect"):
            what = _(
                "where {term} leads is another place for each message, so its DNS lookups cannot be counted"
            )
            return what.format(term=one.text), by_hand
    redirect = [one for one in there if one.modifier == "redirect"]
    if redirect and not end_of(text):
        advice = _("Add {terms} to the SPF record of {target}, or by hand before {term}")
        last = redirect[-1]
        return (
            _("it leads on to another record by {term}").format(term=last.text),
            advice.format(terms=listed, target=last.value, term=last.text),
        )
    wanted = [same(term, domain) for term in terms]
    for one in counting(text):
        if one.qualifier != "+" and same(one.text.lstrip("-~?"), domain) in wanted:
            return _("{term} in it says the contrary").format(term=one.text), by_hand
    return "", ""


def _is_valid(one: Term) -> bool:
    if one.mechanism in ("ip4", "ip6"):
        try:
            return ipaddress.ip_network(one.value + one.cidr, strict=False).version == int(one.mechanism[2])
        except ValueError:
            return False
    if one.mechanism == "all":
        return one.text.lower().endswith("all")
    return bool(one.modifier or (one.mechanism and (one.value or one.mechanism not in ("include", "exists"))))


@dataclass(frozen=True)
class Lookups:
    """`number`: of those that are known. `unknown`: names whose records could not be learned. `broken`: names without
    an SPF record, or with several: receivers take a record that includes them for broken (section 5.2).
    """

    number: int
    unknown: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


def _leads_to(text: str) -> list[str]:
    """The names of the records that are evaluated with this one."""
    terms = counting(text)
    found = [one.value for one in terms if one.mechanism == "include"]
    if end_of(text) is None:
        found += [one.value for one in terms if one.modifier == "redirect"]
    return [name.lower().removesuffix(".") for name in found]


def to_ask(text: str, known: Known) -> set[str]:
    """Names whose texts are to be learned next, for counting; empty where all are known that can be."""
    found: set[str] = set()
    seen: set[str] = set()
    queue = _leads_to(text)
    while queue and len(seen) <= LOOKUP_LIMIT:
        name = queue.pop(0)
        if name in seen or "%" in name:
            continue
        seen.add(name)
        if name not in known:
            found.add(name)
        elif len(there := records(known[name] or ())) == 1:
            queue += _leads_to(there[0])
    return found


def count(text: str, known: Known) -> Lookups:
    """What an evaluation takes that comes to the end of it: the most that a receiver may be asked for."""
    number = 0
    unknown: dict[str, None] = {}
    broken: dict[str, None] = {}
    queue = [text]
    while queue and number <= LOOKUP_LIMIT:  # a circle ends here, too
        now = queue.pop(0)
        number += sum(1 for one in counting(now) if one.mechanism in LOOKING_UP)
        names = _leads_to(now)
        number += len(names) - sum(1 for one in counting(now) if one.mechanism == "include")
        for name in names:
            texts = known.get(name)
            if texts is None:
                unknown[name] = None
            elif len(there := records(texts)) != 1:
                broken[name] = None
            else:
                queue.append(there[0])
    return Lookups(number, tuple(unknown), tuple(broken))
